import { WorkerThread } from "./worker-thread.ts";
import type { ThreadSettings } from "./worker-thread.ts";

/** Pauses between the starts of threads that end before they have answered anything. */
const firstPauseMs = 100;
const longestPauseMs = 10_000;

/** What a place of the pool tells it. None of these may throw. */
export interface SlotEvents {
  /** There is a thread that takes calls. */
  ready(thread: WorkerThread): void;
  /** It has ended, unasked. */
  ended(reason: string): void;
  /** Its successor could not be started; another one will be tried. */
  failed(error: unknown): void;
}

/** One place of a pool: has a thread, and another one when that has ended. */
export class Slot {
  /** The thread that takes calls. */
  thread: WorkerThread | undefined;
  readonly #settings: ThreadSettings;
  readonly #name: string;
  readonly #events: SlotEvents;
  /** The newest thread, ready or not. */
  #newest: WorkerThread | undefined;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(settings: ThreadSettings, name: string, events: SlotEvents) {
    this.#settings = settings;
    this.#name = name;
    this.#events = events;
  }

  /** Starts the first thread; rejects if it cannot be. */
  async open(): Promise<void> {
    const thread = this.#start();
    await thread.ready;
    thread.keepAlive(false);
    void this.#replace(thread);
  }

  /** Lets its thread end. */
  async close(): Promise<void> {
    this.#stop();
    await this.#newest?.close();
  }

  /** Ends its thread at once. */
  async abort(): Promise<void> {
    this.#stop();
    this.#newest?.terminate("its pool was aborted");
    await this.#newest?.ended;
  }

  #stop(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #start(): WorkerThread {
    const thread = new WorkerThread(this.#settings, this.#name);
    this.#newest = thread;
    thread.ready.then(
      () => {
        if (this.#closed || thread.over) return;
        this.thread = thread;
        this.#events.ready(thread);
      },
      () => undefined,
    );
    return thread;
  }

  async #replace(thread: WorkerThread): Promise<void> {
    const reason = await thread.ended;
    this.thread = undefined;
    if (this.#closed) return;
    this.#events.ended(reason);
    this.#failures = thread.answered > 0 ? 0 : this.#failures + 1;
    this.#restart();
  }

  #restart(): void {
    if (this.#closed) return;
    const pauseMs = this.#failures === 0 ? 0 : Math.min(firstPauseMs * 2 ** (this.#failures - 1), longestPauseMs);
    this.#timer = setTimeout(() => void this.#tryAgain(), pauseMs).unref();
  }

  async #tryAgain(): Promise<void> {
    let thread: WorkerThread | undefined;
    try {
      // Throws if the system has no room for another thread.
      thread = this.#start();
      // Calls that wait for it keep the process alive by themselves.
      thread.keepAlive(false);
      await thread.ready;
      void this.#replace(thread);
    } catch (error) {
      this.#failures += 1;
      if (!this.#closed) this.#events.failed(error);
      await thread?.ended;
      this.#restart();
    }
  }
}
