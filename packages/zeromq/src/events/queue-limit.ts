/** What a frame costs in the queue of a socket beyond its bytes, about. */
const frameCostBytes = 80;
/** How far back the mean looks, in messages. */
const memory = 256;
/** How often it is looked at. */
const interval = 32;
/** Even of the largest messages a few may wait. */
const leastMessages = 8;

/**
 * The high-water mark of a publisher's socket. ZeroMQ counts messages, memory has bytes: so the mark follows the mean
 * size of the last messages.
 */
export class QueueLimit {
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  readonly #apply: (messages: number) => void;
  #mean = 0;
  #untilLook = interval;
  #current: number;
  #stale = false;

  /** `apply` sets the mark of the socket, for the peers that it has. */
  constructor(maxMessages: number, maxBytes: number, apply: (messages: number) => void) {
    this.#maxMessages = maxMessages;
    this.#maxBytes = maxBytes;
    this.#current = maxMessages;
    this.#apply = apply;
  }

  /** Somebody came: those that connect to a bound socket have the mark that it was bound with. */
  joined(): void {
    this.#stale = this.#current !== this.#maxMessages;
  }

  /** To be told of each message before it is sent. */
  sending(frames: number, bytes: number): void {
    const cost = bytes + frames * frameCostBytes;
    // One that is far larger than those before has to count at once.
    this.#mean += cost > this.#mean * 8 ? (cost - this.#mean) / 8 : (cost - this.#mean) / memory;
    if (--this.#untilLook > 0 && !this.#stale && cost < this.#mean * 8) return;
    this.#untilLook = interval;
    const fitting = Math.floor(this.#maxBytes / Math.max(this.#mean, 1));
    const wanted = Math.min(this.#maxMessages, Math.max(leastMessages, fitting));
    const differs = wanted < this.#current * 0.9 || wanted > this.#current * 1.25;
    if (!differs && !this.#stale) return;
    if (differs) this.#current = wanted;
    this.#stale = false;
    this.#apply(this.#current);
  }
}
