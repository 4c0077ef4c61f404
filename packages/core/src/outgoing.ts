import type { AnyMessageType } from "./contract.ts";
import type { BatchWriter } from "./batch-writer.ts";
import { RecordType } from "./records.ts";

/** How bodies become bytes: the binding's encoder, message elements and compressions. */
export interface BodyWriter {
  /**
   * Writes a body; `flags` are those of its record, with what is wished of compression. Returns how many bytes it had
   * before it was compressed, 0 if it was not.
   */
  write(type: AnyMessageType, value: unknown, writer: BatchWriter, flags: number): number;
}

/** One record to write. `meta` and `body` are encoded at once, in place; nothing of them is kept. */
export interface OutgoingRecord {
  readonly type: number;
  /** Those that travel, and a `Wish`. */
  readonly flags: number;
  readonly callId: number;
  readonly aux: number;
  readonly metaType: AnyMessageType | undefined;
  readonly meta: unknown;
  readonly bodyType: AnyMessageType | undefined;
  readonly body: unknown;
}

/** A record that was written while another one was being encoded. */
export interface Aside {
  readonly record: OutgoingRecord;
  readonly flags: number;
  /** Room for the header, meta and inline body. */
  readonly bytes: Uint8Array;
  readonly metaLength: number;
  readonly attachment: Uint8Array | undefined;
}

/** Refuses a body that its receiver would refuse. */
export class TooLargeError extends Error {
  readonly byteLength: number;

  constructor(byteLength: number) {
    super(`the message has ${byteLength} bytes`);
    this.byteLength = byteLength;
  }
}

/** Refuses a reply to a peer that does not read those that it has got already. */
export class FullError extends Error {
  constructor(heldBytes: number) {
    super(`${heldBytes} bytes wait for the caller`);
  }
}

/** A batch leaves at this size even before the end of the turn: the peer reads it while the next one is written. */
export const maxBatchBytes: number = 48 * 1024;
/** Records that one batch has at most. */
export const maxBatchRecords = 256;
/** Fewer open calls share one batch: two would cost more than it gains that both ends work at the same time. */
const sharedCalls = 64;

/** How many records leave together. Of many calls one half is on its way, so that neither end waits for the other. */
export function batchRecords(openCalls: number): number {
  return openCalls <= sharedCalls ? maxBatchRecords : Math.min(openCalls >> 1, maxBatchRecords);
}

/** What an outbox needs to know of its session. */
export interface OutboxPort {
  /** Calls that are open, whichever end has made them. */
  readonly openCalls: number;
  /** Hands a message to the link; false if the link is not open. */
  send(frames: readonly Uint8Array[]): boolean;
  /** A message could not be handed over; what was in it is lost. */
  sendFailed(): void;
  /** The last record of a call that had to wait has left. */
  released(callId: number): void;
  /** After `isFull` there is room again. Called in a microtask. */
  relieved(): void;
  /** The peer reads nothing and makes this end say more and more: the session must end. Called in a microtask. */
  overrun(): void;
}

const credited = (1 << RecordType.CALL) | (1 << RecordType.DATA) | (1 << RecordType.END);

/** Whether records of a type wait for credit; all others always leave. */
export function isCredited(type: number): boolean {
  return (credited & (1 << type)) !== 0;
}
