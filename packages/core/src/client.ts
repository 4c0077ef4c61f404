import { CallBounds } from "./call-bounds.ts";
import { kindOf } from "./check.ts";
import { clientMethod } from "./client-method.ts";
import type { ClientCall } from "./caller.ts";
import type { GivenCall, Settle } from "./call-owner.ts";
import type { ClientMethod } from "./client-method.ts";
import type { CallOptions } from "./call-options.ts";
import { ContextItems, ContextKey } from "./context.ts";
import { callMethods } from "./contract.ts";
import type { Contract } from "./contract.ts";
import { compose } from "./interceptor.ts";
import { InterceptedStream, interceptedStream } from "./intercepted-stream.ts";
import type { InterceptedCall, Interceptor } from "./interceptor.ts";
import { Metadata } from "./metadata.ts";
import type { MetadataInit } from "./metadata.ts";
import { isPromiseLike, isStreamable } from "./stream.ts";
import type { ResponseStream } from "./stream.ts";
import { now } from "./timer-wheel.ts";
import type { TimerWheel } from "./timer-wheel.ts";

/** The channel as its clients see it. */
export interface CallStarter {
  readonly address: string;
  readonly wheel: TimerWheel;
  deadlineOf(method: ClientMethod, options: CallOptions | undefined, startedMs: number): number;
  start(method: ClientMethod, given: GivenCall, settle?: Settle): ClientCall;
}

type Stub = (request: unknown, options?: CallOptions) => unknown;

/** An object with a function for each method of the contract. Without interceptors a call goes straight to the channel. */
export function createClient(
  channel: CallStarter,
  contract: Contract,
  interceptors: readonly Interceptor[],
): Record<string, Stub> {
  const client: Record<string, Stub> = {};
  for (const descriptor of callMethods(contract)) {
    const method = clientMethod(contract, descriptor);
    const stub =
      interceptors.length === 0 ? directStub(channel, method) : interceptedStub(channel, method, interceptors);
    // Not by assignment: a name such as __proto__ would not become a property.
    Object.defineProperty(client, descriptor.localName, { value: stub, enumerable: true });
  }
  return Object.freeze(client);
}

function directStub(channel: CallStarter, method: ClientMethod): Stub {
  return (request, options) => {
    const startedMs = now();
    const deadlineMs = channel.deadlineOf(method, options, startedMs);
    const metadata = options?.metadata === undefined ? undefined : copied(options.metadata);
    return invoke(channel, method, { request, options, metadata, startedMs, deadlineMs });
  };
}

/** The call may leave later than it is made, and more than once; what its caller changes meanwhile is not its own. */
function copied(given: MetadataInit): Metadata {
  return given instanceof Metadata ? given.clone() : new Metadata(given);
}

function invoke(channel: CallStarter, method: ClientMethod, given: GivenCall): unknown {
  checkRequest(method, given.request);
  if (method.serverStreams) return channel.start(method, given).responses;
  return new Promise<unknown>((resolve, reject) => {
    channel.start(method, given, { resolve, reject });
  });
}

/** What is certainly no request is refused at the call site, with a stack that leads there. */
function checkRequest({ path, clientStreams, descriptor }: ClientMethod, request: unknown): void {
  const type = descriptor.input.$type;
  if (clientStreams) {
    if (!isStreamable(request))
      throw new TypeError(
        `${path} takes an AsyncIterable, Iterable or ReadableStream of ${type}, not ${nameOf(request)}`,
      );
  } else if (typeof request !== "object" || request === null) {
    throw new TypeError(
      `${path} takes a ${type}, not ${nameOf(request)}; give {} for one whose fields all have their defaults`,
    );
  }
}

function nameOf(value: unknown): string {
  return isPromiseLike(value) ? "a promise; await it first" : kindOf(value);
}

/** When the call must be over that interceptors are around, where its caller has said so. */
const outerDeadline = new ContextKey<number>("zerobind deadline", Infinity);

function interceptedStub(channel: CallStarter, method: ClientMethod, interceptors: readonly Interceptor[]): Stub {
  const { descriptor, path } = method;
  const run = compose(interceptors, ({ request, options, metadata, items }) => {
    const startedMs = now();
    const deadlineMs = Math.min(channel.deadlineOf(method, options, startedMs), items.get(outerDeadline));
    const given = { request, options, metadata: metadata.size > 0 ? metadata : undefined, startedMs, deadlineMs };
    const result = invoke(channel, method, given);
    if (method.serverStreams) items.get(interceptedStream)?.opened(result as ResponseStream<unknown>);
    return result;
  });
  return (request, options) => {
    const startedMs = now();
    const deadlineMs = channel.deadlineOf(method, options, startedMs);
    checkRequest(method, request);
    const metadata = options?.metadata === undefined ? new Metadata() : copied(options.metadata);
    const items = new ContextItems();
    const hasTime = options?.timeoutMs !== undefined || options?.deadline !== undefined;
    if (hasTime) items.set(outerDeadline, deadlineMs);
    const context = undefined;
    const call = { side: "client", method: descriptor, path, request, metadata, options, context, items } as const;
    const where = `${path} at ${channel.address}`;
    const bounds = CallBounds.of(
      { where, options, startedMs, deadlineMs: hasTime ? deadlineMs : Infinity },
      channel.wheel,
    );
    if (!method.serverStreams) return bounded(promised(run, call), bounds);
    const stream = new InterceptedStream(path, bounds);
    items.set(interceptedStream, stream);
    return stream.draw(() => run(call));
  };
}

/** What a promise gives, unless the call is over before. */
function bounded(reply: Promise<unknown>, bounds: CallBounds | undefined): Promise<unknown> {
  if (!bounds) return reply;
  return new Promise((resolve, reject) => {
    bounds.arm(reject);
    void reply.then(resolve, reject).finally(() => bounds.release());
  });
}

/** What interceptors make of a single reply, as a promise; a promise of theirs is handed on as it is. */
function promised(run: (call: InterceptedCall) => unknown, call: InterceptedCall): Promise<unknown> {
  try {
    const result = run(call);
    return result instanceof Promise ? result : Promise.resolve(result);
  } catch (thrown) {
    return Promise.reject(thrown);
  }
}
