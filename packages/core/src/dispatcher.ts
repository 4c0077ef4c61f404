import { AccessControl } from "./access-control.ts";
import { Admission } from "./admission.ts";
import type { AccessOptions } from "./authorization.ts";
import type { MethodDescriptor } from "./contract.ts";
import { callMethods, methodPath } from "./contract.ts";
import { errorId, logFailure } from "./handler-failure.ts";
import type { HandlerFailure } from "./handler-failure.ts";
import { Scopes, direct, intercepted, streamRunner, unaryRunner } from "./handlers.ts";
import type { Invoke } from "./handlers.ts";
import { Hosting, isHosted } from "./hosted.ts";
import { Instances } from "./instances.ts";
import type { Interceptor } from "./interceptor.ts";
import { Throttle } from "./lane.ts";
import type { Lane, ThrottleOptions } from "./lane.ts";
import type { IncomingCall, Operation, OperationTable } from "./operation.ts";
import { RpcError, isRpcError } from "./rpc-error.ts";
import type { Service } from "./serve-options.ts";
import { checkService, needsOf } from "./service-check.ts";
import type { MethodNeed } from "./service-check.ts";
import { Status } from "./status.ts";

/** The methods that an end serves, and how each of them is carried out. */
export class Dispatcher implements OperationTable {
  readonly #operations = new Map<string, Operation>();
  readonly #services: string[] = [];
  /** What is made ready when it opens and disposed of when it closes. */
  readonly #held: (Instances | Hosting)[] = [];
  readonly #needs: MethodNeed[] = [];
  readonly #admission = new Admission();
  readonly #throttle: Throttle;
  readonly #lane: Lane<IncomingCall>;
  #cutOpening: ((error: Error) => void) | undefined;
  #cutClosing!: () => void;
  readonly #closingCut = new Promise<void>((resolve) => (this.#cutClosing = resolve));
  readonly #onError: (error: unknown, failure: HandlerFailure) => void;
  readonly #access: AccessControl;

  constructor(
    limits: ThrottleOptions,
    onError: (error: unknown, failure: HandlerFailure) => void,
    count: (what: string) => void,
    access: AccessOptions = {},
  ) {
    const report = (error: unknown, failure: HandlerFailure): void => this.#report(error, failure);
    this.#access = new AccessControl(access, { report, count, newId: errorId });
    this.#throttle = new Throttle("the server", limits);
    this.#lane = this.#admission.lane([this.#throttle]);
    this.#onError = onError;
  }

  get services(): readonly string[] {
    return this.#services;
  }

  /** What the methods need of a binding beyond single requests and replies. */
  get needs(): readonly MethodNeed[] {
    return this.#needs;
  }

