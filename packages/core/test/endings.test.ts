import { getEventListeners } from "node:events";
import { describe, expect, test } from "@jest/globals";
import { Channel, RpcError, ServiceHost, Status, binding, memory, partial } from "@zerobind/core";
import type { CallOptions, OperationContext } from "@zerobind/core";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import type { BehaviorClient } from "./gen/test/v1/behavior.rpc.ts";

const stack = binding(memory());

/** As a delay: until the call is cancelled. */
const never = 0xffff;

/** Reproducible, so that a failure can be looked into: https://en.wikipedia.org/wiki/Linear_congruential_generator. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
}

/** Handlers that answer at once, later, or never, and know how many of them run. */
function countingHandler() {
  const running = { calls: 0, streams: 0 };
  const ended = async (context: OperationContext): Promise<void> => {
    if (context.signal.aborted) return;
    await new Promise<void>((resolve) => context.signal.addEventListener("abort", () => resolve()));
  };
  const handler = partial(Behavior, {
    ping: (request) => request,
    async echo({ text, delayMs }, context) {
      running.calls += 1;
      try {
        if (delayMs === never) await ended(context);
        else for (let turn = 0; turn < delayMs; turn++) await new Promise(setImmediate);
        return { text };
      } finally {
        running.calls -= 1;
      }
    },
    async *count({ count }, context) {
      running.streams += 1;
      try {
        for (let value = 0; value < count; value++) yield { value: BigInt(value) };
        if (count > 3) await ended(context);
      } finally {
        running.streams -= 1;
      }
    },
    async sum(items) {
      let count = 0;
      for await (const _ of items) count += 1;
      return { count };
    },
  });
  return { handler, running };
}

/** Everything that ends calls at some random time; says how each call ended. */
class Storm {
  readonly endings = new Map<string, number>();
  readonly #random: (below: number) => number;
  readonly #client: BehaviorClient;
  readonly #shared: AbortSignal;

  constructor(client: BehaviorClient, shared: AbortSignal, seed: number) {
    this.#client = client;
    this.#shared = shared;
    this.#random = randomNumbers(seed);
  }

  /** One call; resolves when it has ended. */
  async call(): Promise<void> {
    const controller = new AbortController();
    const timeoutMs = [0, 1, 5, 20, 60_000][this.#random(20)] ?? 60_000;
    const signal = [this.#shared, controller.signal, undefined][this.#random(3)];
    const kind = this.#random(4);
    const cancel = signal === controller.signal ? () => controller.abort() : undefined;
    // Whatever is not ended by the caller must end by itself.
    const endless = this.#random(2) === 0 && (cancel !== undefined || timeoutMs < 100);
    if (this.#random(20) === 0) cancel?.();
    const ended = this.#begin(kind, endless, { timeoutMs, signal });
    if (cancel) this.#later(cancel);
    await ended;
  }

  #begin(kind: number, endless: boolean, options: CallOptions): Promise<void> {
    const client = this.#client;
    if (kind === 0) return this.#note(client.echo({ text: "x", delayMs: endless ? never : this.#random(3) }, options));
    if (kind === 1) return this.#note(client.ping({ sequence: 1 }, options));
    if (kind === 2) return this.#note(client.sum(this.#items(), options));
    return this.#note(this.#read(client.count({ count: endless ? 5 : this.#random(4) }, options)));
  }

  *#items() {
    for (let left = this.#random(5); left > 0; left--) yield { value: 1n };
  }

  async #read(stream: ReturnType<BehaviorClient["count"]>): Promise<void> {
    const leavesAfter = this.#random(6);
    if (leavesAfter === 5) this.#later(() => stream.cancel());
    let taken = 0;
    for await (const _ of stream) if (++taken > leavesAfter) break;
    // Leaving more than once, and after the end, changes nothing.
    await stream.return();
    stream.cancel();
  }

  #later(work: () => void): void {
    const when = this.#random(6);
    if (when === 0) work();
    else if (when === 1) queueMicrotask(work);
    else if (when === 2) queueMicrotask(() => queueMicrotask(() => queueMicrotask(work)));
    else if (when === 3) process.nextTick(work);
    else if (when === 4) setImmediate(work);
    else setTimeout(work, this.#random(8));
  }

  async #note(call: Promise<unknown>): Promise<void> {
    let how = "OK";
    try {
      await call;
    } catch (error) {
      how = error instanceof RpcError ? error.codeName : String(error);
    }
    this.endings.set(how, (this.endings.get(how) ?? 0) + 1);
  }
}

