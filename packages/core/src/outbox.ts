import type { AnyMessageType } from "./contract.ts";
import { BatchWriter, Flag, RecordType, longMeta, recordHeaderBytes } from "./records.ts";
import { atEndOfTurn, inNextTurn } from "./turn.ts";

/** A batch leaves at this size even before the end of the turn. */
const flushBytes = 48 * 1024;
const flushRecords = 256;
/** Larger bodies travel as frames of their own, which no end copies; also the least size of a fragment. */
export const attachBytes = 4096;

/** How bodies become bytes: the binding's encoder and message elements. */
export interface BodyWriter {
  write(type: AnyMessageType, value: unknown, writer: BatchWriter): void;
}

/** One record to write. `meta` and `body` are encoded at once, in place; nothing of them is kept. */
export interface OutgoingRecord {
  readonly type: number;
  readonly flags: number;
  readonly callId: number;
  readonly aux: number;
  readonly metaType: AnyMessageType | undefined;
  readonly meta: unknown;
  readonly bodyType: AnyMessageType | undefined;
  readonly body: unknown;
}

/** Refuses a body that its receiver would refuse. */
export class TooLargeError extends Error {
  readonly byteLength: number;

  constructor(byteLength: number) {
    super(`the message has ${byteLength} bytes`);
    this.byteLength = byteLength;
  }
}

/** A record, or a fragment of one, that waits for the session's credit. */
interface HeldRecord {
  readonly head: Uint8Array;
  readonly attachment: Uint8Array | undefined;
}

/** What an outbox needs to know of its session. The numbers may change while it is used. */
export interface OutboxPort {
  /** Hands a message to the link; false if the link is not open. */
  send(frames: readonly Uint8Array[]): boolean;
  /** A message could not be handed over; what was in it is lost. */
  sendFailed(): void;
  /** The last fragment of a call that had to wait has left. */
  released(callId: number): void;
}

/**
 * Everything that one end says to one peer: records are written into one batch, which leaves when the turn of the
 * event loop ends or the batch is full. Bodies above 4 KiB go as attachments, under the session's byte credit; those
 * above the fragment size are cut, and fragments of several calls take turns, so that a small call never waits behind
 * a big one. Records of one call keep their order.
 */
export class Outbox {
  /** Put into the header of every batch. */
  tag = 0;
  /** Largest body the peer accepts, and largest attachment. */
  maxMessageBytes = 0xffffffff;
  maxFragmentBytes: number = 1024 * 1024;
  /** Attachment bytes that may still be sent before the peer grants more. */
  windowBytes: number = Infinity;
  /** Batches begun; a record written now leaves in this one. */
  batchNumber = 1;
  /** The last batch that the link took. */
  sentBatchNumber = 0;

