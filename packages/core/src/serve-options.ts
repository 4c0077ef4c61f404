import type { AuthorizationRule } from "./authorization.ts";
import type { ThrottleOptions } from "./lane.ts";
import type { OperationContext } from "./context.ts";
import type { Contract } from "./contract.ts";
import type { Interceptor } from "./interceptor.ts";

/** Which calls are not run at the same time: none are kept apart, those of one session, or those of one instance. */
export type Serialize = "none" | "session" | "instance";

/** How many instances of a class there are: one for all, one per session, or one per call. */
export type Instancing = "single" | "session" | "call";

/** What may be said of one method of a service. */
export interface MethodServeOptions {
  /** Limits of this method, on top of those of its service and of the host. */
  readonly throttle?: ThrottleOptions | undefined;
  /** Default: as the service says. */
  readonly serialize?: Serialize | undefined;
  /** Who may call it, in the place of what the service says. */
  readonly authorize?: AuthorizationRule | undefined;
}

/** What a service may say beside its handler. */
export interface ServeOptions<Handler = unknown> {
  /** Run inside of the host's own, the first outermost, before an instance is made or waited for. */
  readonly interceptors?: readonly Interceptor[] | undefined;
  /**
   * For classes: when an instance is made and how long it is kept. Instances that the host made are disposed of
   * (`Symbol.asyncDispose` or `Symbol.dispose`) when their host, session or call is over and no handler of theirs runs
   * any more. Default `single`: made when the host opens.
   */
  readonly instancing?: Instancing | undefined;
  /**
   * For classes: makes an instance; by default `new` without arguments. It gets the call that the instance is made for;
   * undefined where it is a single one. What it throws is a failure of the handler, or, for a single one, of `open`.
   */
  readonly create?: ((call: OperationContext | undefined) => Handler | Promise<Handler>) | undefined;
  /**
   * Calls that wait for others of the same session or instance run in their order and only within their deadlines. A
   * handler that waits for another call of its own session or instance would wait for itself. Default `none`.
   */
  readonly serialize?: Serialize | undefined;
  /** Limits of this service, on top of those of the host. */
  readonly throttle?: ThrottleOptions | undefined;
  /**
   * Who may call its methods; looked at before anything of a request is decoded. Callers without a principal are answered
   * UNAUTHENTICATED where one is needed, others that may not PERMISSION_DENIED. What the contract says by `requires` must
   * hold as well.
   *
   * Without any rule in a host (`requires`, this, or the host's `authorize`) everybody may call everything. Once there is
   * one, methods without a rule are refused, unless the host's `authorize` allows them, and whoever has no principal is
   * not told which methods there are: UNAUTHENTICATED in the place of UNIMPLEMENTED.
   */
  readonly authorize?: AuthorizationRule | undefined;
  /** By the names that methods have in the handler. */
  readonly methods?: Readonly<Record<string, MethodServeOptions>> | undefined;
}

/** A class whose instances are handlers of a contract. */
export type HandlerClass<Handler> = abstract new (...args: never[]) => Handler;

/** Where a class keeps what decorators said of it. */
export const serviceDescription: unique symbol = Symbol.for("zerobind.service") as never;

/** What decorators have said of who may call a class or method has this, so that it is not lost where nobody reads it. */
export const hasRule: unique symbol = Symbol.for("zerobind.authorize") as never;

/** What decorators said of a class. */
export interface ServiceDescription {
  readonly contract: Contract;
  readonly options: ServeOptions;
  /** Names of the class's methods by the names that the contract has for them, where they differ. */
  readonly members: ReadonlyMap<string, string>;
}

/** What the decorators of a class say; undefined for a class that has none. */
export function describedService(subject: unknown): ServiceDescription | undefined {
  if (typeof subject !== "function" || !(serviceDescription in subject)) return undefined;
  return (subject as unknown as { [serviceDescription](): ServiceDescription })[serviceDescription]();
}

/** A service as it is to be served. */
export interface Service {
  readonly contract: Contract;
  /** An object that carries out all calls, or a class of such objects. */
  readonly handler: object;
  readonly options: ServeOptions;
  /** Names of members by the local names of methods, where they differ. */
  readonly members: ReadonlyMap<string, string>;
}
