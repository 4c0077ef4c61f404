import { checkResult, isPromiseLike } from "./stream.ts";
import type { SourceIterator, StreamSink } from "./stream.ts";

/** Messages that are kept; a stream that has given more by the time its server refuses it cannot be sent elsewhere. */
const maxKept = 128;

type Result = IteratorResult<unknown>;

const over: Result = { done: true, value: undefined };

/**
 * The messages of a caller that streams, which can be given once more from the first on, as long as no sign has come
 * that the server took any. What was given is kept by reference until then, for at most 128 messages.
 */
export class ReplaySource {
  readonly #source: SourceIterator;
  #kept: unknown[] | undefined = [];
  #position = 0;
  #settled = false;
  /** Counts the readers, of which only the last matters. */
  #reader = 0;
  #pending: Promise<Result> | undefined;
  #end: Result | undefined;

  constructor(source: SourceIterator) {
    this.#source = source;
  }

  /** The next reader begins with the first message. False: it cannot. */
  rewind(): boolean {
    if (!this.#kept || this.#settled) return false;
    this.#position = 0;
    this.#reader += 1;
    return true;
  }

  /** A sign has come: nothing has to be given again. */
  settle(): void {
    this.#settled = true;
    if (this.#position === this.#kept?.length && !this.#pending) this.#kept = undefined;
  }

  /**
   * Reads from where the source stands. A reader that was rewound from under its feet gets nothing more: what it took
   * would be missing to the one that came after it. Results are promises only where the source makes them.
   */
  reader(): AsyncIterable<unknown> {
    const number = this.#reader;
    const next = (): Result | Promise<Result> => (number === this.#reader ? this.#next(next) : over);
    const reader = { next, return: () => this.#source.return?.() };
    return { [Symbol.asyncIterator]: () => reader as AsyncIterator<unknown> };
  }

  #next(again: () => Result | Promise<Result>): Result | Promise<Result> {
    const kept = this.#kept;
    if (kept && this.#position < kept.length) return { done: false, value: kept[this.#position++] };
    if (this.#end) return this.#end;
    // A reader before this one has asked for it.
    if (this.#pending) return this.#pending.then(again);
    if (kept && (this.#settled || kept.length >= maxKept)) this.#kept = undefined;
    const result = this.#source.next();
    if (!this.#kept) return result;
    const reader = this.#reader;
    if (!isPromiseLike(result)) return this.#drawn(result, reader);
    return (this.#pending = Promise.resolve(result).then((drawn) => this.#drawn(drawn, reader)));
  }

  #drawn(result: Result, reader: number): Result {
    this.#pending = undefined;
    if (checkResult(result).done) this.#end = result;
    else if (this.#kept) {
      this.#kept.push(result.value);
      if (reader === this.#reader) this.#position = this.#kept.length;
    }
    return result;
  }
}

/** Takes requests to the session that a call has now; once it is stopped, whatever still comes is not for that one. */
export class RequestSink implements StreamSink {
  readonly #call: StreamSink;
  #stopped = false;

  constructor(call: StreamSink) {
    this.#call = call;
  }

  get ended(): boolean {
    return this.#stopped || this.#call.ended;
  }

  stop(): void {
    this.#stopped = true;
  }

  writable(): Promise<void> | undefined {
    return this.ended ? undefined : this.#call.writable();
  }

  write(item: unknown): void {
    this.#call.write(item);
  }

  draws(source: SourceIterator | undefined): void {
    if (!this.#stopped) this.#call.draws(source);
  }
}
