import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { MessageChannel, Worker } from "node:worker_threads";
import type { MessagePort, ResourceLimits } from "node:worker_threads";
import { Channel } from "@zerobind/core";
import type { CallOptions, Contract, HandlerFailure } from "@zerobind/core";
import { portAddress, portBinding } from "./port-transport.ts";
import type { FromThread, ThreadData, ThreadMethod, ToThread } from "./thread-messages.ts";

/** What the threads of a pool have in common. */
export interface ThreadSettings {
  readonly module: URL;
  readonly methods: readonly ThreadMethod[];
  /** See `threadContract`. */
  readonly contract: Contract;
  readonly startTimeoutMs: number;
  readonly graceMs: number;
  readonly resourceLimits: ResourceLimits | undefined;
  /** Told of what handlers throw and callers do not get to see. Must not throw. */
  readonly onError: (error: unknown, failure: HandlerFailure) => void;
}

/** A call of a method in the thread. */
export type ThreadCall = (request: unknown, options: CallOptions) => unknown;

/** Ports close when their thread has ended; if they do not, nobody waits longer for that. */
const lastWordsMs = 100;

/** One thread, from its start until it has ended, for whatever reason. While it holds calls it keeps the process alive. */
export class WorkerThread {
  /** The methods of the handler; for use once `ready` has resolved. */
  readonly client: Readonly<Record<string, ThreadCall>>;
  /** Resolves when it has loaded its module. Rejects if it cannot, and the thread ends. */
  readonly ready: Promise<void>;
  /** Resolves with the reason, for people, when it has ended and the calls that it held have failed. Never rejects. */
  readonly ended: Promise<string>;
  /** It has ended, or is about to. */
  over = false;
  /** Calls that it has answered. */
  answered = 0;
  readonly #settings: ThreadSettings;
  readonly #worker: Worker;
  readonly #control: MessagePort;
  readonly #channel: Channel;
  readonly #signsOfLife: (() => void)[] = [];
  /** Calls that it holds, and those among them that nobody waits for any more. */
  #held = 0;
  #left = 0;
  #leftPath = "";
  #hangTimer: ReturnType<typeof setTimeout> | undefined;
  #reason: string | undefined;
  #settleReady!: { resolve: () => void; reject: (error: Error) => void };

