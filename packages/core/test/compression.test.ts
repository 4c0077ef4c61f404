import { describe, expect, test } from "@jest/globals";
import { Channel, PushStream, ServiceHost, Status, binding, memory, partial } from "@zerobind/core";
import type { BindingLike, CallOptions, MessageElement, MessageInit, OperationContext } from "@zerobind/core";
import { Hello, Welcome } from "../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType } from "../src/records.ts";
import type { EchoRequest, Line } from "./gen/test/v1/behavior.pb.ts";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import type { BehaviorClient } from "./gen/test/v1/behavior.rpc.ts";
import { BehaviorService } from "./support/behavior-handler.ts";
import { DeviceUnderTest } from "./support/device.ts";
import { failureOf } from "./support/failure.ts";
import { collect, openPair } from "./support/pair.ts";
import { Wiretap, runs } from "./support/runs.ts";

const text = "a".repeat(200);

class Replying extends BehaviorService {
  compress: boolean | undefined = undefined;

  override echo(request: EchoRequest, context: OperationContext) {
    if (this.compress !== undefined) context.setCompression(this.compress);
    return super.echo(request, context);
  }
}

async function between(
  server: BindingLike,
  client: BindingLike,
  run: (client: BehaviorClient, service: Replying) => Promise<void>,
): Promise<void> {
  const service = new Replying();
  await using host = new ServiceHost({ binding: server }).serve(Behavior, service);
  await host.open("memory://*");
  await using channel = new Channel(host.address, { binding: client });
  await run(channel.client(Behavior), service);
}

async function echoed(tap: Wiretap, server: Parameters<Wiretap["binding"]>, client: typeof server): Promise<void> {
  await between(tap.binding(...server), tap.binding(...client), async ({ echo }) => {
    expect((await echo({ text })).text).toBe(text);
  });
}

describe("what two ends compress with", () => {
  test("is what the other has named; the greetings say it", async () => {
    const tap = new Wiretap();
    await echoed(tap, [runs()], [runs()]);
    expect(tap.flags).toEqual({ client: [true], server: [true] });
    const hello = tap.client.find(({ type }) => type === RecordType.HELLO)!;
    const welcome = tap.server.find(({ type }) => type === RecordType.WELCOME)!;
    expect(Hello.decode(hello.meta)).toMatchObject({ compressions: ["runs"], elements: [] });
    expect(Welcome.decode(welcome.meta).compressions).toEqual(["runs"]);
    // Head: the first of the receiver's, the size before.
    const { body } = tap.client.find(({ type }) => type === RecordType.CALL)!;
    expect([...body]).toEqual([0, 203, 0, 0, 0, 1, 0x0a, 1, 200, 1, 1, 200, 97]);
  });

  test.each([
    ["a client that has one and a server that has none", [], [runs()]],
    ["a server that has one and a client that has none", [runs()], []],
    ["ends that have nothing in common", [runs({ name: "a" })], [runs({ name: "b" })]],
  ])("is nothing between %s, and they talk all the same", async (_, server, client) => {
    const tap = new Wiretap();
    await echoed(tap, server, client);
    expect(tap.flags).toEqual({ client: [false], server: [false] });
  });

  test("is each sender's first that the other has, by its place among the other's", async () => {
    const tap = new Wiretap();
    const [a, b, other] = [runs({ name: "a" }), runs({ name: "b" }), runs({ name: "other" })];
    const [ours, theirs] = [runs({ name: "a" }), runs({ name: "b" })];
    await echoed(tap, [other, b, a], [ours, theirs]);
    expect([other, b, a].map(({ compressed }) => compressed.length)).toEqual([0, 1, 0]);
    expect([ours, theirs].map(({ compressed }) => compressed.length)).toEqual([1, 0]);
    expect(tap.client.find(({ type }) => type === RecordType.CALL)?.body[0]).toBe(2);
    expect(tap.server.find(({ type }) => type === RecordType.END)?.body[0]).toBe(1);
  });

  test("goes through message elements like all else, which see what is compressed", async () => {
    const sizes: number[] = [];
    const turned: MessageElement = {
      kind: "message",
      name: "turned",
      outgoing: (message) => (sizes.push(message.body.byteLength), message.withBody(message.body.toReversed())),
      incoming: (message) => message.withBody(message.body.toReversed()),
    };
    const stack = binding(runs({ thresholdBytes: 100 }), turned, memory());
    await between(stack, stack, async ({ echo }) => {
      expect((await echo({ text })).text).toBe(text);
      expect((await echo({ text: "short" })).text).toBe("short");
    });
    expect(sizes).toEqual([8, 8, 7, 7]);
  });
});

