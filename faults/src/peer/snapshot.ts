import { readdirSync } from "node:fs";
import { queryObjects } from "node:v8";
import { pause } from "./clock.ts";

/** What a process holds. */
export interface Snapshot {
  /** Open file descriptors. */
  fds: number;
  /** What keeps the process alive, by kind, without what is transient. */
  resources: Record<string, number>;
  /** Listeners of the process for its own events. */
  listeners: number;
  /** Objects of the library that have not been collected, by class; empty unless asked for. */
  objects: Record<string, number>;
  /** Heap and buffers in use after a collection. */
  heapBytes: number;
  rssBytes: number;
}

/** Timers, also those that do not keep the process alive, which are no active resources. */
export const timerClass = "Timeout";

type Class = Parameters<typeof queryObjects>[0];

/** The tables of the library, by what stands in them: they are no part of its public face. */
const watched = [
  ["@zerobind/core", "caller.js", "ClientCall"],
  ["@zerobind/core", "request-context.js", "ServerCall"],
  ["@zerobind/core", "client-session.js", "ClientSession"],
  ["@zerobind/core", "server-session.js", "ServerSession"],
  ["@zerobind/core", "channel.js", "Channel"],
  ["@zerobind/zeromq", "connection.js", "Connection"],
  ["@zerobind/zeromq", "peer.js", "ListenerLink"],
] as const;

let classes: Promise<[string, Class][]> | undefined;

async function load(): Promise<[string, Class][]> {
  // Core is found from here; the transport from there, as the package that users install finds it.
  const home: Record<string, string> = {
    "@zerobind/core": import.meta.resolve("@zerobind/core"),
    "@zerobind/zeromq": import.meta.resolve("@zerobind/zeromq"),
  };
  const found: [string, Class][] = [];
  for (const [room, file, name] of watched) {
    const module = (await import(new URL(file, home[room]).href)) as Record<string, Class>;
    const one = module[name];
    if (!one) throw new Error(`${room} has no ${name} in ${file} any more: say in snapshot.ts where it is now`);
    found.push([name, one]);
  }
  const timer = setTimeout(() => undefined, 0);
  found.push([timerClass, timer.constructor]);
  clearTimeout(timer);
  return found;
}

async function collect(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.();
    // What the collector found unreachable is finalized in later turns.
    await pause(1);
  }
}

/** Heap and buffers in use after a collection. */
export async function heapInUse(): Promise<number> {
  await collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Collects garbage and looks. To count objects takes long. */
export async function takeSnapshot(withObjects: boolean): Promise<Snapshot> {
  const known = await (classes ??= load());
  const objects: Record<string, number> = {};
  if (withObjects) for (const [name, one] of known) objects[name] = queryObjects(one, { format: "count" });
  const heapBytes = await heapInUse();
  const resources: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo())
    if (!transient.has(kind)) resources[kind] = (resources[kind] ?? 0) + 1;
  return {
    fds: readdirSync("/proc/self/fd").length,
    resources,
    listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
    objects,
    heapBytes,
    rssBytes: process.memoryUsage.rss(),
  };
}

/** What a look itself, or a message to the suite, may be in the middle of. */
const transient = new Set(["FSReqPromise", "FSReqCallback", "Immediate", "WriteWrap", "CloseReq"]);
