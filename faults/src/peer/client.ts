import { getEventListeners } from "node:events";
import { Channel, curveClient } from "zerobind";
import type { ChannelOptions } from "zerobind";
import { Probe } from "../gen/faults/v1/faults.rpc.ts";
import type { KeyPair } from "./attacker.ts";
import { Caller } from "./calls.ts";
import type { CallSpec } from "./calls.ts";
import { pause, sharedMs, within } from "./clock.ts";
import { Ledger } from "./ledger.ts";
import type { Summary } from "./ledger.ts";
import { heapInUse } from "./snapshot.ts";

/** Options of a channel that travel to its process. */
export type ChannelSettings = Omit<ChannelOptions, "binding" | "onTrouble" | "interceptors">;

/** What cycles of connecting and closing cost. */
export interface CyclesReport {
  cycles: number;
  tookMs: number;
  /** Heap and buffers in use, looked at in equal steps. */
  heapBytes: number[];
  /** Between two of them. */
  cyclesPerStep: number;
  /** Listeners on the signal that all calls shared, when all had ended. */
  signalListeners: number;
}

interface Paced {
  stop(): void;
  readonly stopped: Promise<void>;
}

/** The calling side of a process: its channels, mostly one, loads that run on them, and the ledger of all calls. */
export class Client {
  readonly #ledger: Ledger;
  #channels: Channel[] = [];
  #callers: Caller[] = [];
  #turn = 0;
  #loads = new Map<string, Paced>();

  constructor(number: number) {
    this.#ledger = new Ledger(number);
  }