describe("a message", () => {
  async function sent(options: CallOptions | undefined, reply: boolean | undefined, value: MessageInit<EchoRequest>) {
    const tap = new Wiretap();
    const stack = tap.binding(runs({ thresholdBytes: 100 }));
    await between(stack, stack, async ({ echo }, service) => {
      service.compress = reply;
      expect((await echo(value, options)).text).toBe(value.text);
    });
    return [...tap.flags.client, ...tap.flags.server];
  }

  test.each([
    ["from the threshold on", undefined, undefined, "a".repeat(98), [true, true]],
    ["not below it", undefined, undefined, "a".repeat(97), [false, false]],
    ["where its call says so", { compress: true }, undefined, "a".repeat(50), [true, false]],
    ["not where its call says no", { compress: false }, undefined, text, [false, true]],
    ["where the handler says so", undefined, true, "a".repeat(50), [false, true]],
    ["not where the handler says no", undefined, false, text, [true, false]],
    ["only if it gets smaller", { compress: true }, true, "abcdefgh".repeat(30), [false, false]],
  ])("is compressed %s", async (_, options, reply, value, flags) => {
    expect(await sent(options, reply, { text: value })).toEqual(flags);
  });

  test("that has no bytes is sent as it is", async () => {
    expect(await sent({ compress: true }, true, { text: "" })).toEqual([false, false]);
  });

  test("of a stream is compressed as its handler says when it gives it", async () => {
    const tap = new Wiretap();
    const binding = tap.binding(runs({ thresholdBytes: 100 }));
    const handler = partial(Behavior, {
      async *relay(lines: AsyncIterable<Line>, context: OperationContext) {
        for await (const line of lines) {
          context.setCompression(line.number === 2 ? undefined : line.number === 1);
          yield line;
        }
      },
    });
    await using host = new ServiceHost({ binding }).serve(Behavior, handler);
    await host.open("memory://*");
    await using channel = new Channel(host.address, { binding });
    const lines = [1, 0, 2, 0].map((number) => ({ number, text }));
    expect(await collect(channel.client(Behavior).relay(lines))).toHaveLength(4);
    expect(tap.flags).toEqual({ client: [true, true, true, true], server: [true, false, true, false] });
  });

  test("in fragments says on its first one that it is compressed, and travels in as few as it needs", async () => {
    const tap = new Wiretap();
    const stack = tap.binding(runs());
    const options = { limits: { maxFragmentBytes: 4096 } };
    await using host = new ServiceHost({ binding: stack, ...options }).serve(Behavior, new BehaviorService());
    await host.open("memory://*");
    await using channel = new Channel(host.address, { binding: stack, ...options });
    const data = new Uint8Array(1_000_000).map((_, index) => index >> 6);
    expect((await channel.client(Behavior).echo({ data })).data).toEqual(data);
    const pieces = Math.ceil(((data.length / 64) * 2) / 4096);
    for (const flags of [tap.flags.client, tap.flags.server])
      expect(flags).toEqual(Array.from({ length: pieces }, (_, index) => index === 0));
    const ends = tap.server.filter(({ type }) => type === RecordType.END);
    expect(ends.map(({ flags }) => flags & Flag.COMPRESSED)).toEqual([0]);
  });

  test("is refused by the size that it has before it is compressed, and is not compressed in vain", async () => {
    const element = runs();
    const stack = binding(element, memory());
    await using host = new ServiceHost({ binding: stack, limits: { maxMessageBytes: 1000 } });
    host.serve(Behavior, new BehaviorService());
    await host.open("memory://*");
    await using channel = new Channel(host.address, { binding: stack });
    const error = await failureOf(channel.client(Behavior).echo({ text: "a".repeat(2000) }));
    expect(error).toMatchObject({
      code: Status.RESOURCE_EXHAUSTED,
      message: expect.stringContaining("has 2003 bytes encoded, more than the 1000 that the peer accepts"),
    });
    expect(element.compressed).toEqual([]);
  });
});