  readonly #port: OutboxPort;
  readonly #bodies: BodyWriter;
  readonly #flushAtEnd = (): void => {
    this.#scheduled = false;
    this.flush();
  };
  #writer: BatchWriter | undefined;
  #count = 0;
  #attachments: Uint8Array[] = [];
  #scheduled = false;
  #closed = false;
  readonly #held = new Map<number, HeldRecord[]>();

  constructor(port: OutboxPort, bodies: BodyWriter) {
    this.#port = port;
    this.#bodies = bodies;
  }

  /**
   * Writes a record and returns the size of its body. What the encoder throws comes out, with nothing written;
   * a body over `maxMessageBytes` throws TooLargeError.
   */
  write(record: OutgoingRecord): number {
    if (this.#closed) return 0;
    const writer = (this.#writer ??= BatchWriter.take());
    const start = writer.skip(recordHeaderBytes);
    let metaLength = 0;
    let bodyLength = 0;
    try {
      const { metaType, bodyType } = record;
      if (metaType !== undefined) metaType.encode(record.meta, writer);
      metaLength = writer.position - start - recordHeaderBytes;
      if (bodyType !== undefined) this.#bodies.write(bodyType, record.body, writer);
      bodyLength = writer.position - start - recordHeaderBytes - metaLength;
      if (bodyLength > this.maxMessageBytes) throw new TooLargeError(bodyLength);
    } catch (error) {
      writer.truncate(start);
      throw error;
    }
    const held = this.#held.size > 0 && this.#held.has(record.callId);
    if (!held && bodyLength <= attachBytes && metaLength < longMeta) {
      writer.recordHeader(start, record.type, record.flags, metaLength, record.callId, record.aux);
      this.#wrote(writer);
    } else this.#writeLarge(writer, record, start, metaLength, bodyLength);
    return bodyLength;
  }

  /** Whether fragments of a call still wait; more of the same call should wait, too. */
  holds(callId: number): boolean {
    return this.#held.has(callId);
  }

  /** Whether anything still waits for credit or its turn. */
  get isHolding(): boolean {
    return this.#held.size > 0;
  }

  /** Forgets what of a call still waits: nobody wants it any more. */
  forget(callId: number): void {
    this.#held.delete(callId);
  }

  /** The peer took attachments and grants as many bytes anew. */
  grant(bytes: number): void {
    this.windowBytes += bytes;
    if (this.#held.size > 0) this.#schedule();
  }

  /** Sends what is written; called by itself at the end of each turn. */
  flush(): void {
    if (this.#held.size > 0 && !this.#closed) this.#releaseHeld();
    const writer = this.#writer;
    if (writer === undefined || this.#count === 0) return;
    const frames = [writer.batch(this.#count, this.tag), ...this.#attachments];
    this.#writer = undefined;
    this.#count = 0;
    if (this.#attachments.length > 0) this.#attachments = [];
    writer.release();
    const number = this.batchNumber++;
    if (this.#port.send(frames)) this.sentBatchNumber = number;
    else this.#port.sendFailed();
    if (this.#held.size > 0 && this.windowBytes > 0 && !this.#scheduled) {
      this.#scheduled = true;
      inNextTurn(this.#flushAtEnd);
    }
  }

  /** Drops what is not sent; later writes do nothing. */
  close(): void {
    this.#closed = true;
    this.#writer?.release();
    this.#writer = undefined;
    this.#count = 0;
    this.#attachments = [];
    this.#held.clear();
  }

  #wrote(writer: BatchWriter): void {
    this.#count += 1;
    if (this.#count >= flushRecords || writer.position >= flushBytes) this.flush();
    else if (!this.#scheduled) this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    atEndOfTurn(this.#flushAtEnd);
  }

  /** Moves the body into attachments of at most one fragment each, and sends or holds them. */
  #writeLarge(
    writer: BatchWriter,
    record: OutgoingRecord,
    start: number,
    metaLength: number,
    bodyLength: number,
  ): void {
    const attached = bodyLength > attachBytes || (metaLength >= longMeta && bodyLength > 0);
    const body = attached ? writer.cut(start + recordHeaderBytes + metaLength) : undefined;
    const metaField = metaLength >= longMeta ? longMeta : metaLength;
    if (body === undefined || body.byteLength <= this.maxFragmentBytes) {
      const flags = body ? record.flags | Flag.ATTACHED : record.flags;
      writer.recordHeader(start, record.type, flags, metaField, record.callId, record.aux);
      this.#sendOrHold(writer, start, record.callId, body);
      return;
    }
    // A request opens with its own record; a reply ends with it, since it also says how the call ended.
    writer.recordHeader(start, record.type, 0, metaField, record.callId, record.aux);
    const head = writer.cut(start);
    for (const piece of fragment(head, record.flags, body, this.maxFragmentBytes)) this.#hold(record.callId, piece);
    this.#schedule();
  }

  #sendOrHold(writer: BatchWriter, start: number, callId: number, attachment: Uint8Array | undefined): void {
    if (!this.#held.has(callId) && (attachment === undefined || (this.windowBytes > 0 && this.#held.size === 0))) {
      if (attachment) this.#attach(attachment);
      this.#wrote(writer);
      return;
    }
    this.#hold(callId, { head: writer.cut(start), attachment });
    this.#schedule();
  }

  #hold(callId: number, record: HeldRecord): void {
    const queue = this.#held.get(callId);
    if (queue) queue.push(record);
    else this.#held.set(callId, [record]);
  }

  #attach(attachment: Uint8Array): void {
    this.windowBytes -= attachment.byteLength;
    this.#attachments.push(attachment);
  }

  /** One held record of each call in turn, up to about one fragment a batch. */
  #releaseHeld(): void {
    let budget = this.maxFragmentBytes;
    for (const [callId, queue] of this.#held) {
      if (budget <= 0 || this.#count >= flushRecords) return;
      const { head, attachment } = queue[0]!;
      if (attachment && this.windowBytes <= 0) continue;
      queue.shift();
      // A call that has more moves to the end of the line.
      this.#held.delete(callId);
      if (queue.length > 0) this.#held.set(callId, queue);
      else this.#port.released(callId);
      (this.#writer ??= BatchWriter.take()).raw(head);
      this.#count += 1;
      budget -= head.byteLength;
      if (!attachment) continue;
      this.#attach(attachment);
      budget -= attachment.byteLength;
    }
  }
}

/** Cuts a body into records that carry one fragment each; `head` is the encoded header and meta of the whole record. */
function* fragment(head: Uint8Array, flags: number, body: Uint8Array, size: number): Generator<HeldRecord> {
  const opensCall = head[4] === RecordType.CALL;
  for (let offset = 0; offset < body.byteLength; offset += size) {
    const isLast = offset + size >= body.byteLength;
    const attachment = body.subarray(offset, offset + size);
    const isOwnRecord = opensCall ? offset === 0 : isLast;
    const piece = isOwnRecord ? head.slice() : dataHead(head);
    const ending = isLast ? flags & Flag.END : Flag.MORE;
    const kept = isOwnRecord ? flags & ~Flag.END : 0;
    piece[5] = kept | ending | Flag.MESSAGE | Flag.ATTACHED;
    yield { head: piece, attachment };
  }
}

/** The header of a DATA record without meta for the same call. */
function dataHead(head: Uint8Array): Uint8Array {
  const data = new Uint8Array(recordHeaderBytes);
  data[4] = RecordType.DATA;
  data.set(head.subarray(8, 12), 8);
  return data;
}
