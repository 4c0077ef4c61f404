import { Admission } from "./admission.ts";
import type { BindingLike } from "./binding.ts";
import type { MethodDescriptor } from "./contract.ts";
import { checkOptions, isCount, isOneOf } from "./check.ts";
import type { Checks } from "./check.ts";
import { EndCounters, checkAddress, endChecks, endInfo, guarded, sessionTimes } from "./end.ts";
import type { EndOptions } from "./end.ts";
import { Lifecycle } from "./lifecycle.ts";
import { toLimits } from "./limits.ts";
import { Message, rawType } from "./message.ts";
import { TimerWheel } from "./timer-wheel.ts";
import type { Operation, OperationTable } from "./operation.ts";
import { ServerCall } from "./request-context.ts";
import { RpcError } from "./rpc-error.ts";
import { ServingEnd } from "./serving-end.ts";
import { SessionCount } from "./session-count.ts";
import { Status } from "./status.ts";
import type { Peer } from "./context.ts";

/** How a reply channel behaves. */
export interface ReplyChannelOptions extends EndOptions {
  readonly attach?: "bind" | "connect";
  /** Requests that may wait to be received; more are answered RESOURCE_EXHAUSTED. Default 1,000. */
  readonly maxQueuedRequests?: number;
}

const replyChannelChecks: Checks = {
  ...endChecks,
  attach: isOneOf("bind", "connect"),
  maxQueuedRequests: isCount,
};

/** What `tryReceiveRequest` found. */
export type ReceiveResult =
  | { readonly status: "request"; readonly context: RequestContext }
  | { readonly status: "timeout" }
  | { readonly status: "closed" };

/**
 * The callee's half of a call at the level of messages: a request that is answered exactly once, whenever that may be.
 *
 * A second `reply` throws, since it is a mistake of the program; a reply that comes after cancellation, deadline or the
 * loss of the peer resolves `dropped`, since that is a race. Disposing a context that was not answered answers it with
 * a fault at once, so that its caller does not wait for the deadline.
 */
export class RequestContext implements AsyncDisposable, AsyncIterable<Message> {
  /** The first message of the request; empty if the caller sent none. */
  readonly request: Message;
  readonly #call: ServerCall;

  constructor(call: ServerCall, request: Message) {
    this.#call = call;
    this.request = request;
  }

  get state(): "open" | "replied" | "aborted" {
    return this.#call.status;
  }

  get peer(): Peer {
    return this.#call.peer;
  }

  /** When the caller stops waiting, in milliseconds since the epoch; undefined if it waits for ever. */
  get deadline(): number | undefined {
    return this.#call.deadline;
  }

  /** Aborted when nobody waits for the answer any more. */
  get signal(): AbortSignal {
    return this.#call.signal;
  }

