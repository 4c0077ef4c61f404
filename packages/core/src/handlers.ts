import { runAs } from "./ambient.ts";
import { compose } from "./interceptor.ts";
import type { Interceptor } from "./interceptor.ts";
import { Turnstile } from "./instances.ts";
import type { Instances } from "./instances.ts";
import type { IncomingCall } from "./operation.ts";
import type { Serialize } from "./serve-options.ts";
import { isPromiseLike, isStreamable, iterate } from "./stream.ts";
import type { SourceIterator } from "./stream.ts";

/** Carries a call out: gives the reply, or the source of replies, or a promise of either. */
export type Invoke = (request: unknown, call: IncomingCall) => unknown;

/** Takes what a handler threw. */
export type Failed = (call: IncomingCall, thrown: unknown) => void;

type HandlerMethod = (this: object, request: unknown, call: IncomingCall) => unknown;

/** Carries calls out on an object that is always the same. */
export function direct(handler: object, member: string): Invoke {
  const implementation = (handler as Record<string, HandlerMethod>)[member]!;
  return (request, call) => implementation.call(handler, request, call);
}

/** What calls of a class have in common: its instances, and who may run at the same time. */
export class Scopes {
  readonly #instances: Instances | undefined;
  readonly #handler: object;
  readonly #turnstiles = new WeakMap<object, Turnstile>();

  /** A handler that is always the same, or a class and its instances. */
  constructor(handler: object, instances: Instances | undefined) {
    this.#instances = instances;
    this.#handler = handler;
  }

  /** Carries calls out on the instance that is theirs, one after the other where they are to be serialized. */
  scoped(member: string, serialize: Serialize, serverStreams: boolean): Invoke {
    const enter = (call: IncomingCall): Promise<Scope> => this.#enter(call, serialize);
    const invoke = ({ instance }: Scope, request: unknown, call: IncomingCall): unknown =>
      (instance as Record<string, HandlerMethod>)[member]!(request, call);
    if (serverStreams)
      return (request, call) =>
        new ScopedStream(call, enter, (scope) => iterateResult(invoke(scope, request, call), call));
    return async (request, call) => {
      const scope = await enter(call);
      try {
        return call.ended ? undefined : await invoke(scope, request, call);
      } finally {
        scope.leave();
      }
    };
  }

  async #enter(call: IncomingCall, serialize: Serialize): Promise<Scope> {
    const leaves: (() => void)[] = [];
    const leave = (): void => {
      for (const each of leaves.toReversed()) each();
    };
    const pass = async (key: object): Promise<void> => {
      const turnstile = this.#turnstile(key);
      await turnstile.enter(call);
      leaves.push(() => turnstile.leave());
    };
    try {
      if (serialize === "session" && call.session) await pass(call.session);
      const held = await this.#instances?.enter(call);
      if (held) leaves.push(() => this.#instances?.leave(held));
      const instance = held?.instance ?? this.#handler;
      if (serialize === "instance") await pass(instance);
      return { instance, leave };
    } catch (error) {
      leave();
      throw error;
    }
  }

  #turnstile(key: object): Turnstile {
    let turnstile = this.#turnstiles.get(key);
    if (!turnstile) this.#turnstiles.set(key, (turnstile = new Turnstile()));
    return turnstile;
  }
}

interface Scope {
  readonly instance: object;
  leave(): void;
}

/**
 * The replies of a handler that has an instance: it is entered for the first of them, and left when they are over,
 * however they end. Interceptors may drop a stream unread.
 */
class ScopedStream implements AsyncIterableIterator<unknown> {
  readonly #call: IncomingCall;
  readonly #enter: (call: IncomingCall) => Promise<Scope>;
  readonly #start: (scope: Scope) => Promise<SourceIterator>;
  #scope: Promise<Scope> | undefined;
  #source: Promise<SourceIterator | undefined> | undefined;
  #left = false;

  constructor(
    call: IncomingCall,
    enter: (call: IncomingCall) => Promise<Scope>,
    start: (scope: Scope) => Promise<SourceIterator>,
  ) {
    this.#call = call;
    this.#enter = enter;
    this.#start = start;
  }

  async next(): Promise<IteratorResult<unknown>> {
    if (this.#left) return { done: true, value: undefined };
    try {
      const source = await (this.#source ??= this.#open());
      const result = await source?.next();
      if (result && !result.done) return result;
    } catch (error) {
      await this.#leave();
      throw error;
    }
    await this.#leave();
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<unknown>> {
    try {
      const source = await this.#source;
      await source?.return?.();
    } finally {
      await this.#leave();
    }
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #open(): Promise<SourceIterator | undefined> {
    const scope = await (this.#scope = this.#enter(this.#call));
    return this.#call.ended ? undefined : this.#start(scope);
  }

  async #leave(): Promise<void> {
    if (this.#left) return;
    this.#left = true;
    (await this.#scope)?.leave();
  }
}

/** What a streaming handler gave, as an iterator. */
async function iterateResult(result: unknown, call: IncomingCall): Promise<SourceIterator> {
  return iterate(checkStreamable(isPromiseLike(result) ? await result : result, call));
}

function checkStreamable(source: unknown, { path }: IncomingCall): unknown {
  if (isStreamable(source)) return source;
  throw new TypeError(
    `the handler of ${path} must return an AsyncIterable or Iterable of messages, not ${typeof source}`,
  );
}

/** Puts interceptors around. */
export function intercepted(interceptors: readonly Interceptor[], invoke: Invoke): Invoke {
  if (interceptors.length === 0) return invoke;
  const run = compose(interceptors, ({ request, context }) => invoke(request, context as IncomingCall));
  return (request, call) => {
    const { method, path, metadata, items } = call;
    return run({ side: "server", method, path, request, metadata, options: undefined, context: call, items });
  };
}

/** Runs calls that have one reply; what the handler starts knows the call that it belongs to. */
export function unaryRunner(invoke: Invoke, clientStreams: boolean, failed: Failed): (call: IncomingCall) => void {
  const start = (call: IncomingCall): void => {
    try {
      const result = invoke(clientStreams ? call.requests : call.request, call);
      if (isPromiseLike(result)) {
        result.then(
          (value) => answer(call, value, failed),
          (thrown: unknown) => failed(call, thrown),
        );
      } else answer(call, result, failed);
    } catch (thrown) {
      failed(call, thrown);
    }
  };
  return (call) => runAs(call, start);
}

/** Runs calls whose replies stream. */
export function streamRunner(invoke: Invoke, clientStreams: boolean, failed: Failed): (call: IncomingCall) => void {
  const start = async (call: IncomingCall): Promise<void> => {
    try {
      let source = invoke(clientStreams ? call.requests : call.request, call);
      if (isPromiseLike(source)) source = await source;
      await call.replyAll(checkStreamable(source, call));
    } catch (thrown) {
      failed(call, thrown);
    }
  };
  return (call) => void runAs(call, start);
}

function answer(call: IncomingCall, value: unknown, failed: Failed): void {
  if (call.status !== "open") return;
  if (call.oneWay) call.reply();
  else if (typeof value === "object" && value !== null) call.reply(value);
  else if (value === undefined && call.method.output.$type === "google.protobuf.Empty") call.reply({});
  else
    failed(
      call,
      new TypeError(`the handler of ${call.path} must return a message, not ${value === null ? "null" : typeof value}`),
    );
}
