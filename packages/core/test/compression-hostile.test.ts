import { EventEmitter, once } from "node:events";
import { describe, expect, test } from "@jest/globals";
import { Channel, RpcError, ServiceHost, Status, binding, memory } from "@zerobind/core";
import type { BindingLike } from "@zerobind/core";
import { compressedHeadBytes, withHead } from "../src/compression.ts";
import { Flag, RecordType } from "../src/records.ts";
import { EchoReply, EchoRequest } from "./gen/test/v1/behavior.pb.ts";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { BehaviorService } from "./support/behavior-handler.ts";
import { DeviceUnderTest } from "./support/device.ts";
import { failureOf } from "./support/failure.ts";
import { HostileServer, call, data, fragment, path, statusOf, under, unary } from "./support/hostile.ts";
import { RawPeer, batch, hello } from "./support/raw-peer.ts";
import { RawWorker } from "./support/raw-worker.ts";
import { pack, runs } from "./support/runs.ts";
import type { Runs } from "./support/runs.ts";

const echo = path("Echo");
const message = EchoRequest.encode(EchoRequest.fromPartial({ text: "a".repeat(100) })).finish();
const honest = withHead(0, message.byteLength, pack(message));
const limits = { maxMessageBytes: 10_000 };

/** A peer of a host with a compression, which is there afterwards as before. */
async function against(
  run: (peer: RawPeer, tag: number, element: Runs, service: BehaviorService) => Promise<void>,
): Promise<void> {
  const element = runs();
  await withHost(binding(element, memory()), async (peer, service) => {
    await run(peer, await peer.greet({ compressions: ["runs"] }), element, service);
  });
}

async function withHost(
  stack: BindingLike,
  run: (peer: RawPeer, service: BehaviorService) => Promise<void>,
): Promise<void> {
  const service = new BehaviorService();
  const failures: unknown[] = [];
  await using host = new ServiceHost({ binding: stack, limits, onError: (error) => failures.push(error) });
  host.serve(Behavior, service);
  await host.open("memory://*");
  await using peer = await RawPeer.open("connect", host.address);
  await run(peer, service);
  // The session lives, and so does what it agreed on.
  const { tag } = peer.received.findLast(({ type }) => type === RecordType.WELCOME)!;
  peer.send(batch(tag, call(999, path("Ping"))));
  expect((await statusOf(peer, 999)).code).toBe(Status.OK);
  expect(failures).toEqual([]);
}

const compressed = unary | Flag.COMPRESSED;

