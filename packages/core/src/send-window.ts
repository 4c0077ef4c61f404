/** More than any window: nothing is counted before the ends have met. */
const unlimitedBytes = 2 ** 30;

/** How much one end of a session may still send before the other grants more, and whether large things were read. */
export class SendWindow {
  /** The last batch may take it below 0; while it is above, a batch may be sent, whatever its size. */
  bytes: number = unlimitedBytes;
  #mostBytes = unlimitedBytes;
  /** What the peer had not read, up to the last attachment, when that was sent; less what it has granted since. */
  #owedBytes = 0;

  /** Whether something large may still be on its way: the peer has not granted all of it anew. */
  get isOwed(): boolean {
    return this.#owedBytes > 0;
  }

  /** Begins to count. */
  limit(bytes: number): void {
    this.bytes = this.#mostBytes = bytes;
    this.#owedBytes = 0;
  }

  spend(bytes: number, isLarge: boolean): void {
    this.bytes -= bytes;
    if (isLarge) this.#owedBytes = this.#mostBytes - this.bytes;
  }

  /** The peer has read as many bytes. More than was sent it cannot have read. */
  grant(bytes: number): void {
    this.bytes = Math.min(this.bytes + bytes, this.#mostBytes);
    this.#owedBytes = Math.max(this.#owedBytes - bytes, 0);
  }
}
