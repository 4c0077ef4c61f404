import type { TopicState } from "./topics.ts";

/** How often it is looked for topics that are due, at most. */
const maxTickMs = 500;
/** Beats in one look; more are left to the next one. */
const maxBeatsPerTick = 1_000;
/** The pause doubles with each beat up to so many times the first. */
const maxPauseFactor = 64;

/**
 * Tells, some time after a topic fell silent, where it is: a subscriber that lost the last event would not know it
 * otherwise. It does so again and again, with growing pauses.
 */
export class Beats {
  readonly #intervalMs: number;
  readonly #send: (state: TopicState) => void;
  readonly #topics = new Set<TopicState>();
  #timer: NodeJS.Timeout | undefined;
  #nowMs = performance.now();

  constructor(intervalMs: number, send: (state: TopicState) => void) {
    this.#intervalMs = intervalMs;
    this.#send = send;
  }

  /** The topic was published on. */
  published(state: TopicState): void {
    if (this.#intervalMs === Infinity) return;
    state.beats = 0;
    // The clock of the last look is exact enough.
    state.beatMs = this.#timer ? this.#nowMs + this.#intervalMs : performance.now() + this.#intervalMs;
    this.#topics.add(state);
    this.#timer ??= setInterval(() => this.#tick(), Math.min(maxTickMs, this.#intervalMs));
  }

  forget(state: TopicState): void {
    this.#topics.delete(state);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#topics.clear();
  }

  #tick(): void {
    this.#nowMs = performance.now();
    let left = maxBeatsPerTick;
    for (const state of this.#topics) {
      if (state.beatMs > this.#nowMs) continue;
      this.#send(state);
      state.beatMs = this.#nowMs + this.#intervalMs * Math.min(2 ** ++state.beats, maxPauseFactor);
      if (--left === 0) return;
    }
  }
}
