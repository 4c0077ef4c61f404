import { PackedMessage } from "./compression.ts";
import type { MessageInit } from "./contract.ts";
import { RpcError } from "./rpc-error.ts";
import { now } from "./timer-wheel.ts";
import { inNextTurn } from "./turn.ts";

/** Messages that a caller streams: any async iterable, iterable or ReadableStream. It is closed when the call ends early. */
export type RequestStream<T> =
  AsyncIterable<MessageInit<T>> | Iterable<MessageInit<T>> | { getReader(): StreamReader<MessageInit<T>> };

/** The part of a ReadableStream's reader that is used. */
export interface StreamReader<T> {
  read(): Promise<{ done: boolean; value?: T | undefined }>;
  cancel(reason?: unknown): Promise<void>;
}

/** Messages that a server streams. Leaving the loop early, `cancel` and `await using` end the call on both ends. */
export interface ResponseStream<T> extends AsyncIterableIterator<T>, AsyncDisposable {
  cancel(reason?: unknown): void;
  return(value?: unknown): Promise<IteratorResult<T>>;
  [Symbol.asyncIterator](): ResponseStream<T>;
}

/** Who is told of what the consumer of an inbound stream does. */
export interface InboundOwner {
  /** The consumer took as much; the peer may send as much again. */
  taken(messages: number, bytes: number): void;
  /** The consumer wants no more. */
  left(reason: unknown): void;
  /** The message that came compressed; an error if there is none in it, with which a call that was open has ended. */
  opened(packed: PackedMessage): { value: unknown } | RpcError;
}

interface Waiter<T> {
  resolve(result: IteratorResult<T>): void;
  reject(error: unknown): void;
}

/**
 * The receiving end of a stream: buffers what came, up to the window, until the consumer takes it. The status comes
 * after all messages that came before it; what happens on this end (cancel, deadline) comes at once.
 */
export class Inbound<T> implements ResponseStream<T> {
  readonly #owner: InboundOwner;
  readonly #windowMessages: number;
  readonly #windowBytes: number;
  #items: { value: T; bytes: number }[] = [];
  #head = 0;
  #bufferedBytes = 0;
  #takenMessages = 0;
  #takenBytes = 0;
  #waiters: Waiter<T>[] = [];
  #done = false;
  #error: { thrown: unknown } | undefined;

  constructor(owner: InboundOwner, windowMessages: number, windowBytes: number) {
    this.#owner = owner;
    this.#windowMessages = windowMessages;
    this.#windowBytes = windowBytes;
  }

