import { clientMethod } from "./client-method.ts";
import type { ClientCall } from "./caller.ts";
import type { GivenCall, Settle } from "./call-owner.ts";
import type { ClientMethod } from "./client-method.ts";
import type { CallOptions } from "./call-options.ts";
import { ContextItems } from "./context.ts";
import type { Contract } from "./contract.ts";
import { callMethods } from "./dispatcher.ts";
import { compose } from "./interceptor.ts";
import type { Interceptor } from "./interceptor.ts";
import { Metadata } from "./metadata.ts";
import { isPromiseLike, isStreamable } from "./stream.ts";
import type { ResponseStream } from "./stream.ts";

/** The channel as its clients see it. */
export interface CallStarter {
  deadlineOf(method: ClientMethod, options: CallOptions | undefined): number;
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
    const metadata = options?.metadata === undefined ? undefined : Metadata.from(options.metadata);
    return invoke(channel, method, request, options, metadata);
  };
}

function invoke(
  channel: CallStarter,
  method: ClientMethod,
  request: unknown,
  options: CallOptions | undefined,
  metadata: Metadata | undefined,
): unknown {
  const deadlineMs = channel.deadlineOf(method, options);
  checkRequest(method, request);
  const given = { request, options, metadata, deadlineMs };
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
  return value === null ? "null" : typeof value;
}

function interceptedStub(channel: CallStarter, method: ClientMethod, interceptors: readonly Interceptor[]): Stub {
  const { descriptor, path } = method;
  const run = compose(interceptors, ({ request, options, metadata }) =>
    invoke(channel, method, request, options, metadata),
  );
  return (request, options) => {
    channel.deadlineOf(method, options);
    checkRequest(method, request);
    const metadata = options?.metadata === undefined ? new Metadata() : new Metadata(options.metadata);
    const call = {
      side: "client",
      method: descriptor,
      path,
      request,
      metadata,
      options,
      context: undefined,
      items: new ContextItems(),
    } as const;
    return method.serverStreams ? asResponseStream(run(call)) : promised(() => run(call));
  };
}

async function promised(run: () => unknown): Promise<unknown> {
  return await run();
}

/** What interceptors made of a stream, with the face that callers expect. */
function asResponseStream(result: unknown): ResponseStream<unknown> {
  if (isResponseStream(result)) return result;
  const iterator = isPromiseLike(result)
    ? iterateLater(result)
    : (result as AsyncIterable<unknown>)[Symbol.asyncIterator]();
  const leave = async (): Promise<IteratorResult<unknown>> => {
    await iterator.return?.();
    return { done: true, value: undefined };
  };
  const stream: ResponseStream<unknown> = {
    next: () => iterator.next(),
    return: leave,
    cancel: () => void leave().catch(() => undefined),
    [Symbol.asyncIterator]: () => stream,
    async [Symbol.asyncDispose]() {
      await leave();
    },
  };
  return stream;
}

function isResponseStream(value: unknown): value is ResponseStream<unknown> {
  return typeof value === "object" && value !== null && "cancel" in value && Symbol.asyncIterator in value;
}

async function* iterateLater(source: PromiseLike<unknown>): AsyncGenerator {
  yield* (await source) as AsyncIterable<unknown>;
}
