import { runAs } from "./ambient.ts";
import type { Contract, MethodDescriptor } from "./contract.ts";
import { methodPath } from "./contract.ts";
import { compose } from "./interceptor.ts";
import type { Interceptor } from "./interceptor.ts";
import type { Operation, ServerCall } from "./request-context.ts";
import { RpcError, isRpcError } from "./rpc-error.ts";
import type { OperationTable } from "./serving-end.ts";
import { Status } from "./status.ts";
import { isPromiseLike, isStreamable } from "./stream.ts";

/** An error that a handler threw and that its caller did not get to see, with the id that the caller was told. */
export interface HandlerFailure {
  readonly path: string;
  /** Named in the status that the caller got; undefined for a one-way call. */
  readonly id: string | undefined;
}

/** What a service may say beside its handler. */
export interface ServeOptions {
  /** Run inside of the host's own, the first outermost. */
  readonly interceptors?: readonly Interceptor[];
}

/** A handler's method, with the types that the contract gave it erased. */
type HandlerMethod = (this: unknown, request: unknown, context: ServerCall) => unknown;

const incomplete = new WeakSet<object>();

/**
 * Marks a handler that implements only some methods of its contract on purpose; the others answer UNIMPLEMENTED.
 * Without it a missing method is a compile error, and a TypeError from `serve`.
 */
export function partial<Handler extends object>(
  _contract: Contract<unknown, Handler>,
  handler: Partial<Handler>,
): Handler {
  incomplete.add(handler);
  return handler as Handler;
}

/** Patterns whose methods are not called by clients. */
function isCall({ options }: MethodDescriptor): boolean {
  const pattern = options?.pattern?.case ?? "call";
  return pattern === "call" || pattern === "one_way";
}

/** All methods of a contract that clients may call. */
export function callMethods(contract: Contract): readonly MethodDescriptor[] {
  return contract.methods.filter(isCall);
}

/** The methods that a host serves, and how each of them is carried out. */
export class Dispatcher implements OperationTable {
  readonly #operations = new Map<string, Operation>();
  readonly #services: string[] = [];
  readonly #maxConcurrentCalls: number;
  readonly #onError: (error: unknown, failure: HandlerFailure) => void;
  #running = 0;

  constructor(maxConcurrentCalls: number, onError: (error: unknown, failure: HandlerFailure) => void) {
    this.#maxConcurrentCalls = maxConcurrentCalls;
    this.#onError = onError;
  }

  get services(): readonly string[] {
    return this.#services;
  }

  /** Adds a service. TypeError if it is there already or the handler lacks methods. */
  add(contract: Contract, handler: object, interceptors: readonly Interceptor[]): void {
    if (this.#services.includes(contract.typeName))
      throw new TypeError(`${contract.typeName} is already served by this host`);
    refuseUnsupported(contract);
    const methods = callMethods(contract);
    const missing = methods.filter(({ localName }) => typeof memberOf(handler, localName) !== "function");
    if (missing.length > 0 && !incomplete.has(handler)) {
      const names = missing.map(({ localName }) => localName).join(", ");
      throw new TypeError(
        `the handler of ${contract.typeName} has no method ${names}; add them, or mark it with partial(contract, handler)`,
      );
    }
    this.#services.push(contract.typeName);
    for (const method of methods) {
      if (!missing.includes(method))
        this.#operations.set(methodPath(contract, method), this.#operation(contract, method, handler, interceptors));
    }
  }

  resolve(path: string): Operation | undefined {
    return this.#operations.get(path);
  }

  admit(): RpcError | undefined {
    if (this.#running >= this.#maxConcurrentCalls) {
      return new RpcError(
        Status.RESOURCE_EXHAUSTED,
        `the server runs ${this.#running} calls, as many as it allows (its option maxConcurrentCalls); try again later`,
      );
    }
    this.#running += 1;
    return undefined;
  }

  released(): void {
    this.#running -= 1;
  }

  #operation(
    contract: Contract,
    method: MethodDescriptor,
    handler: object,
    interceptors: readonly Interceptor[],
  ): Operation {
    const path = methodPath(contract, method);
    const implementation = memberOf(handler, method.localName) as HandlerMethod;
    const serverStreams = method.kind === "server_stream" || method.kind === "bidi_stream";
    const clientStreams = method.kind === "client_stream" || method.kind === "bidi_stream";
    const direct = (call: ServerCall): unknown =>
      implementation.call(handler, clientStreams ? call.requests : call.request, call);
    const run = interceptors.length === 0 ? direct : intercepted(interceptors, handler, implementation, clientStreams);
    const failed = (call: ServerCall, thrown: unknown): void => this.#failed(call, thrown);
    return {
      path,
      descriptor: method,
      clientStreams,
      serverStreams,
      plain: method.kind === "unary",
      oneWay: method.options?.pattern?.case === "one_way",
      onUnsendable: (error) => this.#report(error, { path, id: undefined }),
      start: (call) =>
        runAs(call, () => (serverStreams ? void startStream(run, call, failed) : startUnary(run, call, failed))),
    };
  }