  get #calls(): Caller {
    const caller = this.#callers[this.#turn++ % this.#callers.length];
    if (!caller) throw new Error("not connected: ask connect first");
    return caller;
  }

  /** Makes channels, between which calls take turns. */
  connect(address: string | string[], settings: ChannelSettings, channels = 1): void {
    this.#channels = Array.from({ length: channels }, () => new Channel(address, settings));
    this.#callers = this.#channels.map((channel) => new Caller(channel.client(Probe), this.#ledger));
  }

  /** The same, with keys of CURVE. */
  connectSecurely(address: string, serverKey: string, keyPair: KeyPair): void {
    this.#channels.push(new Channel(address, { zeromq: { curve: curveClient({ serverKey, keyPair }) } }));
    this.#callers = this.#channels.map((channel) => new Caller(channel.client(Probe), this.#ledger));
  }

  async close(): Promise<void> {
    await Promise.all(this.#channels.map((channel) => channel.close()));
  }

  counters(): Record<string, number> {
    return { ...this.#channels[0]?.counters };
  }

  /** Makes so many calls of a kind at once. */
  start(spec: CallSpec, count: number): void {
    for (let number = 0; number < count; number++) void this.#calls.call(spec);
  }

  /** Makes so many calls of a kind, some at once, and resolves when all have ended. */
  async make(spec: CallSpec, count: number, atOnce: number): Promise<void> {
    let left = count;
    const work = async (): Promise<void> => {
      while (left-- > 0) await this.#calls.call(spec);
    };
    await Promise.all(Array.from({ length: atOnce }, work));
  }

  /** Makes a call that its caller cancels after a while. */
  startCancelled(spec: CallSpec, afterMs: number): void {
    const controller = new AbortController();
    void this.#calls.call(spec, controller.signal);
    setTimeout(() => controller.abort(), afterMs);
  }

  /** Makes calls at a steady rate until it is stopped, whatever becomes of them. */
  startPaced(name: string, spec: CallSpec, perSecond: number): void {
    const startedMs = sharedMs();
    let made = 0;
    const tick = (): void => {
      const due = Math.floor(((sharedMs() - startedMs) * perSecond) / 1000) + 1;
      for (; made < due; made++) void this.#calls.call(spec);
    };
    const timer = setInterval(tick, Math.max(2, 500 / perSecond));
    tick();
    this.#loads.set(name, { stop: () => clearInterval(timer), stopped: Promise.resolve() });
  }

  /** Makes calls without a pause between bursts until it is stopped. */
  startFlood(name: string, spec: CallSpec, burst: number): void {
    let goesOn = true;
    const flood = async (): Promise<void> => {
      while (goesOn) {
        await Promise.all(Array.from({ length: burst }, () => this.#calls.call(spec)));
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    this.#loads.set(name, { stop: () => (goesOn = false), stopped: flood() });
  }

  async stop(name: string): Promise<void> {
    const load = this.#loads.get(name);
    this.#loads.delete(name);
    load?.stop();
    await load?.stopped;
  }

  /** Resolves when no call is open, or after a while. */
  async settled(withinMs: number): Promise<void> {
    await within(withinMs, this.#ledger.idle(), () => undefined);
  }

  take(): Summary {
    return this.#ledger.take();
  }

  /** How many replies came from each server so far. */
  servers(): Record<number, number> {
    return this.#ledger.servers;
  }

  get open(): number {
    return this.#ledger.openCount;
  }

  /** Resolves with how long it took until a call succeeded; calls follow each other until one does. */
  async reached(withinMs: number): Promise<number> {
    const startedMs = sharedMs();
    while (sharedMs() - startedMs < withinMs) {
      try {
        await this.#calls.client.look({}, { timeoutMs: withinMs, waitForReady: true });
        return sharedMs() - startedMs;
      } catch {
        await pause(5);
      }
    }
    return Infinity;
  }

  /** Enters in the ledger what a broken library would have caused. */
  misbehave(how: "end twice" | "never end" | "wrong reply"): void {
    const entry = this.#ledger.begin("none");
    if (how === "never end") return;
    if (how === "wrong reply") this.#ledger.reply(entry, { client: this.#ledger.client, id: entry.id + 1, server: 0 });
    this.#ledger.end(entry);
    if (how === "end twice") this.#ledger.end(entry);
  }

  /** A channel that nobody closes. */
  leak(): unknown {
    const channel = new Channel(this.#channels[0]?.address ?? "");
    void channel.open();
    return channel;
  }

  /** Connects, makes a call that ends in one of four ways, and closes; so many times, some at once. */
  async cycles(address: string, cycles: number, atOnce: number, steps: number): Promise<CyclesReport> {
    const controller = new AbortController();
    const cyclesPerStep = Math.ceil(cycles / steps);
    const heapBytes: number[] = [];
    const startedMs = sharedMs();
    let number = 0;
    for (let step = 0; step < steps; step++) {
      let left = cyclesPerStep;
      const work = async (): Promise<void> => {
        while (left-- > 0) await this.#cycle(address, number++, controller.signal);
      };
      await Promise.all(Array.from({ length: atOnce }, work));
      this.#ledger.compact();
      heapBytes.push(await heapInUse());
    }
    const signalListeners = getEventListeners(controller.signal, "abort").length;
    return { cycles: number, tookMs: sharedMs() - startedMs, heapBytes, cyclesPerStep, signalListeners };
  }

  async #cycle(address: string, number: number, shared: AbortSignal): Promise<void> {
    const channel = new Channel(address);
    const caller = new Caller(channel.client(Probe), this.#ledger);
    const way = number % 4;
    if (way === 0) await caller.call({ method: "work", bytes: 16 }, shared);
    else if (way === 1) await caller.call({ method: "work", bytes: 16, fail: true }, shared);
    else if (way === 2) await caller.call({ method: "work", bytes: 16, delayMs: 60_000, timeoutMs: 8 });
    else {
      const controller = new AbortController();
      const call = caller.call({ method: "watch", bytes: 16 }, controller.signal);
      // Sometimes before it is sent, sometimes while it runs.
      setTimeout(() => controller.abort(), number % 16);
      await call;
    }
    await channel.close();
  }
}