describe("the window of a stream", () => {
  const limits = { streamWindowBytes: 10_000, streamWindowMessages: 1000 };

  test("counts what messages have when they are not compressed, for requests and replies", async () => {
    const tap = new Wiretap();
    const stack = tap.binding(runs());
    await using pair = await openPair(
      { binding: stack, address: () => "memory://*" },
      { host: { limits }, channel: { limits } },
    );
    const lines = new PushStream<MessageInit<Line>>();
    const stream = pair.client.relay(lines, { timeoutMs: Infinity });
    // Nobody reads the replies: the handler stops at its window, and so does the caller.
    const line = { text: "a".repeat(2500) };
    for (let index = 0; index < 40; index++) void lines.push(line);
    lines.end();
    await pair.client.ping({});
    await pair.client.ping({});
    expect(
      tap.server.filter(({ type, flags }) => type === RecordType.DATA && (flags & Flag.MESSAGE) !== 0).length,
    ).toBeLessThan(6);
    expect(lines.size).toBeGreaterThan(20);
    // What was granted adds up: all of them come.
    expect(await collect(stream)).toHaveLength(40);
    expect(tap.flags.client.slice(0, 10)).toContain(true);
  });

  test("does not leak: a stream of many times its size arrives", async () => {
    const stack = binding(runs({ thresholdBytes: 100 }), memory());
    await using pair = await openPair(
      { binding: stack, address: () => "memory://*" },
      { host: { limits }, channel: { limits } },
    );
    const lines = Array.from({ length: 3000 }, (_, number) => ({ number, text: "a".repeat((number * 7919) % 3000) }));
    const replies = await collect(pair.client.relay(lines));
    expect(replies.map((line) => line.text.length)).toEqual(lines.map((line) => line.text.length));
  });
});

describe("through a queue device", () => {
  test("nothing is compressed, whatever the bindings have, and all bindings get through", async () => {
    const element = runs();
    const stack = binding(element, memory());
    await using under = await DeviceUnderTest.open({ binding: stack });
    await under.worker({ binding: stack });
    for (const mine of [stack, binding(memory())]) {
      const client = under.client({ binding: mine });
      expect((await client.echo({ text }, { compress: true })).text).toBe(text);
      expect(await collect(client.relay([{ text }, { text }]))).toHaveLength(2);
    }
    expect(element.compressed).toEqual([]);
  });
});

describe("a binding", () => {
  test("has its compressions first, each once", () => {
    const seal: MessageElement = { kind: "message", name: "seal", outgoing: (same) => same, incoming: (same) => same };
    expect(() => binding(seal, runs(), memory())).toThrow(
      'position 1 of the binding has compression element "runs" where no compression may stand any more',
    );
    expect(() => binding(runs(), runs(), memory())).toThrow('the binding has the compression "runs" twice');
    expect(binding(runs(), seal, memory()).stack.compressions).toHaveLength(1);
  });

  test.each([1, "yes", null])("takes no call option compress of %j", async (compress) => {
    await using channel = new Channel("memory://nowhere", { binding: binding(memory()) });
    expect(() => channel.client(Behavior).ping({}, { compress: compress as never })).toThrow(
      "compress must be true or false",
    );
  });
});
