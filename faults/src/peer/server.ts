import { RpcError, ServiceHost, Status, serverCurve } from "zerobind";
import type { OperationContext, ServiceHostOptions } from "zerobind";
import type { Done, Item, Job } from "../gen/faults/v1/faults.pb.ts";
import { Probe } from "../gen/faults/v1/faults.rpc.ts";
import type { ProbeHandler } from "../gen/faults/v1/faults.rpc.ts";
import { pause, sharedMs } from "./clock.ts";
import { ExecutionLog } from "./execution-log.ts";

/** Options of a host that travel to its process. */
export type HostOptions = Omit<ServiceHostOptions, "binding" | "onError" | "interceptors" | "onTrouble">;

/** How a host is protected by CURVE. */
export interface Protection {
  readonly secretKey: string;
  /** Public keys of those that are let in. */
  readonly allowed: readonly string[];
  readonly maxConnections?: number;
}

/** What a host said of its troubles. */
export interface Troubles {
  lines: number;
  /** The most of one second. */
  mostPerSecond: number;
  /** Those with characters that do something to a terminal or a log, or too long to be read. */
  unclean: string[];
  /** Each kind of line, without its numbers. */
  kinds: string[];
}

/** When handlers saw their signal, on the shared clock. */
export interface Signals {
  count: number;
  firstMs: number;
  lastMs: number;
}

/** The serving side of a process: one host that carries out what it is told and remembers it. */
export class Server {
  readonly #number: number;
  readonly #log: ExecutionLog;
  #host: ServiceHost | undefined;
  #running = 0;
  #waiters: { count: number; atLeast: boolean; resolve: () => void }[] = [];
  #signals: Signals = noSignals();
  /** What callers did that no client of this suite does: items out of order, or of another call. */
  #wrong: string[] = [];
  #decideMs = 0;
  #troubles: [atMs: number, text: string][] = [];

  constructor(number: number, logPath: string) {
    this.#number = number;
    this.#log = new ExecutionLog(logPath);
  }

  /** Opens the host, and gives the real address. */
  async serve(address: string, options: HostOptions, attach: "bind" | "connect" = "bind"): Promise<string> {
    this.#host = new ServiceHost({ ...options, onError: (error) => this.#wrong.push(`onError: ${String(error)}`) });
    this.#host.serve(Probe, this.#handler());
    await this.#host.open({ address, attach });
    return this.#host.address;
  }