describe("a host that gets a compressed request", () => {
  test("reads it, and answers in a way that its client can undo", async () => {
    await against(async (peer, tag) => {
      peer.send(batch(tag, call(1, echo, { flags: compressed, body: honest })));
      const { aux, flags, body } = await peer.record(RecordType.END);
      expect([aux, flags]).toEqual([Status.OK, compressed]);
      expect(body).toEqual(honest);
    });
  });

  test("of no bytes reads it", async () => {
    await against(async (peer, tag) => {
      peer.send(batch(tag, call(1, echo, { flags: compressed, body: withHead(0, 0, new Uint8Array()) })));
      expect((await statusOf(peer, 1)).code).toBe(Status.OK);
    });
  });

  const far = new Uint8Array(20_000);
  test.each<[string, Uint8Array, number, RegExp]>([
    [
      "in a way that it has not named",
      withHead(1, 103, pack(message)),
      Status.UNIMPLEMENTED,
      /not agreed on \(number 1\); the receiver can undo runs/,
    ],
    ["whose head is cut off", honest.subarray(0, compressedHeadBytes - 1), Status.INTERNAL, /its head is cut off/],
    ["that has nothing at all", new Uint8Array(), Status.INTERNAL, /its head is cut off/],
    [
      "that is too large",
      withHead(0, 20_000, pack(far)),
      Status.RESOURCE_EXHAUSTED,
      /at least 20000 bytes, more than the 10000/,
    ],
    [
      "that says to have 4 GiB",
      withHead(0, 0xffffffff, pack(message)),
      Status.RESOURCE_EXHAUSTED,
      /at least 4294967295 bytes/,
    ],
    [
      "that has more than it says",
      withHead(0, 50, pack(message)),
      Status.INTERNAL,
      /cannot be decoded: it has more than 50 bytes/,
    ],
    [
      "that has less than it says",
      withHead(0, 200, pack(message)),
      Status.INTERNAL,
      /runs made 102 bytes of it, not the 200/,
    ],
    [
      "that is no message inside",
      withHead(0, 3, pack(Uint8Array.of(0xff, 0xff, 0xff))),
      Status.INTERNAL,
      /cannot be decoded/,
    ],
  ])("%s ends that call alone", async (_, body, code, why) => {
    await against(async (peer, tag, element, service) => {
      peer.send(
        batch(tag, call(1, echo, { flags: compressed, body }), call(3, echo, { flags: compressed, body: honest })),
      );
      expect(await statusOf(peer, 1)).toEqual({ code, message: expect.stringMatching(why) });
      expect((await statusOf(peer, 3)).code).toBe(Status.OK);
      expect(service.entered.get("echo")).toBe(1);
      // Nothing that is too large was even looked at.
      if (code === Status.RESOURCE_EXHAUSTED) expect(element.inflated).toEqual([102]);
    });
  });

  test("says UNIMPLEMENTED where its binding has no compression", async () => {
    await withHost(under.binding, async (peer) => {
      const tag = await peer.greet({ compressions: ["runs"] });
      peer.send(batch(tag, call(1, echo, { flags: compressed, body: honest })));
      expect(await statusOf(peer, 1)).toEqual({
        code: Status.UNIMPLEMENTED,
        message:
          "the test.v1.EchoRequest that came is compressed; the receiver can undo no compression: its binding has none",
      });
    });
  });

  test("answers uncompressed whom it has nothing in common with, and agrees anew on a new life", async () => {
    await withHost(binding(runs(), memory()), async (peer) => {
      const flags: number[] = [];
      const names = [
        ["other"],
        ["other", "runs"],
        [],
        Array.from({ length: 300 }, (_, index) => (index === 299 ? "runs" : "x")),
      ];
      for (const compressions of names) {
        const before = peer.received.length;
        if (before === 0) await peer.greet({ compressions });
        else peer.send(batch(0, hello({ compressions })));
        const welcomed = (
          await peer.until(() => peer.received.slice(before).find(({ type }) => type === RecordType.WELCOME))
        ).tag;
        peer.send(batch(welcomed, call(1, echo, { body: message })));
        const end = await peer.until(() => peer.received.slice(before).find(({ type }) => type === RecordType.END));
        flags.push(end.flags & Flag.COMPRESSED);
        if (end.flags & Flag.COMPRESSED) expect(end.body[0]).toBe(1);
      }
      expect(flags).toEqual([0, Flag.COMPRESSED, 0, 0]);
    });
  });

  test("counts all fragments of it against the limit, and looks at the flag of the first alone", async () => {
    await against(async (peer, tag) => {
      const noise = EchoRequest.encode(
        EchoRequest.fromPartial({ data: Uint8Array.from({ length: 4500 }, (_, index) => index % 251) }),
      ).finish();
      const packed = pack(noise);
      const body = withHead(0, noise.byteLength, packed);
      const pieces = [body.subarray(0, 4096), body.subarray(4096, 8192), body.subarray(8192)];
      peer.send(
        batch(
          tag,
          call(1, echo, { flags: fragment | Flag.COMPRESSED, body: pieces[0]! }),
          data(1, fragment, pieces[1]),
          data(1, Flag.MESSAGE | Flag.END, pieces[2]),
        ),
      );
      expect((await statusOf(peer, 1)).code).toBe(Status.OK);
      const plain = EchoRequest.encode(EchoRequest.fromPartial({ data: new Uint8Array(5000) })).finish();
      peer.send(
        batch(
          tag,
          call(3, echo, { flags: fragment, body: plain.subarray(0, 4096) }),
          data(3, Flag.MESSAGE | Flag.END | Flag.COMPRESSED, plain.subarray(4096)),
        ),
      );
      expect((await statusOf(peer, 3)).code).toBe(Status.OK);
      const large = new Uint8Array(4096);
      peer.send(
        batch(
          tag,
          call(5, echo, { flags: fragment | Flag.COMPRESSED, body: large }),
          data(5, fragment, large),
          data(5, fragment, large),
        ),
      );
      expect((await statusOf(peer, 5)).code).toBe(Status.RESOURCE_EXHAUSTED);
    });
  });

  test("counts streamed messages as what they inflate to, and takes no more than its window", async () => {
    const element = runs();
    await using host = new ServiceHost({ binding: binding(element, memory()), limits: { streamWindowBytes: 10_000 } });
    host.serve(Behavior, new BehaviorService());
    await host.open("memory://*");
    await using peer = await RawPeer.open("connect", host.address);
    const tag = await peer.greet();
    // The handler reads only when it can write, and its caller grants nothing.
    const line = new Uint8Array(5000);
    line.set([0x12, 0x80 | (4997 & 0x7f), 4997 >> 7]);
    const bombs = withHead(0, line.byteLength, pack(line));
    expect(bombs.byteLength).toBeLessThan(100);
    peer.send(batch(tag, call(1, path("Relay"), { flags: 0 })));
    const records = Array.from({ length: 400 }, () => data(1, Flag.MESSAGE | Flag.COMPRESSED, bombs));
    peer.send(batch(tag, ...records));
    expect(await statusOf(peer, 1)).toEqual({
      code: Status.INTERNAL,
      message: "the peer sent more messages than it was granted",
    });
    expect(element.inflated.length).toBeLessThan(10);
  });
});

