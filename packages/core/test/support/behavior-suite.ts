import { describe, expect, test } from "@jest/globals";
import { Channel, Metadata, PushStream, RpcError, ServiceHost, Status, full } from "@zerobind/core";
import { Behavior } from "../gen/test/v1/behavior.rpc.ts";
import type { MessageInit } from "@zerobind/core";
import type { Item, Line } from "../gen/test/v1/behavior.pb.ts";
import { FailReason } from "../gen/test/v1/behavior.pb.ts";
import { BehaviorService } from "./behavior-handler.ts";
import { failureOf } from "./failure.ts";
import { collect, openPair } from "./pair.ts";
import type { TransportUnderTest } from "./pair.ts";

/** What every transport must do: written against the public face, the same for all. */
export function behaviorSuite(name: string, under: TransportUnderTest): void {
  describe(`${name}: calls`, () => unaryTests(under));
  describe(`${name}: streams`, () => streamTests(under));
  describe(`${name}: deadlines and cancellation`, () => endingTests(under));
  describe(`${name}: connections`, () => connectionTests(under));
}

function unaryTests(under: TransportUnderTest): void {
  test("a unary call is answered", async () => {
    await using pair = await openPair(under);
    expect(await pair.client.echo({ text: "hello" })).toEqual({ text: "hello", data: new Uint8Array() });
  });

  test("a thousand calls at once are each answered with their own reply", async () => {
    await using pair = await openPair(under);
    const numbers = Array.from({ length: 1000 }, (_, index) => index);
    const replies = await Promise.all(numbers.map((sequence) => pair.client.ping({ sequence })));
    expect(replies.map(({ sequence }) => sequence)).toEqual(numbers);
  });

  test("more calls than the server's credit wait for their turn", async () => {
    await using pair = await openPair(under, { host: { limits: { maxConcurrentCalls: 10 } } });
    const replies = await Promise.all(Array.from({ length: 200 }, () => pair.client.echo({ text: "x", delayMs: 1 })));
    expect(replies).toHaveLength(200);
  });

  test.each([0, 1, 4095, 4096, 4097, 65_536, 1_048_576, 1_048_577, 3_500_000])(
    "a body of %d bytes comes back as it was",
    async (size) => {
      await using pair = await openPair(under);
      const data = Uint8Array.from({ length: size }, (_, index) => index * 31);
      const reply = await pair.client.echo({ data });
      expect(Buffer.compare(reply.data, data)).toBe(0);
    },
  );

  test("large bodies of several calls at once do not mix", async () => {
    await using pair = await openPair(under);
    const calls = Array.from({ length: 12 }, (_, index) =>
      pair.client.echo({ text: String(index), data: new Uint8Array(3_000_000).fill(index) }),
    );
    for (const [index, reply] of (await Promise.all(calls)).entries()) {
      expect(reply.text).toBe(String(index));
      expect(reply.data.every((byte) => byte === index)).toBe(true);
    }
  });

  test("a message over the receiver's limit fails the call at its sender, and the channel lives", async () => {
    await using pair = await openPair(under, { host: { limits: { maxMessageBytes: 1000 } } });
    const error = await failureOf(pair.client.echo({ data: new Uint8Array(2000) }));
    expect(error.code).toBe(Status.RESOURCE_EXHAUSTED);
    expect(error.message).toMatch(
      /test\.v1\.EchoRequest has 20\d\d bytes encoded, more than the 1000 .* maxMessageBytes/,
    );
    expect((await pair.client.echo({ text: "still there" })).text).toBe("still there");
  });

  test("a reply over the caller's limit fails the call with RESOURCE_EXHAUSTED", async () => {
    await using pair = await openPair(under, { channel: { limits: { maxMessageBytes: 1000 } } });
    const error = await failureOf(pair.client.echo({ data: new Uint8Array(1500) }));
    expect(error.code).toBe(Status.RESOURCE_EXHAUSTED);
    expect((await pair.client.echo({ text: "still there" })).text).toBe("still there");
  });

  test("a handler's RpcError reaches the caller with code, message and details", async () => {
    await using pair = await openPair(under);
    const error = await failureOf(
      pair.client.fail({ code: Status.NOT_FOUND, message: "no such thing ☺", reason: "gone" }),
    );
    expect(error).toMatchObject({ code: Status.NOT_FOUND, codeName: "NOT_FOUND", message: "no such thing ☺" });
    expect(error.detail(FailReason)).toEqual({ reason: "gone" });
  });

  test("any other error of a handler is opaque to the caller and told to the host with the same id", async () => {
    await using pair = await openPair(under);
    const error = await failureOf(pair.client.fail({ message: "secret" }));
    expect(error.code).toBe(Status.UNKNOWN);
    expect(error.message).not.toContain("secret");
    const [report] = pair.failures;
    expect(report?.failure.path).toBe("test.v1.Behavior/Fail");
    expect(error.message).toContain(report?.failure.id);
    expect((report?.error as Error).message).toBe("secret");
  });

  test("metadata, header and trailer travel with the call", async () => {
    await using pair = await openPair(under);
    const bytes = Uint8Array.of(0xab, 0xab, 0xab);
    const metadata = new Metadata([
      ["echo-header", "grüße ☺ 😈"],
      ["echo-trailer-bin", bytes],
    ]);
    const { header, trailer, peer } = await full((options) => pair.client.echo({ text: "x" }, options), { metadata });
    expect(header.get("echo-header")).toBe("grüße ☺ 😈");
    expect(Buffer.compare(trailer.get("echo-trailer-bin") as Uint8Array, bytes)).toBe(0);
    expect(peer.address).not.toBe("");
  });

  test("a one-way call resolves without an answer, and its errors go to the host alone", async () => {
    await using pair = await openPair(under);
    const noticed = pair.service.next("notice");
    await expect(pair.client.notify({ text: "hear, hear" })).resolves.toBeUndefined();
    expect(await noticed).toBe("hear, hear");
    await pair.client.notify({ failWith: "one-way trouble" });
    await pair.client.ping({});
    expect(pair.failures).toMatchObject([{ failure: { path: "test.v1.Behavior/Notify", id: undefined } }]);
  });

  test("a method that is not served is UNIMPLEMENTED, each time it is called", async () => {
    await using pair = await openPair(under);
    const other = pair.channel.client({ ...Behavior, typeName: "test.v1.Nowhere" });
    for (let round = 0; round < 3; round++) {
      expect(await failureOf(other.ping({}))).toMatchObject({
        code: Status.UNIMPLEMENTED,
        message: expect.stringContaining("test.v1.Nowhere/Ping"),
      });
    }
  });
}

