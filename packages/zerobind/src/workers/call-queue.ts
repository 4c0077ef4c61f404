import { RpcError, Status } from "@zerobind/core";
import type { WorkerThread } from "./worker-thread.ts";

interface Waiting {
  readonly path: string;
  readonly take: (thread: WorkerThread) => void;
  readonly fail: (error: Error) => void;
}

/** Calls that wait for a thread, in the order in which they came. */
export class CallQueue {
  readonly #maxCalls: number;
  readonly #waiting = new Set<Waiting>();

  constructor(maxCalls: number) {
    this.#maxCalls = maxCalls;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Resolves with a thread. Rejects with the reason of the signal when it aborts, RESOURCE_EXHAUSTED if too many wait. */
  wait(path: string, signal: AbortSignal): Promise<WorkerThread> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    if (this.#waiting.size >= this.#maxCalls) {
      const text = `${path}: all threads are busy and ${this.#maxCalls} calls wait for them, as many as the pool allows (its option maxQueuedCalls); try again later`;
      return Promise.reject(new RpcError(Status.RESOURCE_EXHAUSTED, text));
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(waiting);
        signal.removeEventListener("abort", aborted);
      };
      const waiting: Waiting = {
        path,
        take(thread) {
          leave();
          resolve(thread);
        },
        fail(error) {
          leave();
          reject(error);
        },
      };
      const aborted = (): void => waiting.fail(signal.reason as Error);
      signal.addEventListener("abort", aborted, { once: true });
      this.#waiting.add(waiting);
    });
  }

  /** Gives the thread to the call that has waited longest, if there is one. */
  give(thread: WorkerThread): void {
    for (const waiting of this.#waiting) {
      waiting.take(thread);
      return;
    }
  }

  /** Fails all that wait. */
  fail(errorFor: (path: string) => Error): void {
    for (const waiting of [...this.#waiting]) waiting.fail(errorFor(waiting.path));
  }
}
