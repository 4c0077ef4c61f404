import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Answer, Client, Works } from "./subject.ts";

/** Keeps `concurrency` calls under way for a time. One at a time also tells how long each took. */
export async function unary(call: () => Promise<unknown>, concurrency: number, sliceMs: number): Promise<Answer> {
  let count = 0;
  let open = true;
  const started = performance.now();
  const end = setTimeout(() => (open = false), sliceMs);
  try {
    if (concurrency === 1) {
      const latencies: number[] = [];
      for (let before = performance.now(); before - started < sliceMs; count++) {
        await call();
        const after = performance.now();
        latencies.push(after - before);
        before = after;
      }
      const elapsedMs = performance.now() - started;
      return { count, elapsedMs, ...percentiles(latencies, [50, 99]) };
    }
    const lane = async (): Promise<void> => {
      for (; open; count++) await call();
    };
    await Promise.all(Array.from({ length: concurrency }, lane));
    return { count, elapsedMs: performance.now() - started };
  } finally {
    clearTimeout(end);
  }
}

/** Messages a millisecond of each kind of stream so far: a run is one stream that takes about the time wanted. */
const rates = new Map<string, number>();

async function streamed(key: string, run: (count: number) => Promise<unknown>, sliceMs: number): Promise<Answer> {
  let total = 0;
  let spentMs = 0;
  let count = Math.ceil((rates.get(key) ?? 16 / sliceMs) * sliceMs);
  while (spentMs < sliceMs * 0.8) {
    const started = performance.now();
    await run(count);
    const tookMs = performance.now() - started;
    total += count;
    spentMs += tookMs;
    rates.set(key, count / tookMs);
    // A short run says little about a long one.
    count = Math.ceil((count / tookMs) * Math.min(Math.max(sliceMs - spentMs, 1), tookMs * 8));
  }
  return { count: total, elapsedMs: spentMs };
}

/**
 * Calls that come evenly, whatever has become of those before, as they do from many users. What a call took counts from
 * the time that it was due, so a server that stands still cannot hide it.
 */
async function openLoop(call: () => Promise<unknown>, perSecond: number, sliceMs: number): Promise<Answer> {
  const latencies: number[] = [];
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  const started = performance.now();
  const total = Math.floor((perSecond * sliceMs) / 1000);
  let failure: unknown;
  let settle: (() => void) | undefined;
  const begin = (dueMs: number): void => {
    const done = (): void => {
      latencies.push(performance.now() - dueMs);
      if (latencies.length === total) settle?.();
    };
    call().then(done, (error: unknown) => {
      failure = error;
      done();
    });
  };
  for (let begun = 0; begun < total;) {
    // Timers tick by the millisecond; what has come due since the last tick is begun at once.
    await new Promise((resolve) => setTimeout(resolve, 1));
    const due = Math.min(total, Math.floor(((performance.now() - started) * perSecond) / 1000));
    for (; begun < due; begun++) begin(started + (begun * 1000) / perSecond);
  }
  if (latencies.length < total) await new Promise<void>((resolve) => (settle = resolve));
  // eslint-disable-next-line @typescript-eslint/only-throw-error -- as the library gave it
  if (failure !== undefined) throw failure;
  const elapsedMs = performance.now() - started;
  loop.disable();
  return {
    count: total,
    elapsedMs,
    ...percentiles(latencies, [50, 99, 99.9]),
    "event-loop delay p99Us": loop.percentile(99) / 1000,
  };
}

function percentiles(valuesMs: number[], wanted: readonly number[]): Answer {
  const sorted = Float64Array.from(valuesMs).sort();
  const at = (percent: number): number => sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? NaN;
  return Object.fromEntries(wanted.map((percent) => [`p${percent}Us`, at(percent) * 1000]));
}

/** The most calls a second that this process has seen at 100 at once. */
let maximum: number | undefined;

/** An open loop at a part of what the subject can do. */
async function loaded(call: () => Promise<unknown>, percent: number, sliceMs: number): Promise<Answer> {
  if (maximum === undefined) {
    const { count = 0, elapsedMs = NaN } = await unary(call, 100, Math.max(sliceMs, 1_000));
    maximum = (count / elapsedMs) * 1000;
  }
  return openLoop(call, (maximum * percent) / 100, sliceMs);
}

/** Does what a command says: `unary CONCURRENCY BYTES MS`, `download BYTES MS` and so on. */
export async function drive(client: Client, [command = "", ...args]: readonly string[]): Promise<Answer> {
  const extra = client.extras?.[command];
  if (extra) return extra(...args);
  const [first = NaN, second = NaN, third = NaN] = args.map(Number);
  if (command === "unary") return unary(client.works(second).call, first, third);
  if (command === "loaded") return loaded(client.works(0).call, first, second);
  const run = client.works(first)[command as keyof Works] as ((count: number) => Promise<unknown>) | undefined;
  if (!run) throw new Error(`there is no command ${command}`);
  return streamed(`${command} ${first}`, run, second);
}