function streamTests(under: TransportUnderTest): void {
  test("a server stream brings all items in order", async () => {
    await using pair = await openPair(under);
    const items = await collect(pair.client.count({ count: 5000 }));
    expect(items.map(({ value }) => value)).toEqual(Array.from({ length: 5000 }, (_, index) => BigInt(index)));
  });

  test("an empty server stream ends", async () => {
    await using pair = await openPair(under);
    expect(await collect(pair.client.count({ count: 0 }))).toEqual([]);
  });

  test("an error comes after the items that were sent before it", async () => {
    await using pair = await openPair(under);
    const seen: bigint[] = [];
    const error = await failureOf(
      (async () => {
        for await (const { value } of pair.client.count({ count: 9, failAfter: 3 })) seen.push(value);
      })(),
    );
    expect(error).toMatchObject({ code: Status.INTERNAL, message: "failed after 3" });
    expect(seen).toEqual([0n, 1n, 2n]);
  });

  test("a client stream is added up, from an array, a generator and a ReadableStream", async () => {
    await using pair = await openPair(under);
    const items = Array.from({ length: 3000 }, (_, index) => ({ value: BigInt(index) }));
    const expected = { total: (2999n * 3000n) / 2n, count: 3000 };
    async function* generate() {
      yield* items;
    }
    expect(await pair.client.sum(items)).toEqual(expected);
    expect(await pair.client.sum(generate())).toEqual(expected);
    expect(
      await pair.client.sum(
        new ReadableStream({
          start(controller) {
            for (const item of items) controller.enqueue(item);
            controller.close();
          },
        }),
      ),
    ).toEqual(expected);
    expect(await pair.client.sum([])).toEqual({ total: 0n, count: 0 });
  });

  test("a server may answer before it has all requests, and the source is closed", async () => {
    await using pair = await openPair(under);
    let closed = false;
    async function* endless() {
      try {
        yield { value: 1n };
        yield { value: -1n };
        for (;;) yield { value: 5n };
      } finally {
        closed = true;
      }
    }
    expect(await pair.client.sum(endless())).toEqual({ total: 1n, count: 1 });
    await pair.client.ping({});
    expect(closed).toBe(true);
  });

  test("a bidirectional stream answers while requests go on", async () => {
    await using pair = await openPair(under);
    const turns: string[] = [];
    let next!: () => void;
    async function* lines() {
      for (let number = 0; number < 5; number++) {
        const answered = new Promise<void>((resolve) => (next = resolve));
        turns.push(`sent ${number}`);
        yield { number, text: "line" };
        await answered;
      }
    }
    for await (const { number } of pair.client.relay(lines())) {
      turns.push(`got ${number}`);
      next();
    }
    expect(turns).toEqual([0, 1, 2, 3, 4].flatMap((number) => [`sent ${number}`, `got ${number}`]));
  });

  test("what is pushed arrives, at the pace of its reader, until it is ended or the call is over", async () => {
    await using pair = await openPair(under);
    const lines = new PushStream<MessageInit<Line>>();
    const replies = pair.client.relay(lines);
    for (const number of [1, 2]) {
      await lines.push({ number });
      expect((await replies.next()).value).toMatchObject({ number });
    }
    lines.end();
    expect(await replies.next()).toMatchObject({ done: true });
    await expect(lines.push({})).rejects.toThrow();

    const failing = new PushStream<MessageInit<Item>>();
    const outcome = failureOf(pair.client.sum(failing));
    await failing.push({ value: 1n });
    failing.fail(new RpcError(Status.ABORTED, "enough"));
    expect(await outcome).toMatchObject({ code: Status.ABORTED, message: "enough" });

    const left = new PushStream<MessageInit<Item>>();
    const early = pair.client.sum(left);
    await left.push({ value: -1n });
    await early;
    expect(left.left).toBe(true);
    await expect(left.push({ value: 1n })).rejects.toMatchObject({ code: Status.CANCELLED });
  });

  test("streams of large items arrive whole", async () => {
    await using pair = await openPair(under);
    const lines = Array.from({ length: 40 }, (_, number) => ({ number, data: new Uint8Array(200_000).fill(number) }));
    const got = await collect(pair.client.relay(lines));
    expect(got.map(({ number, data }) => [number, data.length, data[199_999]])).toEqual(
      lines.map(({ number }) => [number, 200_000, number]),
    );
  });

  test("a reader that does not read holds back its writer and nobody else", async () => {
    await using pair = await openPair(under, { channel: { limits: { streamWindowMessages: 16 } } });
    let produced = 0;
    function* lines() {
      for (;;) yield { number: produced++, text: "x" };
    }
    const stream = pair.client.relay(lines(), { timeoutMs: Infinity });
    await stream.next();
    for (let round = 0; round < 50; round++) await pair.client.ping({});
    const before = produced;
    for (let round = 0; round < 50; round++) await pair.client.ping({});
    expect(produced).toBe(before);
    expect(produced).toBeLessThan(3000);
    await stream.return();
  });

  test("a request source that throws ends the call with its error", async () => {
    await using pair = await openPair(under);
    const aborted = pair.service.next("aborted");
    async function* broken() {
      yield { value: 1n };
      throw new RpcError(Status.DATA_LOSS, "the source broke");
    }
    expect(await failureOf(pair.client.sum(broken()))).toMatchObject({
      code: Status.DATA_LOSS,
      message: "the source broke",
    });
    expect(await aborted).toMatchObject({ code: Status.CANCELLED });
  });
}