  /** Opens a host behind CURVE, and gives the real addresses. */
  async serveSecurely(addresses: string[], { secretKey, allowed, maxConnections }: Protection): Promise<string[]> {
    const allow = async (key: string): Promise<string | undefined> => {
      if (this.#decideMs > 0) await pause(this.#decideMs);
      return allowed.includes(key) ? `key ${allowed.indexOf(key)}` : undefined;
    };
    const onTrouble = (problem: string): void => void this.#troubles.push([sharedMs(), problem]);
    const curve = serverCurve({ secretKey, allow });
    this.#host = new ServiceHost({ zeromq: { curve, maxConnections }, onTrouble }).serve(Probe, this.#handler());
    return [...(await this.#host.open(...addresses))];
  }

  /** How long it takes from now on to decide whom to let in. */
  decideIn(ms: number): void {
    this.#decideMs = ms;
  }

  /** What was told of troubles so far. */
  troubles(): Troubles {
    const perSecond = new Map<number, number>();
    for (const [atMs] of this.#troubles) {
      const second = Math.floor(atMs / 1000);
      perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
    }
    const texts = this.#troubles.map(([, text]) => text);
    return {
      lines: texts.length,
      mostPerSecond: Math.max(0, ...perSecond.values()),
      unclean: texts.filter((text) => !/^[\x20-\x7e\u2026]*$/.test(text) || text.length > 1_000),
      kinds: [...new Set(texts.map((text) => text.replace(/[0-9a-f]*\d[0-9a-f]*/g, "#")))],
    };
  }

  async close(): Promise<void> {
    await this.#host?.close();
  }

  counters(): Record<string, number> {
    return { ...this.#host?.counters };
  }

  get running(): number {
    return this.#running;
  }

  wrong(): string[] {
    return this.#wrong;
  }

  /** Writes down what a library that executes twice would have caused. */
  executeTwice(): void {
    this.#log.note("Work", 0, 0);
    this.#log.note("Work", 0, 0);
  }

  /** Resolves when so many handlers run: at least, or at most. */
  whenRunning(count: number, atLeast: boolean): Promise<void> {
    if (atLeast ? this.#running >= count : this.#running <= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ count, atLeast, resolve }));
  }

  /** Signals since the last time. */
  takeSignals(): Signals {
    const signals = this.#signals;
    this.#signals = noSignals();
    return signals;
  }

  #handler(): ProbeHandler {
    return {
      work: (job, context) => this.#unary("Work", job, context),
      look: (job, context) => this.#unary("Look", job, context),
      tell: (job) => {
        this.#log.note("Tell", job.client, job.id);
      },
      watch: (job, context) => this.#watch(job, context),
      collect: (items, context) => this.#collect(items, context),
      relay: (items, context) => this.#relay(items, context),
    };
  }

  #unary(method: "Work" | "Look", job: Job, context: OperationContext): Done | Promise<Done> {
    this.#log.note(method, job.client, job.id);
    if (job.fail) throw new RpcError(Status.ABORTED, "as the job says");
    const done = { client: job.client, id: job.id, server: this.#number, count: 0, data: job.data };
    if (job.delayMs === 0) return done;
    return this.#during(context, async (signal) => {
      await stoppable(job.delayMs, signal);
      return done;
    });
  }

  async *#watch({ client, id, count, intervalMs, itemBytes }: Job, context: OperationContext): AsyncGenerator<Item> {
    this.#log.note("Watch", client, id);
    const data = new Uint8Array(itemBytes).fill(id & 0xff);
    const leave = this.#enter(context.signal);
    try {
      for (let number = 0; count === 0 || number < count; number++) {
        yield { client, id, server: this.#number, number, paceMs: 0, data };
        if (intervalMs > 0) await stoppable(intervalMs, context.signal);
      }
    } finally {
      leave();
    }
  }

  async #collect(items: AsyncIterable<Item>, context: OperationContext): Promise<Done> {
    return await this.#during(context, async (signal) => {
      let first: Item | undefined;
      let count = 0;
      for await (const item of items) {
        if (!first) this.#log.note("Collect", item.client, item.id);
        first ??= item;
        this.#check(first, item, count++);
        if (first.paceMs > 0) await stoppable(first.paceMs, signal);
      }
      return { client: first?.client ?? 0, id: first?.id ?? 0, server: this.#number, count, data: new Uint8Array() };
    });
  }

  async *#relay(items: AsyncIterable<Item>, context: OperationContext): AsyncGenerator<Item> {
    const leave = this.#enter(context.signal);
    try {
      let first: Item | undefined;
      let count = 0;
      for await (const item of items) {
        if (!first) this.#log.note("Relay", item.client, item.id);
        first ??= item;
        this.#check(first, item, count++);
        yield { ...item, server: this.#number };
      }
    } finally {
      leave();
    }
  }

  #check(first: Item, item: Item, expected: number): void {
    if (item.client === first.client && item.id === first.id && item.number === expected) return;
    this.#wrong.push(
      `call ${first.client}/${first.id} got item ${item.number} of ${item.client}/${item.id} as its item ${expected}`,
    );
  }

  async #during<T>(context: OperationContext, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const leave = this.#enter(context.signal);
    try {
      return await work(context.signal);
    } finally {
      leave();
    }
  }

  /** A handler runs from now on; gives what to call when it ends. */
  #enter(signal: AbortSignal): () => void {
    const seen = (): void => {
      const nowMs = sharedMs();
      this.#signals.count += 1;
      this.#signals.firstMs = Math.min(this.#signals.firstMs, nowMs);
      this.#signals.lastMs = Math.max(this.#signals.lastMs, nowMs);
    };
    signal.addEventListener("abort", seen, { once: true });
    this.#moved(1);
    return () => {
      signal.removeEventListener("abort", seen);
      this.#moved(-1);
    };
  }

  #moved(by: number): void {
    this.#running += by;
    this.#waiters = this.#waiters.filter(({ count, atLeast, resolve }) => {
      if (atLeast ? this.#running < count : this.#running > count) return true;
      resolve();
      return false;
    });
  }
}

function noSignals(): Signals {
  return { count: 0, firstMs: Infinity, lastMs: -Infinity };
}

/** A pause that ends early, with the signal's reason, when the signal aborts. */
function stoppable(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}
