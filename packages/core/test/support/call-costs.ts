// A program that measures what a call costs in objects and bytes, over the memory transport, with client and server in
// one process. Its argument says what to measure; it prints the result as JSON. See `call-costs.test.ts`.
import { createHook } from "node:async_hooks";
import { EventEmitter } from "node:events";
import { PerformanceObserver, constants } from "node:perf_hooks";
import type { PerformanceEntry } from "node:perf_hooks";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Channel, ServiceHost, binding, memory, partial } from "@zerobind/core";
import { Behavior } from "../gen/test/v1/behavior.rpc.ts";
import type { BehaviorClient, BehaviorHandler } from "../gen/test/v1/behavior.rpc.ts";

/** What was made for each call, on average. */
export interface Created {
  timers: number;
  controllers: number;
  listeners: number;
  promises: number;
}

/** Bytes that were allocated for each call, the buffers of messages included. */
export interface Allocated {
  readonly sequentialBytes: number;
  readonly concurrentBytes: number;
  /** Has to be none, or the figures above are too small. */
  readonly collections: number;
}

/** Bytes that each call holds on to while it is in its handler. */
export interface Held {
  readonly bytes: number;
}

const ping: BehaviorHandler["ping"] = ({ sequence }) => ({ sequence });
const pingWithSignal: BehaviorHandler["ping"] = ({ sequence }, { signal }) => ({
  sequence: signal.aborted ? 0 : sequence,
});

async function open(handler: Partial<BehaviorHandler>) {
  const stack = { binding: binding(memory()) };
  const host = new ServiceHost({ ...stack, limits: { maxConcurrentCalls: 20_000 } });
  await host.serve(Behavior, partial(Behavior, handler)).open("memory://*");
  const channel = new Channel(host.address, stack);
  const client = channel.client(Behavior);
  return {
    client,
    async [Symbol.asyncDispose]() {
      channel.abort();
      host.abort();
      await Promise.all([channel.closed, host.closed]);
    },
  };
}

async function callInTurn(client: BehaviorClient, count: number): Promise<void> {
  for (let sequence = 0; sequence < count; sequence++) await client.ping({ sequence });
}

async function callAtOnce(client: BehaviorClient, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, sequence) => client.ping({ sequence })));
}

/** Counts what is made from now on. */
function countCreated(): Created {
  const created: Created = { timers: 0, controllers: 0, listeners: 0, promises: 0 };
  const counting = <Owner extends object>(owner: Owner, name: keyof Owner, kind: keyof Created): void => {
    const original = owner[name] as (...args: unknown[]) => unknown;
    owner[name] = function (this: unknown, ...args: unknown[]) {
      created[kind] += 1;
      return original.apply(this, args);
    } as Owner[keyof Owner];
  };
  counting(globalThis, "setTimeout", "timers");
  counting(globalThis, "setInterval", "timers");
  counting(EventTarget.prototype, "addEventListener", "listeners");
  counting(EventEmitter.prototype, "on", "listeners");
  counting(EventEmitter.prototype, "once", "listeners");
  globalThis.AbortController = class extends AbortController {
    constructor() {
      super();
      created.controllers += 1;
    }
  };
  createHook({
    init(_id, type) {
      if (type === "PROMISE") created.promises += 1;
    },
  }).enable();
  return created;
}

async function measureCreated(handler: BehaviorHandler["ping"]): Promise<Created> {
  const calls = 2000;
  await using pair = await open({ ping: handler });
  await callInTurn(pair.client, 10);
  const created = countCreated();
  await callInTurn(pair.client, calls);
  const { timers, controllers, listeners, promises } = created;
  return {
    timers: timers / calls,
    controllers: controllers / calls,
    listeners: listeners / calls,
    promises: promises / calls,
  };
}

async function measureAllocated(): Promise<Allocated> {
  const calls = 10_000;
  await using pair = await open({ ping });
  // Until everything is compiled for good.
  for (let round = 0; round < 10; round++) {
    await callInTurn(pair.client, 3000);
    await callAtOnce(pair.client, 100);
  }
  const collections = countCollections();
  const sequentialBytes = await allocatedBy(() => callInTurn(pair.client, calls));
  const concurrentBytes = await allocatedBy(async () => {
    for (let round = 0; round < calls / 100; round++) await callAtOnce(pair.client, 100);
  });
  return {
    sequentialBytes: Math.round(sequentialBytes / calls),
    concurrentBytes: Math.round(concurrentBytes / calls),
    collections: await collections(),
  };
}

/** The garbage collections from now on that nobody asked for. */
function countCollections(): () => Promise<number> {
  let count = 0;
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { flags } = (entry as PerformanceEntry & { detail: { flags: number } }).detail;
      if ((flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) === 0) count += 1;
    }
  });
  observer.observe({ entryTypes: ["gc"] });
  return async () => {
    // Entries come a turn late.
    await nextTurn();
    await nextTurn();
    observer.disconnect();
    return count;
  };
}

function usedBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function allocatedBy(run: () => Promise<void>): Promise<number> {
  gc!();
  await nextTurn();
  const before = usedBytes();
  await run();
  return usedBytes() - before;
}

async function measureHeld(): Promise<Held> {
  const calls = 10_000;
  let entered = 0;
  let allEntered!: () => void;
  let release!: () => void;
  const inHandlers = new Promise<void>((resolve) => (allEntered = resolve));
  const released = new Promise<object>((resolve) => (release = () => resolve({})));
  // Buffers of the transport are kept for later calls: those of a first round are not of the second.
  await using pair = await open({
    ping: () => {
      if (++entered === calls + 1000) allEntered();
      return entered > 1000 ? released : {};
    },
  });
  await callAtOnce(pair.client, 1000);
  gc!();
  await nextTurn();
  const before = usedBytes();
  const replies = callAtOnce(pair.client, calls);
  await inHandlers;
  gc!();
  await nextTurn();
  const bytes = Math.round((usedBytes() - before) / calls);
  release();
  await replies;
  return { bytes };
}

const measures: Readonly<Record<string, () => Promise<unknown>>> = {
  created: () => measureCreated(ping),
  createdWithSignal: () => measureCreated(pingWithSignal),
  allocated: measureAllocated,
  held: measureHeld,
};

console.log(JSON.stringify(await measures[process.argv.at(-1)!]!()));
