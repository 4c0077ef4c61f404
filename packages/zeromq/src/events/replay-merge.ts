import type { EventRun, RemotePublisher, Track } from "./track.ts";

interface Held {
  readonly track: Track;
  readonly sequence: number;
  readonly body: Buffer;
  readonly address: string;
}

type Accept = (track: Track, sequence: number, body: Buffer, replayed: boolean, address: string) => void;

/**
 * Puts what a publisher had kept before what it published since: until its kept events are here, those that arrive are
 * held. Both may have the same events, of which each is accepted once.
 */
export class ReplayMerge {
  readonly #max: number;
  readonly #accept: Accept;
  readonly #held = new Map<RemotePublisher, { sinceMs: number; events: Held[] }>();

  constructor(max: number, accept: Accept) {
    this.#max = max;
    this.#accept = accept;
  }

  hold(track: Track, sequence: number, body: Buffer, address: string): void {
    let held = this.#held.get(track.publisher);
    if (!held) this.#held.set(track.publisher, (held = { sinceMs: performance.now(), events: [] }));
    held.events.push({ track, sequence, body, address });
    // As when nobody takes them: the oldest go. Those that the publisher kept come again.
    if (held.events.length > this.#max * 2) held.events.splice(0, held.events.length - this.#max);
  }

  /** Publishers whose events are held since before a time. */
  overdue(beforeMs: number): RemotePublisher[] {
    return [...this.#held].filter(([, { sinceMs }]) => sinceMs < beforeMs).map(([publisher]) => publisher);
  }

  /** For each topic: what is older than the kept events, the kept ones, and what is newer. */
  merge(publisher: RemotePublisher, kept: readonly EventRun[]): void {
    const held = this.#held.get(publisher)?.events ?? [];
    this.#held.delete(publisher);
    const ranges = new Map<Track, { first: number; end: number }>();
    for (const { track, sequence, bodies } of kept) {
      const range = ranges.get(track);
      if (range) range.end = sequence + bodies.length;
      else ranges.set(track, { first: sequence, end: sequence + bodies.length });
    }
    for (const { track, sequence, body, address } of held)
      if (sequence < (ranges.get(track)?.first ?? 0)) this.#accept(track, sequence, body, false, address);
    for (const { track, sequence, bodies, address } of kept)
      bodies.forEach((body, index) => this.#accept(track, sequence + index, body, true, address));
    for (const { track, sequence, body, address } of held)
      if (sequence >= (ranges.get(track)?.end ?? 0)) this.#accept(track, sequence, body, false, address);
  }
}
