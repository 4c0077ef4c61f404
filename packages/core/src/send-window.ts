/** How much one end of a session may still send before the other grants more, and how much of it has been read. */
export class SendWindow {
  /** The last batch may take it below 0; while it is above, a batch may be sent, whatever its size. */
  bytes: number = Infinity;
  #mostBytes = Infinity;
  #sentBytes = 0;
  #grantedBytes = 0;
  /** How much had been sent when the last attachment had. */
  #largeAtBytes = 0;

  /** Whether something large may still be on its way: the peer has not granted all of it anew. */
  get isOwed(): boolean {
    return this.#largeAtBytes > this.#grantedBytes;
  }

  /** Begins to count. */
  limit(bytes: number): void {
    this.bytes = this.#mostBytes = bytes;
    this.#sentBytes = this.#grantedBytes = this.#largeAtBytes = 0;
  }

  spend(bytes: number, isLarge: boolean): void {
    this.bytes -= bytes;
    this.#sentBytes += bytes;
    if (isLarge) this.#largeAtBytes = this.#sentBytes;
  }

  /** The peer has read as many bytes. More than was sent it cannot have read. */
  grant(bytes: number): void {
    this.#grantedBytes += bytes;
    this.bytes = Math.min(this.bytes + bytes, this.#mostBytes);
  }
}
