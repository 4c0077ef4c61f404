import { defaultLimits } from "@zerobind/core";
import type { AttachmentListener, Limits, Link, LinkReceiver, TransportElement } from "@zerobind/core";
import { Hello, Welcome } from "../../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType } from "../../src/records.ts";
import { recordsOf } from "./raw-peer.ts";
import type { ReceivedRecord } from "./raw-peer.ts";

/** Records that need the session's credit. */
const credited: ReadonlySet<number> = new Set([RecordType.CALL, RecordType.DATA, RecordType.END]);
/** Fragments that are not the last have at least so many bytes, and so many messages may be under way in them. */
const leastBytes = 4096;
const mostPartial = 8;

/** What one end may still say of one call. */
interface Line {
  messages: number;
  bytes: number;
  /** Bytes of the message whose fragments are going out. */
  partial: number | undefined;
  halfClosed: boolean;
  over: boolean;
}

/**
 * Watches what one end says, knowing only what that end has been told so far, and notes each breach of the protocol:
 * messages and batches without credit, credit for what was not read, calls beyond the limit, fragments of the wrong size
 * or of too many messages, words after the end.
 */
export class Referee {
  readonly faults: string[] = [];
  /** Records that went out, by type. */
  readonly seen = new Map<number, number>();
  /** How often the session's credit was used up, and the most messages that were under way in fragments. */
  exhausted = 0;
  mostPartial = 0;
  readonly #calls = new Map<number, Line>();
  #limits: Limits = defaultLimits;
  /** What the session may still send, and what it has read and not granted anew; counted from WELCOME on. */
  #sessionBytes = Infinity;
  #readBytes = 0;
  #tag = 0;

  /** A transport whose every link has a referee on either end. */
  static over(transport: TransportElement, referees: Referee[]): TransportElement {
    return {
      ...transport,
      attach: (address, options, listener) => transport.attach(address, options, watched(listener, referees)),
    };
  }