  /** Adds a message, which may be a PackedMessage. False: the peer has sent more than it was granted. */
  push(value: T, bytes: number): boolean {
    if (this.#done) return true;
    if (this.#waiters.length > 0) {
      // If there is nothing in it, whoever waits has been told so.
      const opened = this.#opened(value);
      if (opened instanceof RpcError) return true;
      const waiter = this.#waiters.shift();
      this.#took(bytes);
      waiter?.resolve(opened);
      return true;
    }
    const buffered = this.#items.length - this.#head;
    if (buffered + this.#takenMessages >= this.#windowMessages) return false;
    if (this.#bufferedBytes + this.#takenBytes >= this.#windowBytes) return false;
    this.#items.push({ value, bytes });
    this.#bufferedBytes += bytes;
    return true;
  }

  /** No more messages will come; with an error the consumer gets it after those that are there. */
  end(error?: { thrown: unknown }): void {
    if (this.#done) return;
    this.#done = true;
    this.#error = error;
    if (this.#waiters.length === 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) this.#finish(waiter);
  }

  /** Ends at once: what the consumer has not taken is dropped. */
  abort(thrown: unknown): void {
    if (!this.#done) this.end({ thrown });
    else if (this.#items.length > this.#head) this.#error = { thrown };
    this.#items = [];
    this.#head = 0;
    this.#bufferedBytes = 0;
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#head < this.#items.length) {
      const { value, bytes } = this.#items[this.#head]!;
      if (++this.#head === this.#items.length) {
        this.#items = [];
        this.#head = 0;
      }
      this.#bufferedBytes -= bytes;
      this.#took(bytes);
      const opened = this.#opened(value);
      if (!(opened instanceof RpcError)) return Promise.resolve(opened);
      // Where the end has come already, nobody else says so, and the stream must not look complete.
      this.abort(opened);
      this.#error ??= { thrown: opened };
    }
    return new Promise((resolve, reject) => {
      if (this.#done) this.#finish({ resolve, reject });
      else this.#waiters.push({ resolve, reject });
    });
  }

  return(): Promise<IteratorResult<T>> {
    this.#leave(undefined);
    return Promise.resolve({ done: true, value: undefined });
  }

  cancel(reason?: unknown): void {
    this.#owner.left(reason);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#leave(undefined);
    return Promise.resolve();
  }

  #opened(value: T): { done: false; value: T } | RpcError {
    if (!(value instanceof PackedMessage)) return { done: false, value };
    const opened = this.#owner.opened(value);
    return opened instanceof RpcError ? opened : { done: false, value: opened.value as T };
  }

  #leave(reason: unknown): void {
    // Whoever has left sees the end, not the cancellation that leaving causes.
    this.end();
    this.#error = undefined;
    this.#items = [];
    this.#head = 0;
    this.#owner.left(reason);
  }

  /** An error is thrown once; after it the stream is simply over. */
  #finish(waiter: Waiter<T>): void {
    const error = this.#error;
    this.#error = undefined;
    if (error) waiter.reject(error.thrown);
    else waiter.resolve({ done: true, value: undefined });
  }

  #took(bytes: number): void {
    this.#takenMessages += 1;
    this.#takenBytes += bytes;
    if (this.#done) return;
    if (this.#takenMessages * 2 < this.#windowMessages && this.#takenBytes * 2 < this.#windowBytes) return;
    this.#owner.taken(this.#takenMessages, this.#takenBytes);
    this.#takenMessages = 0;
    this.#takenBytes = 0;
  }
}

/** Where a pump puts what it takes from its source. */
export interface StreamSink {
  /** Nothing more is wanted. */
  readonly ended: boolean;
  /** Undefined if a message may be written now, else a promise of when to ask again. Never rejects. */
  writable(): Promise<void> | undefined;
  write(item: unknown): void;
  /**
   * Called with the source's iterator before anything is taken, and with undefined once it is done or has thrown; the
   * sink closes the one that it has if the call ends early.
   */
  draws(source: SourceIterator | undefined): void;
}

/** An iterator, synchronous or not. */
export type SourceIterator = Iterator<unknown> | AsyncIterator<unknown>;

/** A source that never waits is looked after once in so many messages, and shares a slice of time with all others. */
const lookEvery = 32;
const sliceMs = 5;
let sliceEndMs = 0;

/** Lets the event loop have a turn when the streams have had their time. */
async function yieldByTime(): Promise<void> {
  if (now() < sliceEndMs) return;
  await new Promise<void>(inNextTurn);
  if (now() >= sliceEndMs) sliceEndMs = now() + sliceMs;
}

/**
 * Moves everything from a source to a sink, at the sink's pace. Resolves true when the source is done, false when the
 * sink ended first; rejects with what the source throws.
 */
export async function pump(source: unknown, sink: StreamSink): Promise<boolean> {
  const iterator = iterate(source);
  sink.draws(iterator);
  if (sink.ended) return false;
  try {
    for (let taken = 1; ; taken++) {
      if (taken % lookEvery === 0) await yieldByTime();
      const next: unknown = iterator.next();
      const result = checkResult(isPromiseLike(next) ? await next : next);
      if (sink.ended) return false;
      if (result.done) break;
      const { value } = result;
      for (let full = sink.writable(); full; full = sink.writable()) await full;
      if (sink.ended) return false;
      sink.write(value);
      if (sink.ended) return false;
    }
  } catch (thrown) {
    // A source that has thrown is over, and is not closed.
    if (!sink.ended) sink.draws(undefined);
    throw thrown;
  }
  sink.draws(undefined);
  return true;
}

/** What a source gave; throws TypeError for what no iterator may give. */
export function checkResult(result: unknown): IteratorResult<unknown> {
  if (typeof result === "object" && result !== null) return result as IteratorResult<unknown>;
  throw new TypeError(`next() of a stream of messages must give { done, value }, not ${typeof result}`);
}

/** Closing a source must neither wait nor throw: it may be in the middle of a wait of its own. */
export function closeSource(source: SourceIterator): void {
  try {
    const closing: unknown = source.return?.();
    if (isPromiseLike(closing)) closing.then(undefined, () => undefined);
  } catch {
    // The call is over; what its source has to say comes too late.
  }
}

/** Whether a value can be streamed. */
export function isStreamable(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Symbol.asyncIterator in value || Symbol.iterator in value || "getReader" in value;
}

/** Tells promises and thenables of any realm from results. */
export function isPromiseLike<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

/** The iterator of anything that can be streamed. */
export function iterate(source: unknown): SourceIterator {
  if (typeof source === "object" && source !== null) {
    if (Symbol.asyncIterator in source) return (source as AsyncIterable<unknown>)[Symbol.asyncIterator]();
    if (Symbol.iterator in source) return (source as Iterable<unknown>)[Symbol.iterator]();
    if ("getReader" in source) return readerIterator((source as { getReader(): StreamReader<unknown> }).getReader());
  }
  throw new TypeError(
    `a stream of messages must be an AsyncIterable, an Iterable or a ReadableStream, not ${typeof source}`,
  );
}

/** ReadableStreams of some hosts cannot be iterated. */
function readerIterator(reader: StreamReader<unknown>): AsyncIterator<unknown> {
  return {
    async next() {
      const { done, value } = await reader.read();
      return done ? { done: true, value: undefined } : { done: false, value };
    },
    async return() {
      await reader.cancel();
      return { done: true, value: undefined };
    },
  };
}