  constructor(settings: ThreadSettings, name: string) {
    this.#settings = settings;
    const { module, methods, contract, resourceLimits } = settings;
    const calls = new MessageChannel();
    const control = new MessageChannel();
    const data: ThreadData = {
      ...{ module: module.href, typeName: contract.typeName, methods },
      ...{ calls: calls.port2, control: control.port2 },
    };
    this.#worker = new Worker(program(), {
      ...{ name, workerData: data, transferList: [calls.port2, control.port2] },
      ...(resourceLimits && { resourceLimits }),
    });
    this.#channel = new Channel(portAddress, {
      binding: portBinding(calls.port1, false),
      limits: { maxMessageBytes: 0xffffffff, maxMetadataBytes: 0xffffffff },
      ...{ retry: false, pingIntervalMs: Infinity, pingTimeoutMs: Infinity, connectTimeoutMs: Infinity },
    });
    this.client = this.#channel.client(contract) as Readonly<Record<string, ThreadCall>>;
    this.ready = new Promise<void>((resolve, reject) => (this.#settleReady = { resolve, reject }));
    this.#control = control.port1;
    this.#control.on("message", (message: FromThread) => this.#hear(message));
    this.#control.unref();
    this.ended = this.#watch(calls.port1);
    this.#watchStart();
    this.#channel.open().catch(() => undefined);
  }

  /** Whether another call may be given to it. */
  hasRoom(maxCalls: number): boolean {
    return !this.over && this.#left === 0 && this.#held < maxCalls;
  }

  get held(): number {
    return this.#held;
  }

  /** Keeps the process alive until it has ended, or no longer does. */
  keepAlive(keeps: boolean): void {
    if (keeps) this.#worker.ref();
    else this.#worker.unref();
  }

  /** It gets a call, of which `finish` or `leave` follows. */
  take(): void {
    this.#held += 1;
    if (this.#held === 1) this.#worker.ref();
    this.#checkHang();
  }

  /** A call is over: by its answer, or because the thread is. */
  finish(): void {
    if (!this.over) this.answered += 1;
    this.#release();
  }

  /**
   * Nobody waits any more for a call that it may still be busy with. It is not given further ones until its event loop
   * turns or it ends, which `over` is told; when all of its calls are like that for too long, it is ended.
   */
  leave(path: string, over: () => void): void {
    this.#left += 1;
    this.#leftPath = path;
    this.#signsOfLife.push(() => {
      this.#left -= 1;
      this.#release();
      over();
    });
    this.#say({ say: "ping" });
    this.#checkHang();
  }

  /** Lets it end by itself, once it has disposed of its handler; ends it where it does not. */
  async close(): Promise<void> {
    this.#reason ??= "its pool was closed";
    this.over = true;
    this.#worker.ref();
    this.#say({ say: "close" });
    const timer = setTimeout(() => void this.#worker.terminate(), this.#settings.graceMs);
    await this.ended;
    clearTimeout(timer);
  }

  /** Ends it at once. */
  terminate(reason: string): void {
    this.#reason ??= reason;
    this.over = true;
    void this.#worker.terminate();
  }

  #release(): void {
    this.#held -= 1;
    if (this.#held === 0) this.#worker.unref();
    this.#checkHang();
  }

  /** A thread that also has calls which somebody waits for may rightly be busy with those. */
  #checkHang(): void {
    const { graceMs } = this.#settings;
    clearTimeout(this.#hangTimer);
    if (this.over || this.#left === 0 || this.#left < this.#held) return;
    this.#hangTimer = setTimeout(() => {
      this.terminate(
        `${this.#leftPath} went on for ${graceMs} ms after nobody waited for it any more (option graceMs)`,
      );
    }, graceMs);
  }

  #say(message: ToThread): void {
    this.#control.postMessage(message);
  }

  #hear(message: FromThread): void {
    if (message.say === "ready") this.#settleReady.resolve();
    else if (message.say === "pong") this.#signsOfLife.shift()?.();
    else if (message.say === "threw") this.#settings.onError(message.error, message.failure);
    else {
      this.#failStart(describe(message.error), message.error);
      this.terminate("its module cannot be loaded");
    }
  }

  #watchStart(): void {
    const { startTimeoutMs } = this.#settings;
    const timer = setTimeout(() => {
      this.#failStart(`it takes longer than ${startTimeoutMs} ms (option startTimeoutMs)`);
      this.terminate("its module takes too long to load");
    }, startTimeoutMs).unref();
    this.ready.then(
      () => clearTimeout(timer),
      () => clearTimeout(timer),
    );
  }

  /** Has no effect once it is ready. */
  #failStart(why: string, cause?: unknown): void {
    const { module } = this.#settings;
    const file = module.protocol === "file:" ? fileURLToPath(module) : module.href;
    const error = new Error(`the worker module ${file} cannot be loaded: ${why}`);
    if (cause !== undefined) error.cause = cause;
    this.#settleReady.reject(error);
  }

  #watch(calls: MessagePort): Promise<string> {
    this.#worker.on("error", (error: unknown) => {
      this.over = true;
      this.#reason ??= describe(error);
      this.#failStart(describe(error), error);
    });
    // What the thread has sent comes before its ports close, and that before the channel is told, and calls fail.
    const silent = Promise.all(
      [calls, this.#control].map((port) => new Promise<void>((resolve) => port.once("close", resolve))),
    );
    calls.once("close", () => (this.over = true));
    return new Promise((resolve) => {
      this.#worker.once("exit", (code) => {
        this.over = true;
        clearTimeout(this.#hangTimer);
        const closePorts = (): void => [calls, this.#control].forEach((port) => port.close());
        const timer = setTimeout(closePorts, lastWordsMs);
        void silent.then(() => {
          clearTimeout(timer);
          this.#failStart(`its thread ended with exit code ${code}`);
          this.#channel.abort();
          for (const alive of this.#signsOfLife.splice(0)) alive();
          resolve(this.#reason ?? `exit code ${code}`);
        });
      });
    });
  }
}

/** The file that threads run: one of its own, also where this one is part of a bundle. */
function program(): string {
  const home = dirname(createRequire(import.meta.url).resolve("zerobind/package.json"));
  return join(home, "dist/workers/thread.js");
}

/** An error in one line; one that came from a thread is of no class of this one. */
function describe(error: unknown): string {
  const { name, message } = (error ?? {}) as Partial<Error>;
  return typeof name === "string" && typeof message === "string" ? `${name}: ${message}` : `it threw ${String(error)}`;
}