  outgoing(frames: readonly Uint8Array[]): void {
    const creditBytes = this.#sessionBytes;
    for (const record of recordsOf(frames)) {
      this.#said(record);
      if (credited.has(record.type) && creditBytes <= 0)
        this.#fault(record, `is sent with ${creditBytes} bytes of credit`);
    }
    if (this.#tag !== 0) this.#sessionBytes -= sizeOf(frames);
    if (creditBytes > 0 && this.#sessionBytes <= 0) this.exhausted += 1;
  }

  incoming(frames: readonly Uint8Array[]): void {
    for (const record of recordsOf(frames)) this.#heard(record);
    if (this.#tag !== 0) this.#readBytes += sizeOf(frames);
  }

  #heard({ type, callId, aux, meta, tag }: ReceivedRecord): void {
    if (type === RecordType.HELLO) this.#meets(Hello.decode(meta).limits, 0xffffffff);
    else if (type === RecordType.WELCOME) {
      const { limits, maxConcurrentCalls } = Welcome.decode(meta);
      this.#meets(limits, maxConcurrentCalls);
      this.#tag = tag;
    } else if (type === RecordType.CALL) this.#calls.set(callId, this.#line());
    else if (type === RecordType.CREDIT && callId === 0)
      this.#sessionBytes = Math.min(this.#sessionBytes + aux, this.#limits.sessionWindowBytes);
    else if (type === RecordType.CREDIT) {
      const line = this.#calls.get(callId);
      if (!line) return;
      line.messages += new DataView(meta.buffer, meta.byteOffset).getUint32(0, true);
      line.bytes += aux;
    } else if (type === RecordType.END || type === RecordType.REFUSE || type === RecordType.CANCEL) this.#over(callId);
  }

  #said(record: ReceivedRecord): void {
    const { type, callId, tag, flags, aux } = record;
    this.seen.set(type, (this.seen.get(type) ?? 0) + 1);
    if (type === RecordType.HELLO) return;
    if (type === RecordType.WELCOME) this.#tag = tag;
    if (tag !== this.#tag) this.#fault(record, `has the tag ${tag} and not ${this.#tag}`);
    if (type === RecordType.CALL) {
      if ((callId & 1) === 0) this.#fault(record, "has an even id");
      if (this.#calls.get(callId)?.over === false) this.#fault(record, "has the id of an open call");
      this.#calls.set(callId, this.#line());
      const open = [...this.#calls.values()].filter(({ over }) => !over).length;
      if (open > this.#limits.maxConcurrentCalls) this.#fault(record, `makes ${open} open calls`);
      if ((flags & Flag.ONEWAY) !== 0) this.#over(callId);
    }
    if ((flags & Flag.ATTACHED) !== 0) this.#attached(record);
    if (type === RecordType.CREDIT && callId === 0) {
      if (aux > this.#readBytes) this.#fault(record, `grants ${aux} bytes of ${this.#readBytes} that were read`);
      this.#readBytes -= aux;
    }
    if (callId === 0) return;
    const line = this.#calls.get(callId);
    if (!line) return this.#fault(record, "is of no call");
    if ((flags & Flag.ONEWAY) === 0) this.#spoke(record, line);
  }

  #spoke(record: ReceivedRecord, line: Line): void {
    const { type, flags, body } = record;
    const speaks = type === RecordType.DATA || type === RecordType.END || type === RecordType.CALL;
    if (speaks && line.halfClosed) this.#fault(record, "comes after its end");
    if (speaks && (flags & Flag.MESSAGE) !== 0) {
      if (type === RecordType.DATA && line.partial === undefined && (line.messages <= 0 || line.bytes <= 0))
        this.#fault(record, `begins a message with credit for ${line.messages} messages, ${line.bytes} bytes`);
      const bytes = (line.partial ?? 0) + body.byteLength;
      if ((flags & Flag.MORE) !== 0) {
        if (body.byteLength < leastBytes) this.#fault(record, `is a fragment of ${body.byteLength} bytes`);
        line.partial = bytes;
        const partial = [...this.#calls.values()].filter((each) => each.partial !== undefined && !each.over).length;
        this.mostPartial = Math.max(this.mostPartial, partial);
        if (partial > mostPartial) this.#fault(record, `is of one of ${partial} messages under way in fragments`);
      } else {
        line.partial = undefined;
        // The message of a CALL, and that of an END, have no credit and need none.
        if (type === RecordType.DATA) {
          line.messages -= 1;
          line.bytes -= bytes;
        }
      }
    }
    if (speaks && (flags & Flag.END) !== 0) {
      if (line.partial !== undefined) this.#fault(record, "ends in the middle of a message");
      line.halfClosed = true;
    }
    if (type === RecordType.CANCEL || type === RecordType.REFUSE) line.halfClosed = line.over = true;
    if (type === RecordType.END) line.over = true;
  }

  #attached(record: ReceivedRecord): void {
    const { byteLength } = record.body;
    const most = Math.max(this.#limits.maxFragmentBytes, leastBytes);
    if (byteLength > most) this.#fault(record, `has a fragment of ${byteLength} bytes, more than ${most}`);
  }

  #meets(limits: Partial<Limits> | undefined, maxConcurrentCalls: number): void {
    const said = Object.entries({ ...limits, maxConcurrentCalls }).filter(([, value]) => value > 0);
    this.#limits = { ...defaultLimits, ...Object.fromEntries(said) };
    this.#sessionBytes = this.#limits.sessionWindowBytes;
  }

  #line(): Line {
    const { streamWindowMessages: messages, streamWindowBytes: bytes } = this.#limits;
    return { messages, bytes, partial: undefined, halfClosed: false, over: false };
  }

  #over(callId: number): void {
    const line = this.#calls.get(callId);
    // What was written before the end was heard may still go out.
    if (line) line.over = true;
  }

  #fault({ type, callId }: ReceivedRecord, why: string): void {
    this.faults.push(`record of type ${type}, call ${callId}, ${why}`);
  }
}

function sizeOf(frames: readonly Uint8Array[]): number {
  return frames.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function watched(listener: AttachmentListener, referees: Referee[]): AttachmentListener {
  return {
    ...listener,
    accept(link: Link): LinkReceiver {
      const referee = new Referee();
      referees.push(referee);
      const receiver = listener.accept({
        remoteAddress: link.remoteAddress,
        send(frames) {
          referee.outgoing(frames);
          return link.send(frames);
        },
        retire: () => link.retire(),
        close: () => link.close(),
      });
      return {
        receive(frames) {
          referee.incoming(frames);
          receiver.receive(frames);
        },
        lost: (reason) => receiver.lost(reason),
      };
    },
    trouble: (problem) => listener.trouble(problem),
  };
}