describe("however calls are ended", () => {
  test("each of 100,000 ends once, and nothing of them is left", async () => {
    const { handler, running } = countingHandler();
    const host = new ServiceHost({ binding: stack });
    host.serve(Behavior, handler);
    await host.open("memory://*");
    const shared = new AbortController();
    const total = 100_000;
    const perChannel = 5_000;
    let ended = 0;
    const endings = new Map<string, number>();
    for (let begun = 0; begun < total; begun += perChannel) {
      const channel = new Channel(host.address, { binding: stack });
      const storm = new Storm(channel.client(Behavior), shared.signal, begun + 1);
      const calls: Promise<void>[] = [];
      for (let index = 0; index < perChannel; index++) {
        calls.push(storm.call().then(() => void (ended += 1)));
        if (index % 500 === 499) await new Promise(setImmediate);
      }
      // Half of the channels are ended under their last calls.
      if (begun % (2 * perChannel) === 0) channel.abort();
      else await channel.close();
      await Promise.all(calls);
      await channel.closed;
      for (const [how, count] of storm.endings) endings.set(how, (endings.get(how) ?? 0) + count);
    }
    expect(ended).toBe(total);
    expect(Array.from(endings.values()).reduce((sum, count) => sum + count, 0)).toBe(total);
    expect(Array.from(endings.keys()).sort()).toEqual(["CANCELLED", "DEADLINE_EXCEEDED", "OK"]);
    for (const count of endings.values()) expect(count).toBeGreaterThan(total / 100);
    expect(getEventListeners(shared.signal, "abort")).toHaveLength(0);
    await host.close();
    expect(running).toEqual({ calls: 0, streams: 0 });
  }, 60_000);

  test("a channel that goes on has nothing left of its calls", async () => {
    const { handler, running } = countingHandler();
    const host = new ServiceHost({ binding: stack });
    host.serve(Behavior, handler);
    await host.open("memory://*");
    const channel = new Channel(host.address, { binding: stack });
    const shared = new AbortController();
    const storm = new Storm(channel.client(Behavior), shared.signal, 7);
    await Promise.all(Array.from({ length: 5_000 }, () => storm.call()));
    await channel.client(Behavior).ping({});
    while (running.calls + running.streams > 0) await new Promise(setImmediate);
    expect(getEventListeners(shared.signal, "abort")).toHaveLength(0);
    // With anything still open it would take its drain time.
    const started = performance.now();
    await channel.close();
    await host.close();
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  test("2,000 channels that are opened, used and closed leave no listener and no timer", async () => {
    const host = new ServiceHost({ binding: stack });
    host.serve(Behavior, countingHandler().handler);
    await host.open("memory://*");
    const shared = new AbortController();
    const { signal } = shared;
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const cycle = async (index: number): Promise<void> => {
      const channel = new Channel(host.address, { binding: stack });
      const client = channel.client(Behavior);
      const own = new AbortController();
      const calls: (() => Promise<unknown>)[] = [
        () => client.ping({}, { signal }),
        () => client.echo({ delayMs: never }, { signal: AbortSignal.any([own.signal]) }),
        () => client.echo({ delayMs: never }, { timeoutMs: 2, signal }),
        () => client.fail({ code: Status.UNAVAILABLE }, { retry: { initialBackoffMs: 60_000 }, signal }),
        () => client.count({ count: 5 }, { signal: AbortSignal.any([own.signal, signal]) }).next(),
      ];
      const call = calls[index % calls.length]!();
      await Promise.race([call.catch(() => undefined), new Promise(setImmediate)]);
      own.abort();
      if (index % 2 === 0) channel.abort();
      await channel.close();
      await call.catch(() => undefined);
    };
    for (let index = 0; index < 100; index++) await cycle(index);
    const before = timers();
    for (let index = 0; index < 2_000; index++) await cycle(index);
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
    // The host has some of its own, which come and go.
    expect(timers()).toBeLessThanOrEqual(before + 5);
    await host.close();
  }, 60_000);
});
