import { PushStream, Status, RpcError } from "zerobind";
import type { CallOptions, MessageInit } from "zerobind";
import type { Done, Item } from "../gen/faults/v1/faults.pb.ts";
import type { ProbeClient } from "../gen/faults/v1/faults.rpc.ts";
import type { Entry, Ledger } from "./ledger.ts";

/** What a call is to be. Times are in milliseconds. */
export interface CallSpec {
  readonly method: "work" | "look" | "tell" | "watch" | "collect" | "relay";
  readonly delayMs?: number;
  readonly timeoutMs?: number;
  /** The deadline as a point in time, so far from now by the wall clock. */
  readonly untilMs?: number;
  readonly waitForReady?: boolean;
  /** Bytes that come back, or that each item has. Default: some, by the id. */
  readonly bytes?: number;
  /** Items of a stream; 0 is without end. Default 0. */
  readonly count?: number;
  /** Pause of a stream's producer between two items. Default 20. */
  readonly intervalMs?: number;
  /** Pause of a stream's consumer after each item. Default 0. */
  readonly paceMs?: number;
  /** The handler fails with ABORTED, which is an ending as good as any. */
  readonly fail?: boolean;
  /** Items are offered by an iterable that never waits, instead of being pushed. */
  readonly eager?: boolean;
}

type Items = Iterable<MessageInit<Item>> | AsyncIterable<MessageInit<Item>>;

/** Every 16th call has a body of several frames. */
function bytesOf(id: number, spec: CallSpec): number {
  return spec.bytes ?? (id % 16 === 0 ? 8192 : id % 64);
}

function fill(id: number, length: number): Uint8Array {
  return new Uint8Array(length).fill(id & 0xff);
}

function isFilled(data: Uint8Array, id: number, length: number): boolean {
  return data.length === length && data.every((byte) => byte === (id & 0xff));
}

/** Makes calls, and enters all of them in a ledger. */
export class Caller {
  readonly client: ProbeClient;
  readonly #ledger: Ledger;

  constructor(client: ProbeClient, ledger: Ledger) {
    this.client = client;
    this.#ledger = ledger;
  }

  /** Makes a call and resolves when it has ended, however that is. */
  async call(spec: CallSpec, signal?: AbortSignal): Promise<void> {
    const entry = this.#ledger.begin(spec.method);
    const heard = (): void => this.#ledger.heard(entry);
    const { timeoutMs, waitForReady } = spec;
    const options: CallOptions = {
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(spec.untilMs !== undefined && { deadline: Date.now() + spec.untilMs }),
      ...(waitForReady !== undefined && { waitForReady }),
      ...(signal && { signal }),
      onHeader: heard,
      onTrailer: heard,
    };
    try {
      await this.#make(entry, spec, options);
      this.#ledger.end(entry);
    } catch (error) {
      this.#ledger.end(entry, error);
    }
  }

  async #make(entry: Entry, spec: CallSpec, options: CallOptions): Promise<void> {
    const { client: ledgerClient } = this.#ledger;
    const own = { client: ledgerClient, id: entry.id };
    const { delayMs = 0, fail = false, intervalMs = 20, count = 0, method } = spec;
    const bytes = bytesOf(entry.id, spec);
    const items = (): Items => this.#items(entry, spec, bytes);
    if (method === "work" || method === "look") {
      const job = { ...own, delayMs, fail, data: fill(entry.id, bytes) };
      this.#done(entry, await this.client[method](job, options), bytes);
    } else if (method === "tell") {
      await this.client.tell({ ...own, data: fill(entry.id, bytes) }, options);
    } else if (method === "watch") {
      const job = { ...own, count, intervalMs, itemBytes: bytes };
      await this.#read(entry, this.client.watch(job, options), spec, bytes);
    } else if (method === "relay") {
      await this.#read(entry, this.client.relay(items(), options), spec, bytes);
    } else {
      const done = await this.client.collect(items(), options);
      if (count > 0 && done.count !== count) this.#ledger.wrong(entry, `${done.count} of ${count} items arrived`);
      this.#done(entry, done, 0);
    }
  }

  #done(entry: Entry, done: Done, bytes: number): void {
    this.#ledger.reply(entry, done);
    if (!isFilled(done.data, entry.id, bytes)) this.#ledger.wrong(entry, "the reply has another content");
  }

  async #read(entry: Entry, items: AsyncIterable<Item>, spec: CallSpec, bytes: number): Promise<void> {
    let expected = 0;
    for await (const item of items) {
      this.#ledger.reply(entry, item);
      if (item.number !== expected) this.#ledger.wrong(entry, `item ${item.number} came as item ${expected}`);
      if (!isFilled(item.data, entry.id, bytes)) this.#ledger.wrong(entry, "an item has another content");
      expected += 1;
      if (spec.paceMs) await new Promise((resolve) => setTimeout(resolve, spec.paceMs));
    }
    if (spec.count && expected !== spec.count) this.#ledger.wrong(entry, `${expected} of ${spec.count} items came`);
  }

  #items(entry: Entry, spec: CallSpec, bytes: number): Items {
    const { paceMs = 0, count = 0, intervalMs = 20 } = spec;
    const data = fill(entry.id, bytes);
    const item = (number: number): MessageInit<Item> => ({
      client: this.#ledger.client,
      id: entry.id,
      number,
      paceMs,
      data,
    });
    if (spec.eager) return eagerly(count, item);
    const items = new PushStream<MessageInit<Item>>();
    void pushAll(items, count, intervalMs, item);
    return items;
  }
}

function* eagerly<T>(count: number, item: (number: number) => T): Generator<T> {
  for (let number = 0; number < count; number++) yield item(number);
}

/** Pushes until the call is over; one item waits at most. */
async function pushAll<T>(
  items: PushStream<T>,
  count: number,
  intervalMs: number,
  item: (n: number) => T,
): Promise<void> {
  try {
    for (let number = 0; count === 0 || number < count; number++) {
      await items.push(item(number));
      if (intervalMs > 0) await new Promise((resolve) => setTimeout(resolve, intervalMs));
    }
    items.end();
  } catch (error) {
    // The call is over, and its ending is told elsewhere.
    if (!(error instanceof RpcError && error.code === Status.CANCELLED)) throw error;
  }
}