function endingTests(under: TransportUnderTest): void {
  test("a call ends at its deadline, and its handler is told", async () => {
    await using pair = await openPair(under);
    await pair.client.ping({});
    const aborted = pair.service.next("aborted");
    const started = performance.now();
    const error = await failureOf(pair.client.echo({ delayMs: 10_000 }, { timeoutMs: 60 }));
    expect(error.code).toBe(Status.DEADLINE_EXCEEDED);
    expect(error.message).toMatch(/test\.v1\.Behavior\/Echo at .* after \d+ ms the server had not answered/);
    expect(performance.now() - started).toBeGreaterThanOrEqual(60);
    expect(await aborted).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
  });

  test.each([0, -0])("a timeout of %d ms ends the call before anything is sent", async (timeoutMs) => {
    await using pair = await openPair(under);
    await pair.client.ping({});
    expect(await failureOf(pair.client.echo({}, { timeoutMs }))).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    expect(await failureOf(pair.client.echo({}, { deadline: Date.now() - 1 }))).toMatchObject({
      code: Status.DEADLINE_EXCEEDED,
    });
    await pair.client.ping({});
    expect(pair.service.entered.get("echo")).toBeUndefined();
  });

  test.each([NaN, -1, "5" as unknown as number, null as unknown as number])(
    "a timeout of %p throws at the call site",
    async (timeoutMs) => {
      await using pair = await openPair(under);
      expect(() => pair.client.echo({}, { timeoutMs })).toThrow(TypeError);
    },
  );

  test("timeouts beyond what a timer can hold do not fire early", async () => {
    await using pair = await openPair(under);
    for (const timeoutMs of [2 ** 31, 2 ** 33, Number.MAX_SAFE_INTEGER, Infinity]) {
      expect((await pair.client.echo({ text: "x", delayMs: 5 }, { timeoutMs })).text).toBe("x");
    }
  });

  test("a signal cancels the call on both ends", async () => {
    await using pair = await openPair(under);
    const started = pair.service.next("started");
    const aborted = pair.service.next("aborted");
    const controller = new AbortController();
    const failure = failureOf(pair.client.echo({ delayMs: 10_000 }, { signal: controller.signal }));
    await started;
    controller.abort(new Error("changed my mind"));
    const error = await failure;
    expect(error).toMatchObject({ code: Status.CANCELLED, cause: { message: "changed my mind" } });
    expect(await aborted).toMatchObject({ code: Status.CANCELLED });
    expect(await failureOf(pair.client.echo({}, { signal: controller.signal }))).toMatchObject({
      code: Status.CANCELLED,
    });
  });

  test("leaving a loop cancels the call on the server", async () => {
    await using pair = await openPair(under);
    const aborted = pair.service.next("aborted");
    const left = pair.service.next("left");
    for await (const { value } of pair.client.count({ count: 1_000_000, intervalMs: 1 })) if (value === 2n) break;
    expect(await aborted).toMatchObject({ code: Status.CANCELLED });
    await left;
  });

  test("what is cancelled while its source waits closes the source", async () => {
    await using pair = await openPair(under);
    const controller = new AbortController();
    async function* waiting() {
      yield { value: 1n };
      await new Promise((resolve) => controller.signal.addEventListener("abort", resolve));
    }
    const started = pair.service.next("started");
    const failure = failureOf(pair.client.sum(waiting(), { signal: controller.signal }));
    await started;
    controller.abort();
    expect(await failure).toMatchObject({ code: Status.CANCELLED });
  });
}

