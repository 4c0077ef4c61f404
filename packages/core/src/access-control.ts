import type { AccessOptions, AuthorizationDecision, AuthorizationRule } from "./authorization.ts";
import type { MethodDescriptor } from "./contract.ts";
import type { HandlerFailure } from "./handler-failure.ts";
import { rawType } from "./message.ts";
import { MethodGuard } from "./method-guard.ts";
import type { GuardParts } from "./method-guard.ts";
import type { Operation } from "./operation.ts";
import { quoted, unimplemented } from "./refusals.ts";
import type { RpcError } from "./rpc-error.ts";
import { isPromiseLike } from "./stream.ts";
import { now } from "./timer-wheel.ts";

/** Where an end tells of what has happened. */
export interface AccessEvents {
  /** Must not throw. */
  report(error: unknown, failure: HandlerFailure): void;
  count(what: string): void;
  /** A new name for a failure. */
  newId(): string;
}

/** Failures that are reported in one interval; strangers must not be able to fill a log. */
const maxReports = 20;
const reportIntervalMs = 5_000;

/** Who may call what at one end: gathers the rules, and puts a guard before each method once there are any. */
export class AccessControl implements GuardParts {
  readonly authenticate: AccessOptions["authenticate"];
  readonly authorize: AccessOptions["authorize"];
  readonly #onAuthorization: ((decision: AuthorizationDecision) => unknown) | undefined;
  readonly #events: AccessEvents;
  readonly #ruled: { readonly operation: Operation; readonly rule: AuthorizationRule | undefined }[] = [];
  #hasRules: boolean;
  /** Before methods that are not there. */
  #strangers: MethodGuard | undefined;
  #reports = 0;
  #reportsUntilMs = 0;

  constructor(options: AccessOptions, events: AccessEvents) {
    this.authenticate = options.authenticate;
    this.authorize = options.authorize;
    this.#onAuthorization = options.onAuthorization;
    this.#events = events;
    this.#hasRules = options.authorize !== undefined;
  }

  /** A method of a contract that this end serves, and the rule for it; `operation` unless its handler leaves it out. */
  add({ options }: MethodDescriptor, rule: AuthorizationRule | undefined, operation: Operation | undefined): void {
    this.#hasRules ||= rule !== undefined || (options?.requires?.length ?? 0) > 0;
    if (operation) this.#ruled.push({ operation, rule: Array.isArray(rule) ? [...(rule as string[])] : rule });
  }

  /** All methods are there: guards those that have to be. */
  seal(): void {
    if (!this.#hasRules && !this.authenticate) return;
    const isOpen = !this.#hasRules;
    for (const { operation, rule } of this.#ruled) {
      const { requires = [] } = operation.descriptor.options ?? {};
      operation.guard = new MethodGuard(this, { requires, rule, isOpen });
    }
    const { authenticate } = this;
    const parts = { ...guardParts(this), authenticate, authorize: undefined };
    if (this.#hasRules) this.#strangers = new MethodGuard(parts, { requires: [], rule: "authenticated", isOpen });
  }

  /** Stands in for a method that is not there, where strangers may not know that; else undefined. */
  unknown(path: string): Operation | undefined {
    if (!this.#strangers) return undefined;
    const shown = quoted(path).slice(1, -1);
    const name = shown.slice(shown.lastIndexOf("/") + 1);
    return {
      path: shown,
      descriptor: { name, localName: name, kind: "unary", input: rawType, output: rawType },
      clientStreams: false,
      serverStreams: false,
      oneWay: false,
      notPlain: undefined,
      callback: undefined,
      lane: undefined,
      guard: this.#strangers,
      // Not the whole of a name that a stranger has made up: a session may keep thousands of these.
      refusal: () => unimplemented(shown),
      run: () => undefined,
    };
  }

  decided(decision: AuthorizationDecision): void {
    if (decision.decision === "unauthenticated") this.#events.count("unauthenticated call");
    else if (decision.decision === "denied") this.#events.count("denied call");
    if (!this.#onAuthorization) return;
    const failed = (thrown: unknown): void => {
      this.failed(thrown, decision.path, "onAuthorization");
    };
    try {
      const result = this.#onAuthorization(decision);
      if (isPromiseLike(result)) result.then(undefined, failed);
    } catch (thrown) {
      failed(thrown);
    }
  }

  failed(error: unknown, path: string, step: HandlerFailure["step"]): string | undefined {
    if (!this.#mayReport()) return undefined;
    const id = step === "onAuthorization" ? undefined : this.#events.newId();
    this.#events.report(error, { path, id, step });
    return id;
  }

  dropped(path: string, error: RpcError): void {
    if (this.#mayReport()) this.#events.report(error, { path, id: undefined });
  }

  #mayReport(): boolean {
    const atMs = now();
    if (atMs >= this.#reportsUntilMs) {
      this.#reportsUntilMs = atMs + reportIntervalMs;
      this.#reports = 0;
    }
    this.#reports += 1;
    if (this.#reports <= maxReports) return true;
    this.#events.count("unreported failure");
    return false;
  }
}

/** The same, to be given with other functions. */
function guardParts(access: AccessControl): Pick<GuardParts, "decided" | "failed" | "dropped"> {
  return {
    decided: (decision) => access.decided(decision),
    failed: (error, path, step) => access.failed(error, path, step),
    dropped: (path, error) => access.dropped(path, error),
  };
}
