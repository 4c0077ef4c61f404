import type { BatchProgress } from "../pipeline-types.ts";
import { RpcError } from "../rpc-error.ts";
import { isPromiseLike } from "../stream.ts";
import { Timed, now } from "../timer-wheel.ts";
import type { TimerWheel } from "../timer-wheel.ts";

/** The rate is that of a stretch of one to two times as long. */
const stretchMs = 1_000;

/** Jobs per second, of late. */
export class RateMeter {
  #from = { atMs: now(), count: 0 };
  #next = this.#from;

  /** The rate now that so many are done in all. */
  rate(count: number): number {
    const atMs = now();
    if (atMs - this.#next.atMs >= stretchMs) {
      this.#from = this.#next;
      this.#next = { atMs, count };
    }
    const elapsedMs = atMs - this.#from.atMs;
    return elapsedMs <= 0 ? 0 : ((count - this.#from.count) * 1_000) / elapsedMs;
  }
}

/** Tells of progress, at most once in an interval, and at the end. */
export class ProgressReporter extends Timed {
  readonly #wheel: TimerWheel;
  readonly #intervalMs: number;
  readonly #tell: (() => void) | undefined;
  #toldMs = -Infinity;
  #over = false;

  constructor(wheel: TimerWheel, intervalMs: number, tell: (() => void) | undefined) {
    super();
    this.#wheel = wheel;
    this.#intervalMs = intervalMs;
    this.#tell = tell;
  }

  /** Something has changed. */
  changed(): void {
    if (!this.#tell || this.#over || this.tick !== 0) return;
    this.#wheel.add(this, Math.max(this.#toldMs + this.#intervalMs, now()));
  }

  onDeadline(): void {
    this.#toldMs = now();
    this.#tell?.();
  }

  /** Nothing will change any more. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#wheel.remove(this);
    this.#tell?.();
  }
}

/** Counts of a batch, from which its progress is told. */
export interface Counts {
  total: number | undefined;
  read: number;
  running: number;
  done: number;
  failed: number;
  retried: number;
}

export function progressOf(counts: Counts, rate: RateMeter): BatchProgress {
  const { total, read, running, done, failed, retried } = counts;
  const waiting = read - running - done - failed;
  return { total, waiting, running, done, failed, retried, ratePerSecond: rate.rate(done) };
}

/** How many jobs a source has, if it says so. */
export function sizeOf(source: unknown): number | undefined {
  if (Array.isArray(source)) return source.length;
  return source instanceof Set || source instanceof Map ? source.size : undefined;
}

/** Calls something of the application's; what that throws, now or later, is told in words. */
export function guardedCallback(name: string, callback: () => unknown, onTrouble: (problem: string) => void): void {
  const told = (thrown: unknown): void => onTrouble(`${name} failed: ${RpcError.from(thrown).message}`);
  try {
    const result = callback();
    if (isPromiseLike(result)) result.then(undefined, told);
  } catch (thrown) {
    told(thrown);
  }
}