function connectionTests(under: TransportUnderTest): void {
  test("a client that starts first gets its answer when the server appears", async () => {
    const address = await freeAddress(under);
    await using channel = new Channel(address, { binding: under.binding });
    const reply = channel.client(Behavior).ping({ sequence: 7 }, { timeoutMs: 15_000 });
    await using host = new ServiceHost({ binding: under.binding }).serve(Behavior, new BehaviorService());
    await host.open(address);
    expect(await reply).toEqual({ sequence: 7 });
  });

  test("without a server a call ends UNAVAILABLE after the connect timeout, and says where", async () => {
    const address = await freeAddress(under);
    await using channel = new Channel(address, { binding: under.binding, connectTimeoutMs: 50 });
    const error = await failureOf(channel.client(Behavior).echo({}));
    expect(error.code).toBe(Status.UNAVAILABLE);
    expect(error.message).toContain(address);
    expect(await failureOf(channel.client(Behavior).echo({}, { waitForReady: true, timeoutMs: 100 }))).toMatchObject({
      code: Status.DEADLINE_EXCEEDED,
    });
  });

  test("a server that comes back on the same address is found again", async () => {
    const address = await freeAddress(under);
    await using channel = new Channel(address, { binding: under.binding });
    const client = channel.client(Behavior);
    for (let round = 0; round < 3; round++) {
      await using host = new ServiceHost({ binding: under.binding }).serve(Behavior, new BehaviorService());
      await host.open(address);
      expect(await client.ping({ sequence: round }, { waitForReady: true, timeoutMs: 15_000 })).toEqual({
        sequence: round,
      });
    }
  });

  test("a server that aborts ends its open calls UNAVAILABLE", async () => {
    await using pair = await openPair(under);
    const started = pair.service.next("started");
    const failure = failureOf(pair.client.echo({ delayMs: 60_000 }));
    await started;
    pair.host.abort();
    expect((await failure).code).toBe(Status.UNAVAILABLE);
  });

  test("a server that closes lets open calls finish", async () => {
    await using pair = await openPair(under);
    const started = pair.service.next("started");
    const reply = pair.client.echo({ text: "last", delayMs: 100 });
    await started;
    const closed = pair.host.close();
    expect((await reply).text).toBe("last");
    expect(await closed).toMatchObject({ kind: "closed" });
  });

  test("a channel that closes lets open calls finish, and refuses later ones", async () => {
    await using pair = await openPair(under);
    const reply = pair.client.echo({ text: "last", delayMs: 50 });
    await pair.channel.close();
    expect((await reply).text).toBe("last");
    expect(await failureOf(pair.client.echo({}))).toMatchObject({
      code: Status.UNAVAILABLE,
      message: expect.stringContaining("closed"),
    });
  });

  test("a channel that aborts ends its calls on both ends", async () => {
    await using pair = await openPair(under);
    const started = pair.service.next("started");
    const aborted = pair.service.next("aborted");
    const failure = failureOf(pair.client.echo({ delayMs: 60_000 }));
    await started;
    pair.channel.abort();
    expect((await failure).code).toBe(Status.CANCELLED);
    expect(await aborted).toMatchObject({ code: Status.CANCELLED });
  });

  test("several endpoints of one host serve the same contract", async () => {
    await using host = new ServiceHost({ binding: under.binding }).serve(Behavior, new BehaviorService());
    const addresses = await host.open(under.address(), under.address());
    for (const address of addresses) {
      await using channel = new Channel(address, { binding: under.binding });
      expect(await channel.client(Behavior).ping({ sequence: 1 })).toEqual({ sequence: 1 });
    }
  });

  test("one channel to several addresses uses them in turn", async () => {
    await using one = await openPair(under);
    await using other = await openPair(under);
    await using channel = new Channel([one.host.address, other.host.address], { binding: under.binding });
    const client = channel.client(Behavior);
    for (let round = 0; one.service.entered.size === 0 || other.service.entered.size === 0; round++) {
      expect(round).toBeLessThan(2000);
      await client.echo({});
    }
  });

  test("the client may bind and the server connect, whichever is first", async () => {
    for (const first of ["client", "server"]) {
      const address = await freeAddress(under);
      await using channel = new Channel(address, { binding: under.binding, attach: "bind" });
      await using host = new ServiceHost({ binding: under.binding }).serve(Behavior, new BehaviorService());
      if (first === "client") await channel.open();
      await host.open({ address, attach: "connect" });
      if (first === "server") await channel.open();
      expect(await channel.client(Behavior).ping({ sequence: 3 }, { timeoutMs: 15_000 })).toEqual({ sequence: 3 });
    }
  });
}

/** An address that nobody has bound, but that can be. */
async function freeAddress(under: TransportUnderTest): Promise<string> {
  await using host = new ServiceHost({ binding: under.binding }).serve(Behavior, new BehaviorService());
  await host.open(under.address());
  return host.address;
}
