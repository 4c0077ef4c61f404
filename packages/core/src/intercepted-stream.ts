import type { CallBounds } from "./call-bounds.ts";
import { cancelled } from "./call-errors.ts";
import { ContextKey } from "./context.ts";
import { isPromiseLike } from "./stream.ts";
import type { ResponseStream } from "./stream.ts";
import { inNextTurn } from "./turn.ts";

type Result = IteratorResult<unknown>;

interface Waiter {
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/**
 * What interceptors made of a stream of replies, with the face that callers expect. It is ended at once, here and on
 * the server, even while its interceptors wait for a message: a generator alone would first have to get one.
 */
export class InterceptedStream implements ResponseStream<unknown> {
  readonly #path: string;
  readonly #bounds: CallBounds | undefined;
  /** The calls that interceptors have begun for it. */
  readonly #calls: ResponseStream<unknown>[] = [];
  readonly #waiting = new Set<Waiter>();
  #source: AsyncIterator<unknown> | PromiseLike<AsyncIterator<unknown>> | undefined;
  #isOver = false;
  #error: { thrown: unknown } | undefined;
  /** Why it must be over, once it must; whoever reads on hears what its interceptors say of that, or this. */
  #expired: { thrown: unknown } | undefined;

  constructor(path: string, bounds: CallBounds | undefined) {
    this.#path = path;
    this.#bounds = bounds;
  }

  /** Draws from what the interceptors return; what they throw comes as the stream's error. */
  draw(run: () => unknown): ResponseStream<unknown> {
    try {
      const result = run();
      if (isResponseStream(result)) return result;
      this.#source = isPromiseLike(result) ? result.then((made) => this.#iterate(made)) : this.#iterate(result);
      // Whoever takes the first message hears of it.
      if (isPromiseLike(this.#source)) this.#source.then(undefined, () => undefined);
      this.#bounds?.arm((thrown) => {
        this.#expired = { thrown };
        if (this.#waiting.size > 0) this.#fail(this.#expired);
      });
    } catch (thrown) {
      this.#end({ thrown });
    }
    return this;
  }

  /** A call has begun for this stream. */
  opened(call: ResponseStream<unknown>): void {
    if (this.#isOver) void call.return();
    else this.#calls.push(call);
  }

  next(): Promise<Result> {
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      this.#waiting.add(waiter);
      if (this.#isOver || this.#source === undefined) return this.#end(this.#error);
      if (this.#expired) inNextTurn(() => this.#waiting.has(waiter) && this.#fail(this.#expired));
      this.#take(this.#source).then(
        (result) => {
          if (!this.#waiting.delete(waiter)) return;
          if (result.done) this.#over();
          resolve(result);
        },
        (thrown: unknown) => {
          if (!this.#waiting.delete(waiter)) return;
          this.#over();
          reject(thrown);
        },
      );
    });
  }

  return(): Promise<Result> {
    this.#fail(undefined);
    return Promise.resolve({ done: true, value: undefined });
  }

  cancel(reason?: unknown): void {
    if (this.#isOver) return;
    this.#end({ thrown: cancelled(this.#path, reason, undefined) });
    for (const call of this.#calls) call.cancel(reason);
    this.#closeSource();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  async #take(source: AsyncIterator<unknown> | PromiseLike<AsyncIterator<unknown>>): Promise<Result> {
    return await (isPromiseLike(source) ? (await source).next() : source.next());
  }

  #iterate(made: unknown): AsyncIterator<unknown> {
    if (typeof made === "object" && made !== null && Symbol.asyncIterator in made)
      return (made as AsyncIterable<unknown>)[Symbol.asyncIterator]();
    throw new TypeError(
      `an interceptor of ${this.#path} must return an AsyncIterable of replies, as next(call) does, not ${typeof made}`,
    );
  }

  /** Ends it and what its interceptors have begun. */
  #fail(error: { thrown: unknown } | undefined): void {
    this.#end(error);
    for (const call of this.#calls) void call.return();
    this.#closeSource();
  }

  #over(): void {
    this.#isOver = true;
    this.#bounds?.release();
  }

  /** An error is thrown once; whoever waits beside or comes later sees the end. */
  #end(error: { thrown: unknown } | undefined): void {
    this.#over();
    this.#error = error;
    for (const waiter of this.#waiting) {
      if (this.#error) waiter.reject(this.#error.thrown);
      else waiter.resolve({ done: true, value: undefined });
      this.#error = undefined;
    }
    this.#waiting.clear();
  }

  /** Lets generators clean up when they come to it. */
  #closeSource(): void {
    const close = async (): Promise<unknown> => await (await this.#source)?.return?.();
    close().catch(() => undefined);
  }
}

/** The stream that a call belongs to, where interceptors are around it. */
export const interceptedStream: ContextKey<InterceptedStream | undefined> = new ContextKey(
  "zerobind stream",
  undefined,
);

function isResponseStream(value: unknown): value is ResponseStream<unknown> {
  if (typeof value !== "object" || value === null) return false;
  return ["next", "return", "cancel", Symbol.asyncIterator, Symbol.asyncDispose].every(
    (name) => typeof (value as Record<PropertyKey, unknown>)[name] === "function",
  );
}
