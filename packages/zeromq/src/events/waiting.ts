/** `setTimeout` cannot wait longer. */
const maxTimerMs = 2 ** 31 - 1;

/** Promises that wait for something, for a time at most, and until their owner is closed. */
export class Waiting {
  readonly #pending = new Set<(why: string) => void>();
  #over: string | undefined;

  /**
   * `start` gets the function that resolves the promise, and returns one that gives up; `what` completes "no … ".
   * Nobody has to handle the rejection.
   */
  for(what: string, timeoutMs: number, start: (resolve: () => void) => () => void): Promise<void> {
    const promise = new Promise<void>((resolve, reject) => {
      let done = (): void => undefined;
      const timer = timeoutMs <= maxTimerMs ? setTimeout(() => fail(`after ${timeoutMs} ms`), timeoutMs) : undefined;
      const fail = (why: string): void => {
        done();
        reject(new Error(`no ${what}: ${why}`));
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
      });
      done = () => {
        settle();
        stop();
      };
    });
    promise.catch(() => undefined);
    return promise;
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