  /** Adds a service. TypeError if it is there already, the handler lacks methods, or the options cannot be. */
  add(service: Service, interceptors: readonly Interceptor[]): void {
    const { contract, handler, options } = service;
    if (this.#services.includes(contract.typeName))
      throw new TypeError(`${contract.typeName} is already served by this host`);
    const missing = checkService(service);
    this.#services.push(contract.typeName);
    const instances = typeof handler === "function" ? this.#instancesOf(service) : undefined;
    if (instances) this.#held.push(instances);
    else if (isHosted(handler)) this.#held.push(new Hosting(handler, this.#disposalFailed(contract.typeName)));
    const scopes = new Scopes(handler, instances);
    const throttles = options.throttle ? [new Throttle("its service", options.throttle)] : [];
    const lane = throttles.length > 0 ? this.#admission.lane([this.#throttle, ...throttles]) : this.#lane;
    for (const method of callMethods(contract)) {
      const isThere = !missing.includes(method);
      const operation = isThere ? this.#operation(service, method, { interceptors, scopes, lane }) : undefined;
      if (operation) this.#operations.set(operation.path, operation);
      this.#access.add(method, options.methods?.[method.localName]?.authorize ?? options.authorize, operation);
    }
  }

  /** Makes what is to be there from the beginning; rejects with what that throws. */
  async open(): Promise<void> {
    this.#access.seal();
    if (this.#held.length === 0) return;
    const cut = new Promise<never>((_, reject) => (this.#cutOpening = reject));
    for (const held of this.#held) await Promise.race([held.open(), cut]);
  }

  /** Waits no longer for instances that are being made; those that come still are disposed of. */
  cutOpening(): void {
    this.#cutOpening?.(new Error("it was closed while an instance of a handler was being made"));
  }

  /** Disposes of what was made, and waits for that unless it is cut. */
  async close(waits: boolean): Promise<void> {
    const closing = Promise.all(this.#held.map((held) => held.close()));
    if (waits) await Promise.race([closing, this.#closingCut]);
  }

  /** Waits no longer for instances that are being disposed of. */
  cutClosing(): void {
    this.#cutClosing();
  }

  resolve(path: string): Operation | undefined {
    return this.#operations.get(path) ?? this.#access.unknown(path);
  }

  admit(operation: Operation): RpcError | undefined {
    return this.#admission.admit(operation);
  }

  enter(call: IncomingCall): void {
    this.#admission.enter(call);
  }

  relieved(): void {
    this.#admission.relieved();
  }

  released(call: IncomingCall): void {
    this.#admission.leave(call);
  }

  dropped(path: string, error: RpcError): void {
    this.#report(error, { path, id: undefined });
  }

  #instancesOf({ handler, options, contract }: Service): Instances {
    const { instancing = "single", create } = options;
    const make = create ?? (() => new (handler as new () => object)());
    return new Instances(
      instancing,
      make as (call: IncomingCall | undefined) => object,
      this.#disposalFailed(contract.typeName),
    );
  }

  #disposalFailed(path: string): (error: unknown) => void {
    return (error) => this.#report(error, { path, id: undefined });
  }

  #operation(
    { contract, handler, options, members }: Service,
    method: MethodDescriptor,
    shared: { interceptors: readonly Interceptor[]; scopes: Scopes; lane: Lane<IncomingCall> },
  ): Operation {
    const { localName, kind } = method;
    const path = methodPath(contract, method);
    const { throttle, serialize = options.serialize ?? "none" } = options.methods?.[localName] ?? {};
    const serverStreams = kind === "server_stream" || kind === "bidi_stream";
    const clientStreams = kind === "client_stream" || kind === "bidi_stream";
    const member = members.get(localName) ?? localName;
    const isPlainObject = typeof handler !== "function" && serialize === "none";
    const invoke = isPlainObject ? direct(handler, member) : shared.scopes.scoped(member, serialize, serverStreams);
    const bySession = serialize === "session" || (typeof handler === "function" && options.instancing === "session");
    this.#needs.push(...needsOf(contract, method, bySession));
    return {
      path,
      descriptor: method,
      clientStreams,
      serverStreams,
      callback: contract.callback,
      notPlain: kind !== "unary" ? "streams" : bySession ? "belongs to a session" : undefined,
      oneWay: method.options?.pattern?.case === "one_way",
      lane: throttle
        ? this.#admission.lane([...shared.lane.throttles, new Throttle("the method", throttle)])
        : shared.lane,
      guard: undefined,
      onUnsendable: (error) => this.#report(error, { path, id: undefined }),
      run: this.#runner(intercepted(shared.interceptors, invoke), clientStreams, serverStreams),
    };
  }

  #runner(invoke: Invoke, clientStreams: boolean, serverStreams: boolean): (call: IncomingCall) => void {
    const failed = (call: IncomingCall, thrown: unknown): void => this.#failed(call, thrown);
    return serverStreams ? streamRunner(invoke, clientStreams, failed) : unaryRunner(invoke, clientStreams, failed);
  }

  /** What a handler threw, as the answer; only an RpcError reaches the caller as it is. */
  #failed(call: IncomingCall, thrown: unknown): void {
    if (call.status !== "open") return;
    const { oneWay, path } = call;
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
