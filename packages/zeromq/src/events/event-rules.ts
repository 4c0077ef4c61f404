import { Status } from "@zerobind/core";
import type { EventWish, Principal } from "@zerobind/core";
import { escapeBytes } from "../trouble.ts";

/** A subscription that is to be allowed or not. */
export interface EventAuthorization {
  /** `shop.v1.Prices/PriceChanged`. */
  readonly method: string;
  /** The topic that is wanted, or, unless `exact`, what the topics begin with: allowing it allows all of them. */
  readonly topic: string;
  readonly exact: boolean;
  /** Name of the principal that the subscriber has proved to be; undefined for one that has proved nothing. */
  readonly principal: string | undefined;
  /** Roles of the principal; none without one. */
  readonly roles: readonly string[];
}

/** Whether a subscription is allowed; only `true` allows it. */
export type AuthorizeEvents = (subscription: EventAuthorization) => boolean | Promise<boolean>;

/** Why a wish is not granted. */
export interface Refusal {
  /** A code of google.rpc.Code; UNAVAILABLE: not decided yet. */
  readonly status: number;
  readonly message: string;
}

/** Somebody who wants something. */
export interface Asker {
  /** Tells askers apart, whoever they are. */
  readonly key: string;
  readonly principal: Principal | undefined;
}

interface Pending {
  /** `later` until it is decided. */
  verdict: Refusal | undefined;
  readonly timer: NodeJS.Timeout;
}

/** A function that takes longer is asked again. */
const decideMs = 10_000;
/** How long a decision stays that was waited for, until whoever asked asks again. */
const keepMs = 5_000;
const maxPending = 10_000;
const later: Refusal = { status: Status.UNAVAILABLE, message: "it is not decided yet; ask again" };

/** Who may subscribe to what: the roles that contracts require, and a function. What no rule allows is denied. */
export class EventRules {
  readonly #authorize: AuthorizeEvents | undefined;
  readonly #trouble: (kind: string, describe: () => string) => void;
  readonly #required = new Map<string, readonly string[]>();
  readonly #pending = new Map<string, Pending>();

  constructor(authorize: AuthorizeEvents | undefined, trouble: (kind: string, describe: () => string) => void) {
    this.#authorize = authorize;
    this.#trouble = trouble;
  }

  /** Without rules everybody may subscribe to everything. */
  get exist(): boolean {
    return this.#authorize !== undefined || this.#required.size > 0;
  }

  /** Subscribers of a method must hold roles, all of them. False: it was said before. */
  require(method: string, roles: readonly string[]): boolean {
    if (this.#required.has(method)) return false;
    this.#required.set(method, roles);
    return true;
  }

  /** Undefined: granted. */
  decide(asker: Asker, { method, topic, exact }: EventWish): Refusal | undefined {
    const required = this.#required.get(method);
    const missing = required?.filter((role) => asker.principal?.roles.includes(role) !== true) ?? [];
    const text = escapeBytes(Buffer.from(topic), 100);
    const which = `events of ${escapeBytes(Buffer.from(method), 200)} on ${exact ? text : `all topics that begin with ${text}`}`;
    if (missing.length > 0) return refusal(asker, `${which} need roles that the subscriber does not hold`);
    const no = refusal(asker, `${which} are not allowed for the subscriber`);
    if (!this.#authorize) return required ? undefined : no;
    const key = JSON.stringify([asker.key, asker.principal, method, topic, exact]);
    const known = this.#pending.get(key);
    if (known) return known.verdict;
    if (this.#pending.size >= maxPending) return later;
    const { name: principal, roles = [] } = asker.principal ?? {};
    try {
      const answer: unknown = this.#authorize({ method, topic, exact, principal, roles });
      if (answer === true) return undefined;
      if (typeof (answer as Promise<unknown> | undefined)?.then !== "function") return no;
      return this.#wait(key, Promise.resolve(answer), no);
    } catch (error) {
      this.#failed(error);
      return no;
    }
  }

  close(): void {
    for (const { timer } of this.#pending.values()) clearTimeout(timer);
    this.#pending.clear();
  }

  #wait(key: string, answer: Promise<unknown>, no: Refusal): Refusal {
    const pending = { verdict: later as Refusal | undefined, timer: this.#forgetAfter(key, decideMs) };
    this.#pending.set(key, pending);
    const settle = (isAllowed: boolean): void => {
      if (this.#pending.get(key) !== pending) return;
      clearTimeout(pending.timer);
      const timer = this.#forgetAfter(key, keepMs);
      this.#pending.set(key, { verdict: isAllowed ? undefined : no, timer });
    };
    answer.then(
      (isAllowed) => settle(isAllowed === true),
      (error: unknown) => {
        this.#failed(error);
        settle(false);
      },
    );
    return later;
  }

  #forgetAfter(key: string, ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#pending.delete(key), ms).unref();
  }

  #failed(error: unknown): void {
    this.#trouble("authorize", () => `a subscription was not allowed, since authorize failed: ${String(error)}`);
  }
}

/** TypeError for a publisher that connects: it has chosen whom it sends to, and cannot tell what is behind that. */
export function checkCanGuard(attach: "bind" | "connect", what: string): void {
  if (attach === "bind") return;
  throw new TypeError(
    `${what} is checked by publishers that bind, with curve: serverCurve({ secretKey, allow }), and this one connects: ` +
      "whoever it connects to gets all of its events",
  );
}

function refusal({ principal }: Asker, message: string): Refusal {
  return { status: principal ? Status.PERMISSION_DENIED : Status.UNAUTHENTICATED, message };
}
