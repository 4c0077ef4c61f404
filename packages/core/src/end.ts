import type { BindingLike } from "./binding.ts";
import { isFunction, isObject, isTime, kindOf } from "./check.ts";
import type { Checks } from "./check.ts";
import type { Limits } from "./limits.ts";

/** Finds the binding for an address, for example by its scheme. Throws TypeError for an address it has none for. */
export type BindingChoice = (address: string) => BindingLike;

/** Options that both ends have. Times are in milliseconds. */
export interface EndOptions {
  /** What this end accepts from its peers. */
  readonly limits?: Partial<Limits> | undefined;
  /** How long `close` lets open calls finish. Default 5,000. */
  readonly drainTimeoutMs?: number | undefined;
  /** While calls are open, a peer that is silent for so long is asked for a sign of life. Default 15,000. */
  readonly pingIntervalMs?: number | undefined;
  /** A peer that stays silent for so long is given up; its calls end UNAVAILABLE. Default 45,000. */
  readonly pingTimeoutMs?: number | undefined;
  /** Told in words of what stands in the way of a connection and of what is dropped; called at a limited rate. */
  readonly onTrouble?: ((problem: string) => void) | undefined;
}

/** What each of them may be, and the binding. */
export const endChecks: Checks = {
  limits: isObject,
  drainTimeoutMs: isTime,
  pingIntervalMs: isTime,
  pingTimeoutMs: isTime,
  onTrouble: isFunction,
  binding: (_, value) => {
    if (typeof value !== "function") asBinding(value);
  },
};

/** What an end says of itself to its peers, for their logs. */
export const endInfo = "zerobind";

/** Counts by reason. */
export class EndCounters {
  readonly #counts = new Map<string, number>();

  readonly count = (what: string): void => {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  };

  read(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }
}

/** The times of a session, with their defaults. */
export function sessionTimes({ pingIntervalMs = 15_000, pingTimeoutMs = 45_000 }: EndOptions): {
  pingIntervalMs: number;
  pingTimeoutMs: number;
} {
  return { pingIntervalMs, pingTimeoutMs };
}

/** A sink for problems that cannot throw into whoever reports one. */
export function guarded(onTrouble: ((problem: string) => void) | undefined): (problem: string) => void {
  return (problem) => {
    try {
      onTrouble?.(problem);
    } catch {
      // Whoever is told has nobody to tell.
    }
  };
}

function asBinding(value: unknown): BindingLike {
  const { stack } = (value ?? {}) as Partial<BindingLike>;
  if (typeof stack === "object" && typeof stack.transport === "object") return value as BindingLike;
  if ((value as { kind?: unknown } | undefined)?.kind === "transport")
    throw new TypeError("binding must be a whole binding, not a transport alone: write binding(transport)");
  const what = "what binding(...) makes, such as binding(zeromq()), or a function that chooses one by address";
  throw new TypeError(`binding must be ${what}, not ${kindOf(value)}`);
}

/** The binding for an address, which it can use; else TypeError. */
export function bindingFor(
  address: unknown,
  choice: BindingLike | BindingChoice,
  mode: "bind" | "connect",
): BindingLike {
  if (typeof address !== "string")
    throw new TypeError(`an address must be a string such as "tcp://127.0.0.1:5555", not ${kindOf(address)}`);
  const found = asBinding(typeof choice === "function" ? choice(address) : choice);
  checkAddress(found, address, mode);
  return found;
}

/** Throws TypeError for an address that the binding's transport cannot use. */
export function checkAddress({ stack: { transport } }: BindingLike, address: unknown, mode: "bind" | "connect"): void {
  if (mode !== "bind" && mode !== "connect")
    throw new TypeError(`attach must be "bind" or "connect", not ${JSON.stringify(mode)}`);
  if (typeof address !== "string")
    throw new TypeError(`an address must be a string such as "tcp://127.0.0.1:5555", not ${typeof address}`);
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(address)?.[1]?.toLowerCase();
  // What has no scheme at all the transport may be able to explain better.
  if (scheme === undefined) transport.check(address, mode);
  if (scheme === undefined || !transport.schemes.includes(scheme)) {
    const known = transport.schemes.map((name) => `${name}://`).join(", ");
    throw new TypeError(
      `"${address}" is no address of the ${transport.name} transport, whose addresses begin with ${known}`,
    );
  }
  transport.check(address, mode);
}
