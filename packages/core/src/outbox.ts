import { Backlog, overfill, slackBytes } from "./backlog.ts";
import type { HeldRecord } from "./backlog.ts";
import { BatchWriter } from "./batch-writer.ts";
import { fragments } from "./fragments.ts";
import { FullError, TooLargeError, batchRecords, isCredited, maxBatchBytes, maxBatchRecords } from "./outgoing.ts";
import type { Aside, BodyWriter, OutboxPort, OutgoingRecord } from "./outgoing.ts";
import { defaultLimits } from "./limits.ts";
import { Flag, RecordType, attachBytes, longMeta, recordHeaderBytes } from "./records.ts";
import { SendWindow } from "./send-window.ts";
import { atEndOfTurn, inNextTurn } from "./turn.ts";

/**
 * Everything that one end says to one peer: records are written into one batch, which leaves when the turn of the
 * event loop ends or the batch is full. All bytes are under the session's credit; where it is used up, records wait,
 * up to `maxHeldBytes`. Bodies above 4 KiB go as attachments; those above the fragment size are cut, and fragments of
 * several calls take turns, so that a small call never waits behind a big one. Records of one call keep their order.
 */
export class Outbox {
  /** Put into the header of every batch. */
  tag = 0;
  /** Largest body the peer accepts, largest attachment, and what may wait for the peer. */
  maxMessageBytes = 0xffffffff;
  maxFragmentBytes: number = defaultLimits.maxFragmentBytes;
  /** Beyond it `isFull`; what is under way already may take `overfill` times as much. */
  maxHeldBytes: number = Infinity;
  /** Batches begun; a record written now leaves in this one. */
  batchNumber = 1;
  /** The last batch that the link took. */
  sentBatchNumber = 0;

