import { defaultLimits } from "@zerobind/core";
import type { AttachmentListener, Limits, Link, LinkReceiver, TransportElement } from "@zerobind/core";
import { Hello, Welcome } from "../../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType } from "../../src/records.ts";
import { recordsOf } from "./raw-peer.ts";
import type { ReceivedRecord } from "./raw-peer.ts";

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
 * messages and attachments without credit, calls beyond the limit, fragments of the wrong size, words after the end.
 */
export class Referee {
  readonly faults: string[] = [];
  /** Records that went out, by type. */
  readonly seen = new Map<number, number>();
  readonly #calls = new Map<number, Line>();
  #limits: Limits = defaultLimits;
  #sessionBytes = Infinity;
  #tag = 0;

  /** A transport whose every link has a referee on either end. */
  static over(transport: TransportElement, referees: Referee[]): TransportElement {
    return {
      ...transport,
      attach: (address, options, listener) => transport.attach(address, options, watched(listener, referees)),
    };
  }

  outgoing(frames: readonly Uint8Array[]): void {
    for (const record of recordsOf(frames)) this.#said(record);
  }

  incoming(frames: readonly Uint8Array[]): void {
    for (const record of recordsOf(frames)) this.#heard(record);
  }

  #heard({ type, callId, aux, meta, tag }: ReceivedRecord): void {
    if (type === RecordType.HELLO) this.#meets(Hello.decode(meta).limits, 0xffffffff);
    else if (type === RecordType.WELCOME) {
      const { limits, maxConcurrentCalls } = Welcome.decode(meta);
      this.#meets(limits, maxConcurrentCalls);
      this.#tag = tag;
    } else if (type === RecordType.CALL) this.#calls.set(callId, this.#line());
    else if (type === RecordType.CREDIT && callId === 0) this.#sessionBytes += aux;
    else if (type === RecordType.CREDIT) {
      const line = this.#calls.get(callId);
      if (!line) return;
      line.messages += new DataView(meta.buffer, meta.byteOffset).getUint32(0, true);
      line.bytes += aux;
    } else if (type === RecordType.END || type === RecordType.REFUSE) this.#over(callId);
  }

  #said(record: ReceivedRecord): void {
    const { type, callId, tag, flags } = record;
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
        if (body.byteLength === 0) this.#fault(record, "is an empty fragment");
        line.partial = bytes;
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
    if (this.#sessionBytes <= 0) this.#fault(record, `is attached with ${this.#sessionBytes} bytes of credit`);
    this.#sessionBytes -= byteLength;
    const most = Math.max(this.#limits.maxFragmentBytes, 4096);
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
