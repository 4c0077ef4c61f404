import { RpcError, statusName } from "zerobind";
import { sharedMs } from "./clock.ts";

/** One call as its caller sees it. */
export interface Entry {
  readonly id: number;
  readonly method: string;
  readonly startedMs: number;
  /** How often it ended: once, if all is well. */
  endings: number;
}

/** What became of the calls of one process. Times are on the shared clock. */
export interface Summary {
  started: number;
  ended: number;
  /** Ids of calls that have not ended. */
  open: number[];
  /** Calls that ended more than once, or said something after their end. */
  again: string[];
  /** Replies that belong to another call. */
  wrong: string[];
  /** How many calls ended with each code. */
  codes: Record<string, number>;
  /** The same by code and method. */
  methods: Record<string, Record<string, number>>;
  /** The first error of each code, for people. */
  errors: Record<string, string>;
  /** How many replies came from each server process. */
  servers: Record<number, number>;
  /** When the first and the last call ended, by code. */
  ends: Record<string, { firstMs: number; lastMs: number }>;
  /** Of the calls that ended OK, in milliseconds. */
  latency: { p50: number; p99: number; max: number };
}

/** Keeps at most so many sentences of a kind; one is enough to fail. */
const maxSentences = 20;

/** All calls of a process, from their beginning to what is said of them. */
export class Ledger {
  readonly client: number;
  #nextId = 1;
  #open = new Map<number, Entry>();
  #summary = emptySummary();
  #latencies: number[] = [];
  #idle: (() => void)[] = [];

  constructor(client: number) {
    this.client = client;
  }

  get openCount(): number {
    return this.#open.size;
  }

  get servers(): Record<number, number> {
    return this.#summary.servers;
  }

  begin(method: string): Entry {
    const entry = { id: this.#nextId++, method, startedMs: sharedMs(), endings: 0 };
    this.#open.set(entry.id, entry);
    this.#summary.started += 1;
    return entry;
  }

  /** The call has ended, with an error or without one. */
  end(entry: Entry, error?: unknown): void {
    const endedMs = sharedMs();
    entry.endings += 1;
    const summary = this.#summary;
    if (entry.endings > 1) {
      note(summary.again, `call ${entry.id} ended ${entry.endings} times`);
      return;
    }
    this.#open.delete(entry.id);
    summary.ended += 1;
    const code =
      error === undefined ? "OK" : error instanceof RpcError ? statusName(error.code) : `thrown ${textOf(error)}`;
    summary.codes[code] = (summary.codes[code] ?? 0) + 1;
    (summary.ends[code] ??= { firstMs: endedMs, lastMs: endedMs }).lastMs = endedMs;
    if (error === undefined) this.#latencies.push(endedMs - entry.startedMs);
    else summary.errors[code] ??= `${entry.method}: ${textOf(error)}`;
    const methods = (summary.methods[code] ??= {});
    methods[entry.method] = (methods[entry.method] ?? 0) + 1;
    if (this.#open.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Something arrived for the call: it must still be open. */
  heard(entry: Entry): void {
    if (entry.endings > 0) note(this.#summary.again, `call ${entry.id} said something after it had ended`);
  }

  /** A reply or item arrived: it must belong to the call. */
  reply(entry: Entry, got: { client: number; id: number; server: number }): void {
    this.heard(entry);
    const { servers, wrong } = this.#summary;
    servers[got.server] = (servers[got.server] ?? 0) + 1;
    if (got.client !== this.client || got.id !== entry.id)
      note(wrong, `call ${this.client}/${entry.id} got the reply of ${got.client}/${got.id}`);
  }

  /** What arrived is not what the call is owed. */
  wrong(entry: Entry, what: string): void {
    note(this.#summary.wrong, `call ${this.client}/${entry.id}: ${what}`);
  }

  /** Resolves when no call is open. */
  idle(): Promise<void> {
    return this.#open.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Forgets the latencies, so that the ledger does not grow with its calls. */
  compact(): void {
    this.#latencies = [];
  }

  /** What was since the last time, which is then forgotten. Calls that are open stay so. */
  take(): Summary {
    const summary = this.#summary;
    summary.open = [...this.#open.keys()].slice(0, maxSentences);
    const sorted = Float64Array.from(this.#latencies).sort();
    const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
    summary.latency = { p50: at(0.5), p99: at(0.99), max: at(1) };
    this.#summary = emptySummary();
    this.#latencies = [];
    return summary;
  }
}

function emptySummary(): Summary {
  return {
    started: 0,
    ended: 0,
    open: [],
    again: [],
    wrong: [],
    codes: {},
    methods: {},
    errors: {},
    servers: {},
    ends: {},
    latency: { p50: 0, p99: 0, max: 0 },
  };
}

function note(list: string[], sentence: string): void {
  if (list.length < maxSentences) list.push(sentence);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : JSON.stringify(error);
}
