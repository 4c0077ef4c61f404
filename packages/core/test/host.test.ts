import { describe, expect, jest, test } from "@jest/globals";
import { Channel, ServiceHost, Status, binding, memory, partial } from "@zerobind/core";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { Imaging, Prices } from "./gen/test/v1/patterns.rpc.ts";
import { BehaviorService } from "./support/behavior-handler.ts";
import { failureOf } from "./support/failure.ts";
import { openPair } from "./support/pair.ts";

const stack = binding(memory());
const under = { binding: stack, address: () => "memory://*" };
const newHost = (options = {}): ServiceHost => new ServiceHost({ binding: stack, ...options });

describe("a service host", () => {
  test("wants every method of the contract, at compile time and at run time", () => {
    const { ping } = new BehaviorService();
    // @ts-expect-error echo, count, sum, relay, fail and notify are missing
    expect(() => newHost().serve(Behavior, { ping })).toThrow(
      "the handler of test.v1.Behavior has no method echo, count, sum, relay, fail, notify; add them, or mark it with partial(contract, handler)",
    );
    const incomplete = new BehaviorService();
    Object.defineProperty(incomplete, "echo", { value: undefined });
    expect(() => newHost().serve(Behavior, incomplete)).toThrow("has no method echo;");
  });

  test("serves what a partial handler has, and answers UNIMPLEMENTED to the rest", async () => {
    await using host = newHost();
    host.serve(Behavior, partial(Behavior, { ping: ({ sequence }) => ({ sequence: sequence + 1 }) }));
    await host.open("memory://*");
    await using channel = new Channel(host.address, { binding: stack });
    const client = channel.client(Behavior);
    expect(await client.ping({ sequence: 1 })).toEqual({ sequence: 2 });
    expect(await failureOf(client.echo({}))).toMatchObject({ code: Status.UNIMPLEMENTED });
  });

  test("refuses to serve a contract twice, to serve when open, and to open with nothing to serve or nowhere", async () => {
    await expect(newHost().open("memory://*")).rejects.toThrow("call serve(contract, handler) before open");
    await using host = newHost().serve(Behavior, new BehaviorService());
    expect(() => host.serve(Behavior, new BehaviorService())).toThrow(
      "test.v1.Behavior is already served by this host",
    );
    await expect(host.open()).rejects.toThrow("open needs an address");
    await host.open("memory://*");
    expect(() => host.serve(Behavior, new BehaviorService())).toThrow("services are added before the host is opened");
  });

  test("that cannot bind one of its addresses gives up all of them", async () => {
    await using first = newHost().serve(Behavior, new BehaviorService());
    await first.open("memory://taken");
    const second = newHost().serve(Behavior, new BehaviorService());
    await expect(second.open("memory://free", "memory://taken")).rejects.toThrow("memory://taken is in use");
    expect(second.state).toBe("closed");
    expect(await second.closed).toMatchObject({ kind: "failed", message: expect.stringContaining("memory://taken") });
    await using third = newHost().serve(Behavior, new BehaviorService());
    await third.open("memory://free");
  });

  test("can be opened on further addresses while it is open", async () => {
    await using host = newHost().serve(Behavior, new BehaviorService());
    const [first] = await host.open("memory://*");
    const [second] = await host.open("memory://*");
    expect(host.addresses).toEqual([first, second]);
    await using channel = new Channel(second!, { binding: stack });
    expect(await channel.client(Behavior).ping({ sequence: 1 })).toEqual({ sequence: 1 });
  });

  test("answers RESOURCE_EXHAUSTED beyond its calls at once, and takes calls again afterwards", async () => {
    await using pair = await openPair(under, { host: { maxConcurrentCalls: 2, maxQueuedCalls: 0 } });
    const controller = new AbortController();
    const running = [1, 2].map(() => failureOf(pair.client.echo({ delayMs: 60_000 }, { signal: controller.signal })));
    expect(await failureOf(pair.client.ping({}))).toMatchObject({
      code: Status.RESOURCE_EXHAUSTED,
      message: expect.stringContaining("maxConcurrentCalls"),
    });
    controller.abort();
    await Promise.all(running);
    expect(await pair.client.ping({ sequence: 4 })).toEqual({ sequence: 4 });
  });

  test.each([{ maxConcurrentCalls: 0 }, { limits: { maxMessageBytes: -1 } }, { limits: { nonsense: 1 } }])(
    "refuses the options %p",
    (options) => {
      expect(() => newHost(options)).toThrow(TypeError);
    },
  );
});

