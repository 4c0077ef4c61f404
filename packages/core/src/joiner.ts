import { Flag, WireError, attachBytes, copyOf } from "./records.ts";
import type { BatchReader } from "./records.ts";

/** Gathers the fragments of one message, and joins them when the last is there. */
export class Joiner {
  bytes = 0;
  /** Whether the first fragment says so of the message. */
  isCompressed = false;
  readonly #parts: Uint8Array[] = [];

  /** Takes a fragment. What is not an attachment is copied, since it would keep its whole batch in memory. */
  add(batch: BatchReader): void {
    if ((batch.flags & Flag.MORE) !== 0 && batch.bodyLength < attachBytes)
      throw new WireError(`a fragment that is not the last has less than ${attachBytes} bytes`);
    const view = batch.bodyView();
    if (this.#parts.length === 0) this.isCompressed = (batch.flags & Flag.COMPRESSED) !== 0;
    this.bytes += view.byteLength;
    this.#parts.push((batch.flags & Flag.ATTACHED) === 0 ? copyOf(view) : view);
  }

  /** The whole message. */
  joined(): Uint8Array {
    const body = new Uint8Array(this.bytes);
    let offset = 0;
    for (const part of this.#parts) {
      body.set(part, offset);
      offset += part.byteLength;
    }
    return body;
  }
}
