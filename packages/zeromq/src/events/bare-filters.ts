import { escapeBytes } from "../trouble.ts";

/** How long after a subscription its subscriber has asked for it, if it knows how to. */
const askMs = 2_000;
const maxTopics = 10_000;

/**
 * Notes what is subscribed by ZeroMQ's means alone at an address where that brings nothing. Subscribers of this library do
 * that too, and ask for the same by a sync soon after; of what nobody asks for then it is told.
 */
export class BareFilters {
  readonly #tell: (kind: string, describe: () => string) => void;
  readonly #counts = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(tell: (kind: string, describe: () => string) => void) {
    this.#tell = tell;
  }

  subscribed(topic: string): void {
    if (this.#counts.size >= maxTopics && !this.#counts.has(topic)) return;
    this.#counts.set(topic, (this.#counts.get(topic) ?? 0) + 1);
    this.#timer ??= setTimeout(() => this.#look(), askMs).unref();
  }

  /** It is asked for, or not subscribed any more. */
  settled(topic: string): void {
    const count = (this.#counts.get(topic) ?? 0) - 1;
    if (count > 0) this.#counts.set(topic, count);
    else this.#counts.delete(topic);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#counts.clear();
  }

  #look(): void {
    const [topic] = this.#counts.keys();
    this.clear();
    if (topic === undefined) return;
    const text = escapeBytes(Buffer.from(topic));
    this.#tell(
      "bare",
      () =>
        `a bare SUB has subscribed to ${text} and gets nothing, since it is decided who may have what, and it cannot say who it is`,
    );
  }
}