  readonly window: SendWindow = new SendWindow();
  readonly backlog: Backlog = new Backlog();
  readonly #port: OutboxPort;
  readonly #bodies: BodyWriter;
  readonly #flushAtEnd = (): void => {
    this.#scheduled = false;
    this.flush();
  };
  #writer: BatchWriter | undefined;
  #count = 0;
  #maxRecords = maxBatchRecords;
  #scheduled = false;
  #closed = false;
  #encoding = false;
  /** Of the record that was encoded last; its flags as they travel. */
  #metaLength = 0;
  #flags = 0;
  /** Of the record that is being written; not kept until the next one, which may never come. */
  #attachment: Uint8Array | undefined;
  #asides: Aside[] = [];
  #full = false;
  #overrun = false;

  constructor(port: OutboxPort, bodies: BodyWriter) {
    this.#port = port;
    this.#bodies = bodies;
  }

  /** Whether so much waits that nothing should begin that would make it more. */
  get isFull(): boolean {
    return this.#full;
  }

  /** Whether anything still waits for credit or its turn. */
  get isHolding(): boolean {
    return this.backlog.size > 0;
  }

  /** Whether something large waits or may still be on its way: the peer has not granted all of it anew. */
  get isOwed(): boolean {
    return this.backlog.size > 0 || this.window.isOwed;
  }

  /**
   * Writes a record and returns the size of its body, before it was compressed. What the encoder throws comes out, with nothing written;
   * a body over `maxMessageBytes` throws TooLargeError, a reply that would have to wait where far too much waits already FullError.
   */
  write(record: OutgoingRecord): number {
    if (this.#closed) return 0;
    if (this.#encoding) return this.#writeAside(record);
    const writer = (this.#writer ??= BatchWriter.take());
    const start = writer.skip(recordHeaderBytes);
    this.#encoding = true;
    const bodyLength = this.#encode(writer, start, record, false);
    this.#encoding = false;
    // What is encoded may run code of the program, which may have ended the session.
    if (this.#writer === writer) this.#place(writer, record, start, this.#metaLength);
    if (this.#asides.length > 0) this.#placeAsides();
    return bodyLength;
  }

  /** Forgets what of a call still waits; `peerKnows` that the call is over, and keeps no fragments of it. */
  forget(callId: number, peerKnows: boolean): void {
    if (this.backlog.isEmpty) return;
    this.backlog.drop(callId, peerKnows);
    this.#relieve();
  }

  /** The peer has read as many bytes and grants them anew. */
  grant(bytes: number): void {
    this.window.grant(bytes);
    if (this.backlog.size > 0) this.#schedule();
  }

  /** Sends what is written; called by itself at the end of each turn. */
  flush(): void {
    if (this.#encoding) return this.#schedule();
    if (this.backlog.size > 0 && !this.#closed) this.#releaseHeld();
    const writer = this.#writer;
    if (writer === undefined || this.#count === 0) return;
    const frames = writer.frames(this.#count, this.tag);
    this.#writer = undefined;
    this.#count = 0;
    writer.release();
    this.window.spend(frames[0].byteLength, frames.length > 1);
    this.#maxRecords = batchRecords(this.#port.openCalls);
    const number = this.batchNumber++;
    if (this.#port.send(frames)) this.sentBatchNumber = number;
    else this.#port.sendFailed();
    if (this.window.bytes < -slackBytes - this.maxFragmentBytes) this.#tellOverrun();
    if (this.backlog.size > 0 && this.window.bytes > 0) this.#schedule(inNextTurn);
  }

  /** Drops what is not sent, as if nothing had been written. */
  reset(): void {
    // A writer in the middle of a record is left to whoever writes it.
    if (!this.#encoding) this.#writer?.release();
    this.#writer = undefined;
    this.#count = 0;
    this.#asides = [];
    this.backlog.clear();
    this.#full = false;
  }

  /** Drops what is not sent; later writes do nothing. */
  close(): void {
    this.#closed = true;
    this.reset();
  }

  /** Encodes meta and body behind the room for the header; returns the size of the body, and takes a large one off. */
  #encode(writer: BatchWriter, start: number, record: OutgoingRecord, isAside: boolean): number {
    const { metaType, bodyType } = record;
    try {
      if (metaType !== undefined) metaType.encode(record.meta, writer);
      const metaLength = writer.position - start - recordHeaderBytes;
      writer.beginBody();
      const plainBytes = bodyType === undefined ? 0 : this.#bodies.write(bodyType, record.body, writer, record.flags);
      const { bodyLength } = writer;
      const countedBytes = plainBytes > 0 ? plainBytes : bodyLength;
      if (countedBytes > this.maxMessageBytes) throw new TooLargeError(countedBytes);
      // Replies that need not wait may leave even when much waits.
      const isReply = bodyLength > 0 && record.type === RecordType.END;
      if (
        isReply &&
        this.backlog.bytes >= overfill * this.maxHeldBytes &&
        (bodyLength > attachBytes || !this.#mayLeave(record))
      )
        throw new FullError(this.backlog.bytes);
      const isAttached = bodyLength > attachBytes || (metaLength >= longMeta && bodyLength > 0);
      this.#attachment = writer.endBody(isAttached);
      this.#metaLength = metaLength;
      this.#flags = (record.flags & 0xff) | (plainBytes > 0 ? Flag.COMPRESSED : 0);
      return countedBytes;
    } catch (error) {
      writer.truncate(start);
      if (!isAside) {
        this.#encoding = false;
        this.#placeAsides();
      }
      throw error;
    }
  }

  /** A getter of a message that is being encoded has made a call, or ended one: its record comes after that message. */
  #writeAside(record: OutgoingRecord): number {
    const writer = BatchWriter.take();
    try {
      const start = writer.skip(recordHeaderBytes);
      const bodyLength = this.#encode(writer, start, record, true);
      const metaLength = this.#metaLength;
      const flags = this.#flags;
      this.#asides.push({ record, flags, bytes: writer.cut(start), metaLength, attachment: this.#attachment });
      return bodyLength;
    } finally {
      writer.release();
    }
  }

  #placeAsides(): void {
    for (const { record, flags, bytes, metaLength, attachment } of this.#asides.splice(0)) {
      const writer = (this.#writer ??= BatchWriter.take());
      const start = writer.position;
      writer.raw(bytes);
      this.#attachment = attachment;
      this.#flags = flags;
      this.#place(writer, record, start, metaLength);
    }
  }

  #mayLeave({ type, callId }: OutgoingRecord): boolean {
    const backlog = this.backlog;
    if (this.window.bytes > 0 && (backlog.size === 0 || (backlog.starved === 0 && !backlog.has(callId)))) return true;
    return !isCredited(type);
  }

  /** Lets an encoded record leave with the batch, or holds it. */
  #place(writer: BatchWriter, record: OutgoingRecord, start: number, metaLength: number): void {
    const body = this.#attachment;
    this.#attachment = undefined;
    const mayLeave = this.#mayLeave(record);
    if (!mayLeave || body !== undefined || metaLength >= longMeta)
      return this.#placeLarge(writer, record, start, metaLength, body, mayLeave);
    writer.recordHeader(start, record.type, this.#flags, metaLength, record.callId, record.aux);
    this.#wrote(writer);
  }

  /** Sends or holds a record, with its body as attachments of at most one fragment each. */
  #placeLarge(
    writer: BatchWriter,
    { type, callId, aux }: OutgoingRecord,
    start: number,
    metaLength: number,
    body: Uint8Array | undefined,
    mayLeave: boolean,
  ): void {
    const { backlog } = this;
    const flags = this.#flags;
    const isCut = body !== undefined && body.byteLength > this.maxFragmentBytes;
    const recordFlags = isCut ? 0 : body ? flags | Flag.ATTACHED : flags;
    writer.recordHeader(start, type, recordFlags, metaLength >= longMeta ? longMeta : metaLength, callId, aux);
    if (isCut) {
      const head = writer.cut(start);
      for (const piece of fragments(head, flags, body, this.maxFragmentBytes)) this.#hold(callId, piece);
    } else if (mayLeave && (body === undefined || backlog.size === 0)) {
      if (body) this.#attach(writer, body);
      this.#wrote(writer);
    } else {
      const starved = body === undefined && !backlog.has(callId);
      this.#hold(callId, { head: writer.cut(start), attachment: body, place: "whole", starved });
    }
  }

  #wrote(writer: BatchWriter): void {
    this.#count += 1;
    if (this.#count >= this.#maxRecords || writer.byteLength >= maxBatchBytes) this.flush();
    else if (!this.#scheduled) this.#schedule();
  }

  #schedule(when = atEndOfTurn): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    when(this.#flushAtEnd);
  }

  #hold(callId: number, record: HeldRecord): void {
    const backlog = this.backlog;
    backlog.add(callId, record);
    if (backlog.bytes >= this.maxHeldBytes) this.#full = true;
    if (backlog.bytes > overfill * this.maxHeldBytes + this.maxMessageBytes + slackBytes) this.#tellOverrun();
    if (this.window.bytes > 0) this.#schedule();
  }

  #attach(writer: BatchWriter, attachment: Uint8Array): void {
    this.window.spend(attachment.byteLength, true);
    writer.attach(attachment);
  }

  /** One held record of each call in turn, up to about one fragment a batch. */
  #releaseHeld(): void {
    let budget = this.maxFragmentBytes;
    for (const callId of this.backlog.calls()) {
      if (budget <= 0 || this.#count >= maxBatchRecords || this.window.bytes <= (this.#writer?.position ?? 0)) break;
      const record = this.backlog.take(callId);
      if (!record) continue;
      const writer = (this.#writer ??= BatchWriter.take());
      writer.raw(record.head);
      this.#count += 1;
      budget -= record.head.byteLength;
      if (record.attachment) {
        this.#attach(writer, record.attachment);
        budget -= record.attachment.byteLength;
      }
      if (!this.backlog.has(callId)) this.#port.released(callId);
    }
    this.#relieve();
  }

  #relieve(): void {
    if (!this.#full || this.backlog.bytes * 2 > this.maxHeldBytes) return;
    this.#full = false;
    queueMicrotask(() => this.#port.relieved());
  }

  #tellOverrun(): void {
    if (this.#overrun || this.#closed) return;
    this.#overrun = true;
    queueMicrotask(() => this.#port.overrun());
  }
}
