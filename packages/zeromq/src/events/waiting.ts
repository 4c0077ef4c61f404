import { RpcError, Status } from "@zerobind/core";

/** `setTimeout` cannot wait longer. */
const maxTimerMs = 2 ** 31 - 1;

/** Promises that wait for something, for a time at most, and until their owner is closed or refused. */
export class Waiting {
  readonly #pending = new Set<(why: string | RpcError) => void>();
  /** Why the ends at some addresses do not let this one in. */
  readonly #refusals = new Map<string, RpcError>();
  #over: string | undefined;

  /**
   * `start` gets the functions that resolve and reject the promise, and returns one that gives up; `what` completes
   * "no … ". Nobody has to handle the rejection.
   */
  for(
    what: string,
    timeoutMs: number,
    start: (resolve: () => void, reject: (error: RpcError) => void) => () => void,
  ): Promise<void> {
    const promise = new Promise<void>((resolve, reject) => {
      let done = (): void => undefined;
      const timer = timeoutMs <= maxTimerMs ? setTimeout(() => fail(`after ${timeoutMs} ms`), timeoutMs) : undefined;
      const fail = (why: string | RpcError): void => {
        done();
        reject(typeof why === "string" ? new Error(`no ${what}: ${why}`) : why);
      };
      const settle = (): void => {
        clearTimeout(timer);
        this.#pending.delete(fail);
      };
      done = settle;
      if (this.#over !== undefined) return fail(this.#over);
      this.#pending.add(fail);
      const stop = start(() => {
        settle();
        resolve();
      }, fail);
      done = () => {
        settle();
        stop();
      };
      const [refused] = this.#refusals.values();
      if (refused && this.#pending.has(fail)) fail(refused);
    });
    promise.catch(() => undefined);
    return promise;
  }

  /** The end at an address does not let this one in: rejects all that wait, and all that will, until it does. */
  refuse(address: string, why: string | undefined): void {
    this.#refusals.delete(address);
    if (why === undefined) return;
    const error = new RpcError(Status.UNAUTHENTICATED, why);
    this.#refusals.set(address, error);
    for (const fail of this.#pending) fail(error);
  }

  /** Rejects all that wait, and all that will. */
  end(why: string): void {
    this.#over = why;
    for (const fail of this.#pending) fail(why);
  }
}

/** Counts by name. */
export class Counts {
  readonly #counts = new Map<string, number>();

  add(name: string, amount = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + amount);
  }

  read(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }
}