  /** What a handler threw, as the answer; only an RpcError reaches the caller as it is. */
  #failed(call: ServerCall, thrown: unknown): void {
    if (call.status !== "open") return;
    const { path, oneWay } = call.operation;
    if (isRpcError(thrown)) {
      call.fail(thrown);
      if (!oneWay) return;
    }
    const id = oneWay ? undefined : errorId();
    const text = `the handler of ${path} failed; the server's log has the reason under error id ${id}`;
    if (call.status === "open")
      call.fail(id === undefined ? RpcError.from(thrown) : new RpcError(Status.UNKNOWN, text));
    this.#report(thrown, { path, id });
  }

  /** A sink that throws must not harm the calls. */
  #report(error: unknown, failure: HandlerFailure): void {
    try {
      this.#onError(error, failure);
    } catch (thrown) {
      logFailure(thrown, { path: "", id: undefined });
    }
  }
}

/** What a contract asks for and this version does not do is refused here: a guard that guards nothing is a trap. */
function refuseUnsupported({ typeName, methods }: Contract): void {
  for (const { name, options } of methods) {
    if (!options?.requires || options.requires.length === 0) continue;
    throw new TypeError(
      `${typeName}/${name} requires roles (${options.requires.join(", ")}), which this version does not check; ` +
        "take the option out and guard the method by an interceptor",
    );
  }
  if (methods.length === 0 || methods.some(isCall)) return;
  throw new TypeError(
    `${typeName} has only methods of patterns (event, pipeline, ticket) that this version does not serve`,
  );
}

/** Where failures go that nobody else takes. */
export function logFailure(error: unknown, { path, id }: HandlerFailure): void {
  const what = path === "" ? "an internal error" : `the handler of ${path} failed`;
  // eslint-disable-next-line no-console -- what callers do not get to see must be seen somewhere
  console.error(`zerobind: ${what}${id === undefined ? "" : ` (error id ${id})`}:`, error);
}

type Failed = (call: ServerCall, thrown: unknown) => void;

function startUnary(run: (call: ServerCall) => unknown, call: ServerCall, failed: Failed): void {
  try {
    const result = run(call);
    if (isPromiseLike(result)) {
      result.then(
        (value) => answer(call, value, failed),
        (thrown: unknown) => failed(call, thrown),
      );
    } else answer(call, result, failed);
  } catch (thrown) {
    failed(call, thrown);
  }
}

function answer(call: ServerCall, value: unknown, failed: Failed): void {
  if (call.status !== "open") return;
  if (call.operation.oneWay) call.reply();
  else if (typeof value === "object" && value !== null) call.reply(value);
  else if (value === undefined && call.method.output.$type === "google.protobuf.Empty") call.reply({});
  else
    failed(
      call,
      new TypeError(`the handler of ${call.path} must return a message, not ${value === null ? "null" : typeof value}`),
    );
}

async function startStream(run: (call: ServerCall) => unknown, call: ServerCall, failed: Failed): Promise<void> {
  try {
    let source = run(call);
    if (isPromiseLike(source)) source = await source;
    if (!isStreamable(source))
      throw new TypeError(
        `the handler of ${call.path} must return an AsyncIterable or Iterable of messages, not ${typeof source}`,
      );
    await call.replyAll(source);
  } catch (thrown) {
    failed(call, thrown);
  }
}

function intercepted(
  interceptors: readonly Interceptor[],
  handler: object,
  implementation: HandlerMethod,
  clientStreams: boolean,
): (call: ServerCall) => unknown {
  const run = compose(interceptors, ({ request, context }) =>
    implementation.call(handler, request, context as ServerCall),
  );
  return (call) => {
    const { method, path, metadata, items } = call;
    const request = clientStreams ? call.requests : call.request;
    return run({ side: "server", method, path, request, metadata, options: undefined, context: call, items });
  };
}

/** A member of the handler or of its class, but none that every object has. */
function memberOf(handler: object, name: string): unknown {
  for (
    let holder: object | null = handler;
    holder && holder !== Object.prototype;
    holder = Object.getPrototypeOf(holder) as object | null
  ) {
    if (Object.hasOwn(holder, name)) return (handler as Record<string, unknown>)[name];
  }
  return undefined;
}

function errorId(): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(6));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