describe("a request that came compressed", () => {
  test("is not undone before its caller is let in, and never if it is not", async () => {
    const element = runs();
    const stack = binding(element, memory());
    let decide!: (may: boolean) => void;
    const asked = new EventEmitter();
    const authorize = () =>
      new Promise<boolean>((resolve) => {
        decide = resolve;
        asked.emit("asked");
      });
    await using host = new ServiceHost({ binding: stack, authorize }).serve(Behavior, new BehaviorService());
    await host.open("memory://*");
    await using channel = new Channel(host.address, { binding: stack });
    const client = channel.client(Behavior);
    for (const may of [false, true]) {
      const question = once(asked, "asked");
      const reply = client.echo({ text: "a".repeat(100) }).catch((error: unknown) => RpcError.from(error).codeName);
      await question;
      expect(element.inflated).toEqual([]);
      decide(may);
      expect(await reply).toEqual(may ? expect.objectContaining({ text: "a".repeat(100) }) : "UNAUTHENTICATED");
    }
    expect(element.inflated).toEqual([102, 102]);
  });
});

describe("a client that gets a compressed reply", () => {
  const reply = EchoReply.encode(EchoReply.fromPartial({ text: "a".repeat(100) })).finish();
  const body = withHead(0, reply.byteLength, pack(reply));

  test.each<[string, BindingLike, Uint8Array, number, RegExp]>([
    [
      "where its binding has none",
      under.binding,
      body,
      Status.INTERNAL,
      /is compressed; the receiver can undo no compression/,
    ],
    [
      "in a way that it has not named",
      binding(runs(), memory()),
      withHead(7, 102, pack(reply)),
      Status.INTERNAL,
      /number 7/,
    ],
    [
      "that is too large",
      binding(runs(), memory()),
      withHead(0, 5 << 20, pack(reply)),
      Status.RESOURCE_EXHAUSTED,
      /at least 5242880 bytes/,
    ],
    [
      "that is not what it says",
      binding(runs(), memory()),
      withHead(0, 99, pack(reply)),
      Status.INTERNAL,
      /more than 99 bytes/,
    ],
  ])("%s fails that call alone", async (_, stack, given, code, why) => {
    await using server = await HostileServer.open({ binding: stack } as never);
    await server.greet({ compressions: ["runs"] });
    const { outcome, id } = await server.begun((client) => client.echo({}));
    server.send({ type: RecordType.END, flags: compressed, callId: id, body: given });
    expect(await failureOf(outcome)).toMatchObject({ code, message: expect.stringMatching(why) });
    await server.politely();
  });
});

describe("a device that gets a compressed message", () => {
  test("refuses it from a client and from a worker, and goes on", async () => {
    await using device = await DeviceUnderTest.open({ binding: binding(runs(), memory()) });
    await using worker = await RawWorker.join(device.backend, { compressions: ["runs"] });
    await using peer = await RawPeer.open("connect", device.frontend);
    const tag = await peer.greet({ compressions: ["runs"] });
    peer.send(batch(tag, call(1, echo, { flags: compressed, body: honest })));
    expect(await statusOf(peer, 1)).toMatchObject({ code: Status.UNIMPLEMENTED });
    peer.send(batch(tag, call(3, echo, { body: message })));
    const { callId, flags } = await worker.call();
    expect(flags).toBe(unary);
    worker.send({ type: RecordType.END, flags: compressed, callId, body: honest });
    expect(await statusOf(peer, 3)).toMatchObject({ code: Status.UNIMPLEMENTED });
    peer.send(batch(tag, call(5, echo, { body: message })));
    worker.send({ type: RecordType.END, flags: unary, callId: (await worker.call()).callId, body: message });
    expect(await statusOf(peer, 5)).toMatchObject({ code: Status.OK });
  });
});
