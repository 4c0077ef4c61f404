import { readdirSync } from "node:fs";
import { getHeapSnapshot } from "node:v8";
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

/** The classes of the library whose objects are counted: they are no part of its public face. */
const watched = [
  "ClientCall",
  "ServerCall",
  "ClientSession",
  "ServerSession",
  "FrontSession",
  "BackSession",
  "NativeCall",
  "Channel",
  "Connection",
  "ListenerLink",
  timerClass,
];

/** A heap snapshot, as far as it is read: nodes are runs of numbers, whose meaning `meta` tells. */
interface HeapSnapshot {
  readonly snapshot: { readonly meta: { readonly node_fields: string[]; readonly node_types: [string[]] } };
  readonly nodes: readonly number[];
  readonly strings: readonly string[];
}

/** The watched objects that the collector would not free, by the name of their class. */
async function countObjects(): Promise<Record<string, number>> {
  const text = (await getHeapSnapshot().toArray()).map(String).join("");
  const { snapshot, nodes, strings } = JSON.parse(text) as HeapSnapshot;
  const { node_fields: fields, node_types: types } = snapshot.meta;
  const [type, name] = [fields.indexOf("type"), fields.indexOf("name")];
  const object = types[0].indexOf("object");
  const counts = new Map(watched.map((each) => [each, 0]));
  for (let node = 0; node < nodes.length; node += fields.length) {
    if (nodes[node + type] !== object) continue;
    const found = strings[nodes[node + name]!]!;
    const count = counts.get(found);
    if (count !== undefined) counts.set(found, count + 1);
  }
  return Object.fromEntries(counts);
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
  const objects = withObjects ? await countObjects() : {};
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
