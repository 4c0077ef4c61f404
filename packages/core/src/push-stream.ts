import { RpcError } from "./rpc-error.ts";
import { Status } from "./status.ts";

interface Pushed<T> {
  readonly item: T;
  taken(): void;
  dropped(error: unknown): void;
}

/**
 * A stream of messages that are pushed when there are any: what a caller gives to a method that streams requests, or a
 * handler returns, where a generator would be awkward.
 *
 *     const lines = new PushStream<MessageInit<ChatLine>>();
 *     const replies = client.chat(lines);
 *     await lines.push({ text: "hello" });
 *     lines.end();
 *
 * It is for one consumer. Whoever awaits `push` goes at the pace of the peer; whoever does not must bound what waits.
 */
export class PushStream<T> implements AsyncIterableIterator<T, undefined> {
  #waiting: Pushed<T>[] = [];
  #taker: { resolve: (result: IteratorResult<T, undefined>) => void; reject: (error: unknown) => void } | undefined;
  #end: { error?: unknown } | undefined;
  #left = false;

  /** Messages that were pushed and not yet taken. */
  get size(): number {
    return this.#waiting.length;
  }

  /** Whether the consumer has gone: nothing that is pushed now will arrive. */
  get left(): boolean {
    return this.#left;
  }

  /** Resolves when the message was taken. Rejects CANCELLED when the call is over, and with Error after `end`. */
  push(item: T): Promise<void> {
    if (this.#left) return unwatched(Promise.reject(overError()));
    if (this.#end) return Promise.reject(new Error("nothing can be pushed after end() or fail()"));
    const taker = this.#taker;
    if (taker) {
      this.#taker = undefined;
      taker.resolve({ done: false, value: item });
      return Promise.resolve();
    }
    return unwatched(new Promise((taken, dropped) => this.#waiting.push({ item, taken, dropped })));
  }

  /** No more messages will come. Those that wait are still taken. */
  end(): void {
    this.#finish({});
  }

  /** Ends the stream with an error, which ends the call; messages that wait are still taken before. */
  fail(error: unknown): void {
    this.#finish({ error });
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const next = this.#waiting.shift();
    if (next) {
      next.taken();
      return Promise.resolve({ done: false, value: next.item });
    }
    return new Promise((resolve, reject) => {
      this.#taker = { resolve, reject };
      if (this.#end) this.#settle(this.#end);
    });
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#left = true;
    const dropped = this.#waiting;
    this.#waiting = [];
    for (const each of dropped) each.dropped(overError());
    this.#end = {};
    this.#settle({});
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #finish(end: { error?: unknown }): void {
    if (this.#end) return;
    this.#end = end;
    this.#settle(end);
  }

  #settle(end: { error?: unknown }): void {
    const taker = this.#taker;
    this.#taker = undefined;
    if ("error" in end) taker?.reject(end.error);
    else taker?.resolve({ done: true, value: undefined });
  }
}

/** That a call is over is no error of a program that does not wait for its pushes. */
function unwatched(pushed: Promise<void>): Promise<void> {
  pushed.catch(() => undefined);
  return pushed;
}

function overError(): RpcError {
  return new RpcError(Status.CANCELLED, "the call is over");
}
