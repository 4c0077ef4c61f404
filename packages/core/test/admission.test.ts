import { once } from "node:events";
import { describe, expect, test } from "@jest/globals";
import { Channel, ServiceHost, Status, binding, memory } from "@zerobind/core";
import type { ServeOptions, ServiceHostOptions } from "@zerobind/core";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { BehaviorService } from "./support/behavior-handler.ts";
import { failureOf } from "./support/failure.ts";

const stack = binding(memory());

/** A handler whose `echo` waits until it is let go, and tells how many run. */
class Gate extends BehaviorService {
  readonly order: string[] = [];
  running = 0;
  most = 0;
  #open: (() => void)[] = [];

  override async echo({ text }: { text: string }) {
    this.order.push(text);
    this.most = Math.max(this.most, ++this.running);
    this.events.emit("in", text);
    await new Promise<void>((resolve) => this.#open.push(resolve));
    this.running -= 1;
    return { text, data: new Uint8Array() };
  }

  /** Lets those that are in go. */
  release(): void {
    for (const open of this.#open.splice(0)) open();
  }
}

async function openGate(host: Omit<ServiceHostOptions, "binding">, serve: ServeOptions = {}) {
  const gate = new Gate();
  const server = new ServiceHost({ binding: stack, ...host }).serve(Behavior, gate, serve);
  await server.open("memory://*");
  const channels: Channel[] = [];
  const connect = () => {
    const channel = new Channel(server.address, { binding: stack });
    channels.push(channel);
    return channel.client(Behavior);
  };
  return {
    gate,
    connect,
    server,
    async [Symbol.asyncDispose]() {
      for (const channel of channels) channel.abort();
      await Promise.all(channels.map(({ closed }) => closed));
      server.abort();
      await server.closed;
    },
  };
}

describe("admission", () => {
  test("calls beyond those that may run wait their turn, and beyond those that may wait are refused at once", async () => {
    await using pair = await openGate({ maxConcurrentCalls: 2, maxQueuedCalls: 3 });
    const client = pair.connect();
    const calls = Array.from({ length: 5 }, (_, index) => client.echo({ text: String(index) }));
    const refused = await failureOf(client.echo({ text: "one too many" }));
    expect(refused).toMatchObject({
      code: Status.RESOURCE_EXHAUSTED,
      message:
        "test.v1.Behavior/Echo: the server runs 2 calls at once, and 3 more wait, as many as it allows (its options maxConcurrentCalls and maxQueuedCalls); try again later",
    });
    expect(pair.gate.order).toEqual(["0", "1"]);
    while (pair.gate.order.length < 5 || pair.gate.running > 0) {
      pair.gate.release();
      await new Promise(setImmediate);
    }
    expect((await Promise.all(calls)).map(({ text }) => text)).toEqual(["0", "1", "2", "3", "4"]);
    expect(pair.gate.most).toBe(2);
  });

  test("a call whose deadline passes while it waits, or that is cancelled, never runs, and leaves its place", async () => {
    await using pair = await openGate({ maxConcurrentCalls: 1, maxQueuedCalls: 2 });
    const client = pair.connect();
    const first = client.echo({ text: "first" });
    const controller = new AbortController();
    const outcomes = [
      failureOf(client.echo({ text: "late" }, { timeoutMs: 30 })),
      failureOf(client.echo({ text: "cancelled" }, { signal: controller.signal })),
    ];
    expect((await outcomes[0])?.code).toBe(Status.DEADLINE_EXCEEDED);
    controller.abort();
    expect((await outcomes[1])?.code).toBe(Status.CANCELLED);
    const next = client.echo({ text: "next" });
    await client.notify({ text: "after it" }).catch(() => undefined);
    pair.gate.release();
    await first;
    while (pair.gate.running === 0) await new Promise(setImmediate);
    pair.gate.release();
    expect((await next).text).toBe("next");
    expect(pair.gate.order).toEqual(["first", "next"]);
  });

  test("sessions take turns, even when one sends a thousand calls in one batch", async () => {
    await using pair = await openGate({ maxConcurrentCalls: 1, maxQueuedCalls: 2000 });
    const greedy = pair.connect();
    const polite = pair.connect();
    await Promise.all([greedy.ping({}), polite.ping({})]);
    const entered = once(pair.gate.events, "in");
    const calls = Array.from({ length: 1000 }, (_, index) => greedy.echo({ text: `greedy ${index}` }));
    await entered;
    calls.push(polite.echo({ text: "polite" }));
    while (pair.gate.order.length < 10) {
      pair.gate.release();
      await new Promise(setImmediate);
    }
    expect(pair.gate.order.indexOf("polite")).toBeGreaterThan(0);
    expect(pair.gate.order.indexOf("polite")).toBeLessThan(10);
    for (const call of calls) call.catch(() => undefined);
  });

  test("handlers that take long do not keep the event loop from others", async () => {
    const busy = new BehaviorService();
    let turns = 0;
    busy.ping = ({ sequence }) => {
      for (const end = performance.now() + 1; performance.now() < end;);
      return { sequence };
    };
    await using host = new ServiceHost({ binding: stack }).serve(Behavior, busy);
    await host.open("memory://*");
    await using channel = new Channel(host.address, { binding: stack });
    const client = channel.client(Behavior);
    await client.ping({});
    const replies = Promise.all(Array.from({ length: 200 }, (_, sequence) => client.ping({ sequence })));
    let over = false;
    void replies.then(() => (over = true));
    while (!over) {
      await new Promise(setImmediate);
      turns += 1;
    }
    // 200 ms of work in slices of 5 ms.
    expect(turns).toBeGreaterThan(20);
    expect((await replies).map(({ sequence }) => sequence)).toEqual(Array.from({ length: 200 }, (_, index) => index));
  });

  test("a service and a method may have limits of their own, which hold nobody else back", async () => {
    await using pair = await openGate(
      {},
      { methods: { echo: { throttle: { maxConcurrentCalls: 1, maxQueuedCalls: 0 } } } },
    );
    const client = pair.connect();
    const first = client.echo({ text: "first" });
    expect(await failureOf(client.echo({ text: "second" }))).toMatchObject({
      code: Status.RESOURCE_EXHAUSTED,
      message: expect.stringMatching(
        /^test\.v1\.Behavior\/Echo: the method runs 1 call at once, as many as it allows \(its option maxConcurrentCalls\)/,
      ),
    });
    expect(await client.ping({ sequence: 7 })).toEqual({ sequence: 7 });
    pair.gate.release();
    await first;

    await using whole = await openGate({}, { throttle: { maxConcurrentCalls: 1, maxQueuedCalls: 0 } });
    const other = whole.connect();
    const waiting = other.echo({ text: "first" });
    expect(await failureOf(other.ping({}))).toMatchObject({
      code: Status.RESOURCE_EXHAUSTED,
      message: expect.stringContaining("its service runs 1 call at once"),
    });
    whole.gate.release();
    await waiting;
    expect(await other.ping({ sequence: 8 })).toEqual({ sequence: 8 });
  });

  test("one-way calls have credit: a burst of them waits with its sender, and none is lost", async () => {
    await using pair = await openGate({ maxConcurrentCalls: 1, limits: { maxConcurrentCalls: 10 } });
    let noticed = 0;
    pair.gate.events.on("notice", () => (noticed += 1));
    const client = pair.connect();
    await Promise.all(Array.from({ length: 5000 }, () => client.notify({ text: "x" })));
    await client.ping({});
    expect(noticed).toBe(5000);
    expect(pair.server.counters).toEqual({});
  });

  test("a one-way call that is dropped is counted and reported", async () => {
    const reported: unknown[] = [];
    await using pair = await openGate({
      maxConcurrentCalls: 1,
      maxQueuedCalls: 0,
      onError: (error, { path }) => reported.push([path, error]),
    });
    const client = pair.connect();
    const first = client.echo({ text: "in the way" });
    await client.notify({ text: "dropped" });
    expect((await failureOf(client.ping({}))).code).toBe(Status.RESOURCE_EXHAUSTED);
    expect(reported).toMatchObject([["test.v1.Behavior/Notify", { code: Status.RESOURCE_EXHAUSTED }]]);
    expect(pair.server.counters).toEqual({ "refused call": 2 });
    pair.gate.release();
    await first;
  });

  test("sessions and streams have limits", async () => {
    await using pair = await openGate({ maxSessions: 1, maxStreamsPerSession: 1 });
    const client = pair.connect();
    const open = client.count({ count: 5, intervalMs: 60_000 });
    await open.next();
    const second = failureOf(client.count({ count: 1 }).next());
    expect(await second).toMatchObject({
      code: Status.RESOURCE_EXHAUSTED,
      message: expect.stringContaining("maxStreamsPerSession"),
    });
    open.cancel();
    expect((await client.count({ count: 1 }).next()).value).toEqual({ value: 0n });

    await using other = new Channel(pair.server.address, { binding: stack, connectTimeoutMs: 100 });
    const refused = await failureOf(other.client(Behavior).ping({}));
    expect(refused).toMatchObject({ code: Status.UNAVAILABLE, message: expect.stringContaining("maxSessions") });
  });

  test.each([
    [{ maxConcurrentCalls: 0 }],
    [{ maxConcurrentCalls: NaN }],
    [{ maxQueuedCalls: -1 }],
    [{ maxQueuedCalls: 1.5 }],
    [{ maxSessions: 0 }],
  ])("refuses the options %p", (options) => {
    expect(() => new ServiceHost({ binding: stack, ...options })).toThrow(TypeError);
  });
});
