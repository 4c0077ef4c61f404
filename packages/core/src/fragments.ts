/**
 * The fragments of one message, joined as they come. They are copied: a peer that sends few bytes in large frames, or
 * many frames of few bytes, makes this end keep no more than about twice the bytes of the message.
 */
export class Fragments {
  #bytes = new Uint8Array(0);
  #length = 0;

  /** Bytes so far. */
  get byteLength(): number {
    return this.#length;
  }

  add(piece: Uint8Array): void {
    const length = this.#length + piece.byteLength;
    if (length > this.#bytes.byteLength) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#bytes.byteLength));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = length;
  }

  /** The message; nothing may be added afterwards. */
  joined(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}
