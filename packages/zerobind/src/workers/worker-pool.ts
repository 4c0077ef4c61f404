import { EndCounters, Lifecycle, RpcError, Status } from "@zerobind/core";
import { CallQueue } from "./call-queue.ts";
import { Slot } from "./slot.ts";
import type { ThreadSettings, WorkerThread } from "./worker-thread.ts";

/** All settings of a pool, checked, defaults in place. */
export interface PoolSettings extends ThreadSettings {
  readonly threads: number;
  readonly maxConcurrentCalls: number;
  readonly maxQueuedCalls: number;
  readonly drainTimeoutMs: number;
}

/**
 * Threads that carry out the calls of one handler; see `workers`.
 *
 * It starts when a host opens that serves it, or with the first call, and closes with the last of those hosts; unless
 * `open` was called, whose caller then closes it. `close` lets calls finish for at most `drainTimeoutMs`, those that wait
 * included; what is still there then, and everything at `abort`, ends UNAVAILABLE, as do calls that come afterwards.
 */
export class WorkerPool extends Lifecycle {
  readonly #settings: PoolSettings;
  readonly #counters = new EndCounters();
  readonly #queue: CallQueue;
  readonly #slots: readonly Slot[];
  #hosts = 0;
  #isKept = false;
  /** Calls that have a thread or wait for one. */
  #calls = 0;
  #onDrained: () => void = () => undefined;

  constructor(settings: PoolSettings) {
    super();
    this.#settings = settings;
    this.#queue = new CallQueue(settings.maxQueuedCalls);
    const { typeName } = settings.contract;
    this.#slots = Array.from({ length: settings.threads }, (_, index) => {
      const name = `${typeName} ${index + 1}`;
      return new Slot(settings, name, {
        ready: (thread) => this.#fill(thread),
        ended: (reason) => {
          this.#counters.count("threads ended");
          this.#tell(`the worker thread ${name} has ended and is replaced: ${reason}`);
        },
        failed: (error) => this.#tell(`the worker thread ${name} cannot be replaced yet`, error),
      });
    });
  }

  /** What went wrong since it was made, by reason: threads that ended unasked, calls that were lost with them. */
  get counters(): Readonly<Record<string, number>> {
    return this.#counters.read();
  }

  /** Starts the threads and waits until all have loaded their module; rejects, with the file, if one cannot. */
  open(): Promise<void> {
    this.#isKept = true;
    return this.opened();
  }

  /** See `HostedHandler`. */
  async host(): Promise<AsyncDisposable> {
    await this.opened();
    this.#hosts += 1;
    return {
      [Symbol.asyncDispose]: async () => {
        this.#hosts -= 1;
        if (this.#hosts === 0 && !this.#isKept) await this.close();
      },
    };
  }

  /** A thread for a call, now or when one is free; `release` must follow. Rejects if there will be none for it. */
  async acquire(path: string, signal: AbortSignal): Promise<WorkerThread> {
    if (this.state === "created" || this.state === "opening") await this.opened();
    if (this.state !== "open") throw closedError(path);
    this.#calls += 1;
    const free = this.#queue.size === 0 ? this.#freest() : undefined;
    free?.take();
    if (free) return free;
    try {
      return await this.#queue.wait(path, signal);
    } catch (error) {
      this.#calls -= 1;
      if (this.#calls === 0) this.#onDrained();
      throw error;
    }
  }

  /** A call is over. `left`: nobody waits for it any more, while its thread may still be busy with it. */
  release(thread: WorkerThread, path: string, left: boolean): void {
    const over = (): void => {
      this.#calls -= 1;
      this.#fill(thread);
      if (this.#calls === 0) this.#onDrained();
    };
    if (left && !thread.over) {
      thread.leave(path, over);
    } else {
      thread.finish();
      over();
    }
  }

  /** Counts a call that was lost with its thread. */
  lost(): void {
    this.#counters.count("calls lost");
  }

  protected async onOpen(): Promise<void> {
    await Promise.all(this.#slots.map((slot) => slot.open()));
  }

  protected onClosing(): void {
    // Calls are refused by the state.
  }

  protected async onClose(graceful: boolean): Promise<void> {
    if (graceful && this.#calls > 0) await this.#drain();
    this.#queue.fail(closedError);
    const busy = this.#calls > 0;
    await Promise.all(this.#slots.map((slot) => (graceful && !busy ? slot.close() : slot.abort())));
  }

  protected onAbort(): void {
    this.#onDrained();
    for (const slot of this.#slots) void slot.abort();
  }

  async #drain(): Promise<void> {
    const { drainTimeoutMs } = this.#settings;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, drainTimeoutMs);
      this.#onDrained = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** The thread with the fewest calls that takes another one. */
  #freest(): WorkerThread | undefined {
    let freest: WorkerThread | undefined;
    for (const { thread } of this.#slots) {
      if (!thread?.hasRoom(this.#settings.maxConcurrentCalls)) continue;
      if (!freest || thread.held < freest.held) freest = thread;
    }
    return freest;
  }

  /** Gives it calls that wait. */
  #fill(thread: WorkerThread): void {
    while (this.#queue.size > 0 && thread.hasRoom(this.#settings.maxConcurrentCalls)) {
      thread.take();
      this.#queue.give(thread);
    }
  }

  #tell(problem: string, cause?: unknown): void {
    const error = new Error(problem, cause === undefined ? undefined : { cause });
    this.#settings.onError(error, { path: this.#settings.contract.typeName, id: undefined });
  }
}

/** What calls end with that come when the pool is not there any more. */
function closedError(path: string): RpcError {
  return new RpcError(Status.UNAVAILABLE, `${path}: the pool of worker threads is closed`);
}
