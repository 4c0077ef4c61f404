import type { Limits } from "../limits.ts";
import { Flag, RecordType, WireError } from "../records.ts";
import type { BatchReader } from "../records.ts";
import { keepable } from "./passing.ts";
import type { Piece } from "./passing.ts";

/** How many messages and bytes of a stream may be on their way. */
export interface Window {
  readonly messages: number;
  readonly bytes: number;
}

/** The window of each stream that goes to an end with these limits. */
export function windowOf({ streamWindowMessages, streamWindowBytes }: Limits): Window {
  return { messages: streamWindowMessages, bytes: streamWindowBytes };
}

/** The grant of a CREDIT record of a call. */
export function grantOf(batch: BatchReader): Window {
  if (batch.metaLength !== 4) throw new WireError("a CREDIT record has no count of messages");
  let messages = 0;
  for (let index = 3; index >= 0; index--) messages = messages * 256 + batch.metaByte(index);
  return { messages, bytes: batch.aux };
}

/** The meta of a CREDIT record. */
export function creditMeta({ messages }: Window): Uint8Array {
  return Uint8Array.of(messages, messages >>> 8, messages >>> 16, messages >>> 24);
}

const mostCredit = 0xffffffff;

/**
 * The messages of one direction of a call on their way through a device. Its sender was told one window and its
 * receiver has another; the grants of the receiver go on to the sender as they come. What the sender may send and the
 * receiver may not have yet waits here: never more than the window that the device has announced.
 */
export class Flow {
  #waiting: Piece[] = [];
  readonly #told: Window;
  /** What the sender may still send. */
  #allowedMessages: number;
  #allowedBytes: number;
  /** What the receiver may still get; nothing before there is one. */
  #creditMessages = 0;
  #creditBytes = 0;

  /** `told` is the window that the sender knows. */
  constructor(told: Window) {
    this.#told = told;
    this.#allowedMessages = told.messages;
    this.#allowedBytes = told.bytes;
  }

  /**
   * A receiver is there, with its window. Returns what the sender is to be granted, so that it can fill a window that
   * is larger than the one it knows; undefined if it is not.
   */
  begin(window: Window): Window | undefined {
    const extra = {
      messages: Math.max(window.messages - this.#told.messages, 0),
      bytes: Math.max(window.bytes - this.#told.bytes, 0),
    };
    this.#creditMessages = window.messages;
    this.#creditBytes = window.bytes;
    if (extra.messages + extra.bytes === 0) return undefined;
    this.#allow(extra);
    return extra;
  }

  /** Counts what the sender has sent. False: it was not granted. */
  take(piece: Piece): boolean {
    if (!isCounted(piece)) return true;
    if (this.#allowedMessages <= 0 || this.#allowedBytes <= 0) return false;
    this.#allowedMessages -= 1;
    this.#allowedBytes -= piece.body?.byteLength ?? 0;
    return true;
  }

  /** Whether a piece may go on now; it waits if not. */
  pass(piece: Piece): boolean {
    if (this.#waiting.length === 0 && this.#spend(piece)) return true;
    this.wait(piece);
    return false;
  }

  /** Lets a piece wait. */
  wait(piece: Piece): void {
    this.#waiting.push({ ...piece, body: keepable(piece.body) });
  }

  /** The receiver has granted more, which the sender is told, too. */
  grant(granted: Window): void {
    this.#creditMessages = Math.min(this.#creditMessages + granted.messages, mostCredit);
    this.#creditBytes = Math.min(this.#creditBytes + granted.bytes, mostCredit);
    this.#allow(granted);
  }

  /** The next piece that waits and may go now. */
  next(): Piece | undefined {
    const piece = this.#waiting[0];
    if (!piece || !this.#spend(piece)) return undefined;
    this.#waiting.shift();
    return piece;
  }

  #spend(piece: Piece): boolean {
    if (!isCounted(piece)) return true;
    if (this.#creditMessages <= 0 || this.#creditBytes <= 0) return false;
    this.#creditMessages -= 1;
    this.#creditBytes -= piece.body?.byteLength ?? 0;
    return true;
  }

  #allow({ messages, bytes }: Window): void {
    this.#allowedMessages = Math.min(this.#allowedMessages + messages, mostCredit);
    this.#allowedBytes = Math.min(this.#allowedBytes + bytes, mostCredit);
  }
}

/** Messages in CALL and END need no credit. */
function isCounted({ type, flags }: Piece): boolean {
  return type === RecordType.DATA && (flags & Flag.MESSAGE) !== 0;
}
