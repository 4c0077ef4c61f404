import { RecordType } from "./records.ts";

/** A record, or a fragment of one, that waits for the session's credit or its turn. */
export interface HeldRecord {
  /** Header, meta and inline payload. */
  readonly head: Uint8Array;
  readonly attachment: Uint8Array | undefined;
  /** Where it stands in a message that was cut. */
  readonly place: "whole" | "first" | "middle" | "last";
  /** It waits for credit and for nothing else, so that nothing may overtake it. */
  readonly starved: boolean;
}

/** Messages of one direction of a session that may be under way in fragments at once; the others wait. */
export const maxFragmented = 8;

/** Replies of calls that had begun when the backlog was full may fill it so many times more. */
export const overfill = 8;
/** What may go beyond a limit, since it has to be said: records without a body, statuses. */
export const slackBytes: number = 4 * 1024 * 1024;

/** What an object of a held record takes beside its bytes, roughly. */
const recordCost = 256;

/**
 * What an outbox could not send yet, by call. Calls take turns, one record each; the records of a call keep their
 * order. Of the messages that were cut, as many as the peer joins at once have begun, and the others wait in line.
 */
export class Backlog {
  /** Memory that the records take, roughly. */
  bytes = 0;
  /** Records that wait for credit and for nothing else. */
  starved = 0;
  readonly #queues = new Map<number, HeldRecord[]>();
  /** Calls that have sent some fragments of a message, but not all. */
  readonly #begun = new Set<number>();

  /** Calls of which something waits. */
  get size(): number {
    return this.#queues.size;
  }

  /** Whether nothing waits, and nothing is under way in fragments. */
  get isEmpty(): boolean {
    return this.#queues.size === 0 && this.#begun.size === 0;
  }

  has(callId: number): boolean {
    return this.#queues.has(callId);
  }

  /** Whether the record that opens a call is here, and so nothing of the call has left. */
  holdsOpening(callId: number): boolean {
    return this.#queues.get(callId)?.[0]!.head[4] === RecordType.CALL;
  }

  add(callId: number, record: HeldRecord): void {
    const queue = this.#queues.get(callId);
    if (queue) queue.push(record);
    else this.#queues.set(callId, [record]);
    this.#count(record, 1);
  }

  /** Calls in the order of their turns. The one that is looked at may be taken from. */
  calls(): IterableIterator<number> {
    return this.#queues.keys();
  }

  /** Takes the next record of a call, which then goes to the end of the line; undefined if it may not go yet. */
  take(callId: number): HeldRecord | undefined {
    const queue = this.#queues.get(callId);
    const record = queue?.[0];
    if (!queue || !record) return undefined;
    if (record.place === "first") {
      if (this.#begun.size >= maxFragmented) return undefined;
      this.#begun.add(callId);
    } else if (record.place === "last") this.#begun.delete(callId);
    queue.shift();
    this.#queues.delete(callId);
    if (queue.length > 0) this.#queues.set(callId, queue);
    this.#count(record, -1);
    return record;
  }

  /** Drops what waits of a call. Its fragments that have left count until the peer knows that no more will come. */
  drop(callId: number, peerKnows: boolean): void {
    if (peerKnows) this.#begun.delete(callId);
    const queue = this.#queues.get(callId);
    if (!queue) return;
    for (const record of queue) this.#count(record, -1);
    this.#queues.delete(callId);
  }

  clear(): void {
    this.#queues.clear();
    this.#begun.clear();
    this.bytes = this.starved = 0;
  }

  #count({ head, attachment, starved }: HeldRecord, sign: 1 | -1): void {
    this.bytes += sign * (recordCost + head.byteLength + (attachment?.byteLength ?? 0));
    if (starved) this.starved += sign;
  }
}