describe("the life of hosts and channels", () => {
  test("goes from created to closed, and everybody who closes sees the same end", async () => {
    const host = newHost().serve(Behavior, new BehaviorService());
    expect(host.state).toBe("created");
    const opening = host.open("memory://*");
    expect(host.state).toBe("opening");
    await opening;
    expect(host.state).toBe("open");
    const reasons = await Promise.all([host.close(), host.close(), host.closed]);
    expect(reasons).toEqual(Array.from({ length: 3 }, () => ({ kind: "closed", message: "closed by its owner" })));
    expect(host.state).toBe("closed");
    await expect(host.open("memory://*")).rejects.toThrow("is closed and cannot be opened");
  });

  test("closing while opening closes, and says so to whoever opened", async () => {
    const host = newHost().serve(Behavior, new BehaviorService());
    const opening = host.open("memory://shortlived");
    const outcome = expect(opening).rejects.toThrow("cannot be opened");
    await host.close();
    await outcome;
    expect(host.state).toBe("closed");
    await using next = newHost().serve(Behavior, new BehaviorService());
    await next.open("memory://shortlived");
  });

  test("opening twice at once opens all of it, and a failure takes nothing else along", async () => {
    await using host = newHost().serve(Behavior, new BehaviorService());
    const opened = await Promise.all([host.open("memory://first"), host.open("memory://second", "memory://third")]);
    expect(opened).toEqual([["memory://first"], ["memory://second", "memory://third"]]);
    await expect(host.open("memory://fourth", "memory://first")).rejects.toThrow("memory://first is in use");
    expect(host.addresses).toEqual(["memory://first", "memory://second", "memory://third"]);
    await using other = newHost().serve(Behavior, new BehaviorService());
    await other.open("memory://fourth");
    const late = host.close();
    await expect(host.open("memory://fifth")).rejects.toThrow(/host is clos/);
    await late;
  });

  test("aborting cuts a close short", async () => {
    await using pair = await openPair(under, { host: { drainTimeoutMs: 60_000 } });
    const started = pair.service.next("started");
    const outcome = failureOf(pair.client.echo({ delayMs: 60_000 }));
    await started;
    const closing = pair.host.close();
    pair.host.abort();
    expect(await closing).toMatchObject({ kind: "closed" });
    expect(await outcome).toMatchObject({ code: Status.UNAVAILABLE });
  });

  test("what was never opened closes at once, and calls on it are refused", async () => {
    const channel = new Channel("memory://nowhere", { binding: stack });
    await channel.close();
    expect(await failureOf(channel.client(Behavior).ping({}))).toMatchObject({ code: Status.UNAVAILABLE });
    expect(() => channel.client(Behavior).count({}, { timeoutMs: 10 })).not.toThrow();
  });

  test("the queue of a channel without a connection is bounded", async () => {
    const channel = new Channel("memory://nowhere", { binding: stack, maxQueuedCalls: 2 });
    const waiting = [1, 2].map(() => failureOf(channel.client(Behavior).ping({})));
    expect(await failureOf(channel.client(Behavior).ping({}))).toMatchObject({
      code: Status.RESOURCE_EXHAUSTED,
      message: expect.stringContaining("maxQueuedCalls"),
    });
    channel.abort();
    for (const outcome of waiting) expect(await outcome).toMatchObject({ code: Status.CANCELLED });
  });

  test("requests that are none are refused at the call site", async () => {
    await using pair = await openPair(under);
    expect(() => pair.client.echo(undefined as never)).toThrow(
      "test.v1.Behavior/Echo takes a test.v1.EchoRequest, not undefined",
    );
    expect(() => pair.client.sum(5 as never)).toThrow(
      "takes an AsyncIterable, Iterable or ReadableStream of test.v1.Item, not the number 5",
    );
    const error = await failureOf(pair.client.ping({ sequence: "many" as never }));
    expect(error).toMatchObject({
      code: Status.INTERNAL,
      message: expect.stringContaining("test.v1.PingRequest cannot be encoded"),
    });
    expect(await pair.client.ping({ sequence: 1 })).toEqual({ sequence: 1 });
  });

  test("a call that is cancelled makes room on the server before the next one is sent", async () => {
    await using pair = await openPair(under, { host: { limits: { maxConcurrentCalls: 5 } } });
    const controller = new AbortController();
    const open = Array.from({ length: 5 }, () =>
      failureOf(pair.client.echo({ delayMs: 60_000 }, { signal: controller.signal })),
    );
    const queued = Array.from({ length: 5 }, (_, sequence) => pair.client.ping({ sequence }));
    await pair.service.next("started");
    controller.abort();
    await Promise.all(open);
    expect(await Promise.all(queued)).toHaveLength(5);
  });

  test("many calls may share a signal, which keeps one listener, and none when they are over", async () => {
    await using pair = await openPair(under);
    const controller = new AbortController();
    const { signal } = controller;
    const added = jest.spyOn(signal, "addEventListener");
    const removed = jest.spyOn(signal, "removeEventListener");
    await Promise.all(Array.from({ length: 50 }, (_, sequence) => pair.client.ping({ sequence }, { signal })));
    expect([added.mock.calls.length, removed.mock.calls.length]).toEqual([1, 1]);
    const cancelled = Array.from({ length: 20 }, () => failureOf(pair.client.echo({ delayMs: 60_000 }, { signal })));
    controller.abort();
    for (const { code } of await Promise.all(cancelled)) expect(code).toBe(Status.CANCELLED);
  });

  test("large one-way messages have left when the channel is closed", async () => {
    await using pair = await openPair(under);
    const text = "x".repeat(3_500_000);
    const heard: number[] = [];
    const all = new Promise<void>((resolve) => {
      pair.service.events.on("notice", (notice: string) => {
        if (heard.push(notice.length) === 5) resolve();
      });
    });
    for (let count = 0; count < 5; count++) await pair.client.notify({ text });
    await pair.channel.close();
    await all;
    expect(heard).toEqual(Array.from({ length: 5 }, () => text.length));
  });

  test("callbacks of callers and sinks of hosts that throw harm nobody else", async () => {
    const onError = (): never => {
      throw new Error("a broken sink");
    };
    await using pair = await openPair(under, { host: { onError } });
    const onPeer = (): never => {
      throw new Error("a broken callback");
    };
    expect(await failureOf(pair.client.ping({}, { onPeer }))).toMatchObject({
      code: Status.UNKNOWN,
      message: "a broken callback",
    });
    const log = jest.spyOn(console, "error").mockImplementation(() => undefined);
    expect(await failureOf(pair.client.fail({ message: "secret" }))).toMatchObject({ code: Status.UNKNOWN });
    expect(log).toHaveBeenCalledTimes(1);
    log.mockRestore();
    expect(await pair.client.ping({ sequence: 1 })).toEqual({ sequence: 1 });
  });

  test("an error whose parts are too large reaches its caller without them, and the connection lives", async () => {
    await using pair = await openPair(under);
    const error = await failureOf(
      pair.client.fail({ code: Status.ABORTED, message: "x".repeat(100_000), reason: "y".repeat(1_000_000) }),
    );
    expect(error.code).toBe(Status.ABORTED);
    expect(error.message).toMatch(
      /^x{8192} \(left out, as they were too large: the rest of the message, the details\)$/,
    );
    expect(await pair.client.ping({ sequence: 1 })).toEqual({ sequence: 1 });
  });

  test("a peer is only given up when it has not answered a question", async () => {
    await using pair = await openPair(under, { channel: { pingIntervalMs: 300, pingTimeoutMs: 250 } });
    await pair.client.ping({});
    expect((await pair.client.echo({ text: "slow", delayMs: 1000 })).text).toBe("slow");
  });

  test("what a contract asks for and nobody checks is refused", () => {
    const [echo] = Behavior.methods;
    const ticket = { ...Behavior, methods: [{ ...echo!, options: { pattern: { case: "ticket" as const } } }] };
    expect(() => newHost().serve(ticket, new BehaviorService())).toThrow("has only methods of patterns");
  });

  test("who calls or serves events and pipelines is told what to use", () => {
    const events =
      "test.v1.Prices has only methods of patterns that are no calls: PriceChanged, Traded, Measured, Closed (event: use " +
      "EventPublisher and EventSubscriber)";
    const pipelines = "Resize, Forget (pipeline: use Ventilator, PipelineWorker and PipelineSink)";
    for (const [contract, message] of [[Prices, events] as const, [Imaging, pipelines] as const]) {
      expect(() => newHost().serve(contract as typeof Behavior, {} as never)).toThrow(message);
      const channel = new Channel("memory://nobody", { binding: stack });
      expect(() => channel.client(contract as typeof Behavior)).toThrow(message);
    }
  });
});
