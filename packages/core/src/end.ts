import type { BindingLike } from "./binding.ts";
import { checkTimeout } from "./call-options.ts";
import type { Limits } from "./limits.ts";

/** Finds the binding for an address, for example by its scheme. Throws TypeError for an address it has none for. */
export type BindingChoice = (address: string) => BindingLike;

/** Options that both ends have. Times are in milliseconds. */
export interface EndOptions {
  /** What this end accepts from its peers. */
  readonly limits?: Partial<Limits>;
  /** How long `close` lets open calls finish. Default 5,000. */
  readonly drainTimeoutMs?: number;
  /** While calls are open, a peer that is silent for so long is asked for a sign of life. Default 15,000. */
  readonly pingIntervalMs?: number;
  /** A peer that stays silent for so long is given up; its calls end UNAVAILABLE. Default 45,000. */
  readonly pingTimeoutMs?: number;
  /** Told in words of what stands in the way of a connection and of what is dropped; called at a limited rate. */
  readonly onTrouble?: (problem: string) => void;
}

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

/** The times of a session, checked. */
export function sessionTimes({ pingIntervalMs = 15_000, pingTimeoutMs = 45_000, drainTimeoutMs }: EndOptions): {
  pingIntervalMs: number;
  pingTimeoutMs: number;
} {
  checkTimeout("pingIntervalMs", pingIntervalMs);
  checkTimeout("pingTimeoutMs", pingTimeoutMs);
  if (drainTimeoutMs !== undefined) checkTimeout("drainTimeoutMs", drainTimeoutMs);
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