  /** Sends a message of a stream of replies; resolves when the caller's credit has let it go, or at once if it is gone. */
  async send(item: Message): Promise<void> {
    for (let full = this.#call.writable(); full; full = this.#call.writable()) await full;
    if (!this.#call.ended) this.#call.write(item.body);
  }

  /** Ends the call with its last message, or, without one, ends a stream of replies. The message's headers become the header block. */
  // eslint-disable-next-line @typescript-eslint/require-await -- a second reply must reject like everything else that is asynchronous here
  async reply(last?: Message): Promise<"sent" | "dropped"> {
    if (last && last.headers.size > 0 && this.#call.status === "open") this.#call.setHeader(last.headers);
    return this.#call.reply(last?.body);
  }

  /** Ends the call with a status. */
  // eslint-disable-next-line @typescript-eslint/require-await -- as for reply
  async fail(error: RpcError): Promise<"sent" | "dropped"> {
    return this.#call.fail(error);
  }

  /** Ends the call at once: the caller gets the reason if it is an RpcError, else an opaque UNKNOWN. Does nothing once it is answered. */
  abort(reason?: unknown): void {
    const opaque = new RpcError(Status.UNKNOWN, "the server gave the call up", { cause: reason });
    this.#call.failHere(reason instanceof RpcError ? reason : opaque);
  }

  /** The messages of a streaming request that follow the first. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void> {
    for await (const body of this.#call.requests) yield new Message(body as Uint8Array, { path: this.request.path });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.abort(new RpcError(Status.UNKNOWN, "the server did not answer the call"));
    return Promise.resolve();
  }
}

/**
 * The serving end for programs that handle messages themselves: `for await (const context of channel)`, or
 * `tryReceiveRequest`. It never stops reading to slow its callers down; requests wait in a bounded queue.
 */
export class ReplyChannel extends Lifecycle implements AsyncIterable<RequestContext> {
  readonly #end: ServingEnd;
  readonly #calls = new TimerWheel(true);
  readonly #watch = new TimerWheel(false);
  readonly #counters = new EndCounters();
  readonly #wanted: string;
  readonly #options: ReplyChannelOptions;
  readonly #admission = new Admission();
  readonly #lane = this.#admission.lane([]);
  readonly #queue: RequestContext[] = [];
  /** Requests that nobody has received yet, those included whose first message is still on its way. */
  #undelivered = 0;
  readonly #waiters = new Set<(context: RequestContext | undefined) => void>();

  constructor(address: string, { stack }: BindingLike, options: ReplyChannelOptions) {
    super();
    checkOptions("reply channel option", options, replyChannelChecks);
    checkAddress({ stack }, address, options.attach ?? "bind");
    this.#wanted = address;
    this.#options = options;
    this.#end = new ServingEnd(stack, {
      table: this.#table(),
      wheel: this.#calls,
      epoch: globalThis.crypto.getRandomValues(new Uint8Array(8)),
      info: endInfo,
      session: {
        limits: toLimits(options.limits),
        ...sessionTimes(options),
        watchWheel: this.#watch,
        count: this.#counters.count,
        onDefect: (error) => guarded(options.onTrouble)(`an internal error: ${String(error)}`),
      },
      maxStreamsPerSession: Infinity,
      sessions: new SessionCount(Infinity),
      onTrouble: guarded(options.onTrouble),
    });
  }

  /** The real address. */
  get address(): string {
    return this.#end.address;
  }

  /** Binds the address; `Binding.listen` has done it. */
  open(): Promise<void> {
    return this.opened();
  }

  /** The next request; undefined when the channel is closed. */
  async receiveRequest(): Promise<RequestContext | undefined> {
    const result = await this.tryReceiveRequest(Infinity);
    return result.status === "request" ? result.context : undefined;
  }

  /** The next request, if one comes in time. A request that comes too late waits for the next receive; none is lost. */
  tryReceiveRequest(timeoutMs: number): Promise<ReceiveResult> {
    const context = this.#next();
    if (context) return Promise.resolve({ status: "request", context });
    if (this.state === "closing" || this.state === "closed") return Promise.resolve({ status: "closed" });
    return new Promise((resolve) => {
      const timer =
        timeoutMs === Infinity
          ? undefined
          : setTimeout(() => settle({ status: "timeout" }), Math.min(timeoutMs, 0x7fffffff));
      const waiter = (next: RequestContext | undefined): void =>
        settle(next ? { status: "request", context: next } : { status: "closed" });
      const settle = (result: ReceiveResult): void => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        resolve(result);
      };
      this.#waiters.add(waiter);
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<RequestContext, void> {
    for (let context = await this.receiveRequest(); context; context = await this.receiveRequest()) yield context;
  }

  protected onOpen(): Promise<void> {
    return this.#end.attach(this.#wanted, this.#options.attach ?? "bind");
  }

  protected onClosing(): void {
    for (const waiter of [...this.#waiters]) waiter(undefined);
  }

  protected async onClose(graceful: boolean): Promise<void> {
    if (graceful) await this.#end.drain(this.#options.drainTimeoutMs ?? 5_000);
    await this.#end.close();
    this.#calls.clear();
    this.#watch.clear();
  }

  protected onAbort(): void {
    this.#end.stopDraining();
  }

  /** Every method is served here, by whoever receives the request. */
  #table(): OperationTable {
    return {
      services: [],
      resolve: (path) => this.#operation(path),
      admit: () => this.#admit(),
      enter: (call) => this.#admission.enter(call),
      relieved: () => this.#admission.relieved(),
      // Only what waits is limited, not what runs.
      released: (call) => this.#admission.leave(call),
      dropped: (path, error) =>
        guarded(this.#options.onTrouble)(`a one-way call of ${path} was dropped: ${error.message}`),
    };
  }

  #operation(path: string): Operation {
    const [, name = ""] = path.split("/");
    const descriptor: MethodDescriptor = {
      name,
      localName: name,
      kind: "bidi_stream",
      input: rawType,
      output: rawType,
    };
    return {
      path,
      descriptor,
      clientStreams: true,
      serverStreams: true,
      oneWay: false,
      callback: undefined,
      notPlain: undefined,
      lane: this.#lane,
      guard: undefined,
      run: (call) => {
        if (call instanceof ServerCall) void this.#receive(call);
      },
    };
  }

  #admit(): RpcError | undefined {
    const { maxQueuedRequests = 1000 } = this.#options;
    if (this.#undelivered < maxQueuedRequests) {
      this.#undelivered += 1;
      return undefined;
    }
    return new RpcError(
      Status.RESOURCE_EXHAUSTED,
      `${this.#undelivered} requests wait to be received, as many as the server allows (its option maxQueuedRequests)`,
    );
  }

  #next(): RequestContext | undefined {
    for (let context = this.#queue.shift(); context; context = this.#queue.shift()) {
      this.#undelivered -= 1;
      if (context.state === "open") return context;
    }
    return undefined;
  }

  async #receive(call: ServerCall): Promise<void> {
    const parts = { path: call.path, headers: call.metadata };
    let first: IteratorResult<unknown>;
    try {
      first = await call.requests.next();
    } catch {
      // The call ended before its first message came.
      this.#undelivered -= 1;
      return;
    }
    const context = new RequestContext(
      call,
      new Message(first.done ? new Uint8Array() : (first.value as Uint8Array), parts),
    );
    this.#queue.push(context);
    const [waiter] = this.#waiters;
    if (!waiter) return;
    const next = this.#next();
    if (next) waiter(next);
  }
}
