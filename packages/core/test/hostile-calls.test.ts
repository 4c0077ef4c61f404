import { describe, expect, test } from "@jest/globals";
import { Status } from "@zerobind/core";
import { CallHeader } from "../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType } from "../src/records.ts";
import { EchoReply, EchoRequest } from "./gen/test/v1/behavior.pb.ts";
import { againstHost, call, data, fragment, leastFragment, path, statusOf, unary } from "./support/hostile.ts";
import { batch } from "./support/raw-peer.ts";
import type { RawRecord } from "./support/raw-peer.ts";

const ping = path("Ping");
const slow = EchoRequest.encode(EchoRequest.fromPartial({ delayMs: 60_000 })).finish();
const end = data(1, Flag.END);

describe("a host that gets calls that are wrong", () => {
  test.each([
    ["__proto__/constructor", Status.UNIMPLEMENTED],
    ["__proto__", Status.UNIMPLEMENTED],
    ["constructor", Status.UNIMPLEMENTED],
    ["hasOwnProperty/toString", Status.UNIMPLEMENTED],
    ["/", Status.UNIMPLEMENTED],
    [path("toString"), Status.UNIMPLEMENTED],
    [path("__proto__"), Status.UNIMPLEMENTED],
    [path("constructor"), Status.UNIMPLEMENTED],
    [path("hasOwnProperty"), Status.UNIMPLEMENTED],
    [path("ping"), Status.UNIMPLEMENTED],
    [`${path("Ping")}/`, Status.UNIMPLEMENTED],
    [path("\u0000\n"), Status.UNIMPLEMENTED],
    ["x".repeat(100_000), Status.UNIMPLEMENTED],
    ["x".repeat(1 << 20), Status.RESOURCE_EXHAUSTED],
  ])("answers method name %# with a status and a short text", async (name, expected) => {
    await againstHost(async (peer) => {
      const tag = await peer.greet();
      peer.send(batch(tag, call(3, name)));
      const { code, message } = await statusOf(peer, 3);
      expect(code).toBe(expected);
      expect(message.length).toBeLessThan(400);
      expect(message).not.toMatch(/[\u0000-\u001f]/);
    });
  });

  test("answers a name that is no UTF-8 UNIMPLEMENTED", async () => {
    await againstHost(async (peer) => {
      const tag = await peer.greet();
      peer.send(batch(tag, call(1, "", { meta: Uint8Array.of(0x12, 4, 0xff, 0xfe, 0x2f, 0xc0) })));
      expect((await statusOf(peer, 1)).code).toBe(Status.UNIMPLEMENTED);
    });
  });

  test.each(["nowhere/Nothing", "x".repeat(2000)])("remembers the number of a method that it has not", async (name) => {
    await againstHost(async (peer) => {
      const tag = await peer.greet();
      const meta = CallHeader.encode(CallHeader.fromPartial({ path: name, methodNumber: 5 })).finish();
      peer.send(batch(tag, call(1, "", { meta }), call(3, "", { meta: Uint8Array.of(8, 5) })));
      expect((await statusOf(peer, 3)).code).toBe(Status.UNIMPLEMENTED);
    });
  });

  test("takes metadata whose keys are names that objects have", async () => {
    await againstHost(async (peer) => {
      const tag = await peer.greet();
      const keys = ["__proto__", "constructor", "toString", "hasOwnProperty", "echo-header"];
      const metadata = keys.map((key) => ({ key, value: { $case: "text" as const, value: key } }));
      const meta = CallHeader.encode(CallHeader.fromPartial({ path: path("Echo"), metadata })).finish();
      peer.send(batch(tag, call(1, "", { meta })));
      expect((await statusOf(peer, 1)).code).toBe(Status.OK);
      expect(({} as Record<string, unknown>)["echo-header"]).toBeUndefined();
    });
  });

  test.each<[string, RawRecord[], number, RegExp]>([
    ["no request", [call(1, ping, { flags: 0 }), end], Status.UNIMPLEMENTED, /none came/],
    ["two requests", [call(1, ping, { flags: Flag.MESSAGE }), data(1), end], Status.UNIMPLEMENTED, /more than one/],
    ["a request that is cut off", [call(1, ping, { body: Uint8Array.of(8) })], Status.INTERNAL, /cannot be decoded/],
    ["a request that is nothing", [call(1, ping, { body: Uint8Array.of(255) })], Status.INTERNAL, /cannot be decoded/],
    [
      "an unknown field of 2 GiB",
      [call(1, ping, { body: Uint8Array.of(0x7a, 255, 255, 255, 255, 7) })],
      Status.INTERNAL,
      /cannot be decoded/,
    ],
    [
      "a string of 2 GiB",
      [call(1, path("Echo"), { body: Uint8Array.of(0x0a, 255, 255, 255, 255, 7) })],
      Status.INTERNAL,
      /cannot be decoded/,
    ],
    [
      "a field that reaches into the next record",
      [call(1, path("Echo"), { body: Uint8Array.of(0x0a, 30) }), call(3, ping)],
      Status.INTERNAL,
      /runs over its end/,
    ],
    [
      "groups nested a million deep",
      [call(1, ping, { body: new Uint8Array(1_000_000).fill(0x0b) })],
      Status.INTERNAL,
      /cannot be decoded/,
    ],
    [
      "a group that ends where none began",
      [call(1, ping, { body: Uint8Array.of(0x0c, 8, 1) })],
      Status.INTERNAL,
      /decoded/,
    ],
    ["a second END", [call(1, path("Echo"), { body: slow }), end], Status.INTERNAL, /after its end/],
    ["DATA after END", [call(1, path("Echo"), { body: slow }), data(1)], Status.INTERNAL, /after its end/],
    [
      "DATA after the END of a stream",
      [call(1, path("Count"), { body: Uint8Array.of(8, 255, 1, 16, 255, 127) }), data(1)],
      Status.INTERNAL,
      /after its end/,
    ],
    [
      "an END in the middle of a message",
      [call(1, path("Sum"), { flags: 0 }), data(1, fragment, leastFragment), end],
      Status.INTERNAL,
      /cut off/,
    ],
  ])("ends a call with %s", async (_name, records, code, why) => {
    await againstHost(async (peer) => {
      const tag = await peer.greet();
      peer.send(batch(tag, ...records));
      expect(await statusOf(peer, 1)).toEqual({ code, message: expect.stringMatching(why) });
      // The session lives.
      peer.send(batch(tag, call(9, ping)));
      expect((await statusOf(peer, 9)).code).toBe(Status.OK);
    });
  });

  test("enters a handler once, however often its caller says END", async () => {
    await againstHost(async (peer, pair) => {
      const tag = await peer.greet();
      peer.send(batch(tag, call(1, path("Echo"), { body: slow }), end, end, end));
      await statusOf(peer, 1);
      expect(pair.service.entered.get("echo")).toBe(1);
    });
  });

  test("skips fields that it does not know, and flags that mean nothing", async () => {
    await againstHost(async (peer) => {
      const tag = await peer.greet();
      const unknown = Buffer.concat([Uint8Array.of(0xfa, 0x07, 0xa0, 0x8d, 0x06), new Uint8Array(100_000)]);
      peer.send(batch(tag, call(1, ping, { body: unknown, flags: unary | Flag.OPTIONAL | Flag.IDEMPOTENT })));
      expect((await statusOf(peer, 1)).code).toBe(Status.OK);
    });
  });

  test("replaces what is no UTF-8 in a message", async () => {
    await againstHost(async (peer) => {
      const tag = await peer.greet();
      peer.send(batch(tag, call(1, path("Echo"), { body: Uint8Array.of(0x0a, 2, 0xff, 0x41) })));
      const { aux, body } = await peer.record(RecordType.END);
      expect([aux, EchoReply.decode(body).text]).toEqual([Status.OK, "\ufffdA"]);
    });
  });

  test("counts and drops records of calls that it does not have", async () => {
    await againstHost(async (peer, pair) => {
      const tag = await peer.greet();
      const records = [RecordType.DATA, RecordType.CANCEL, RecordType.CREDIT].flatMap((type) =>
        [77, 78, 0xffffffff].map((callId) => ({ type, callId, flags: Flag.END })),
      );
      peer.send(batch(tag, ...records, { type: RecordType.PING }));
      await peer.record(RecordType.PONG);
      expect(pair.host.counters["record of an ended call"]).toBe(9);
    });
  });

  test("hears a call again that came before its own DATA, and a batch that is replayed", async () => {
    await againstHost(async (peer, pair) => {
      const tag = await peer.greet();
      const replayed = batch(tag, data(1), call(1, ping, { body: Uint8Array.of(8, 4) }));
      for (let round = 1; round <= 3; round++) {
        peer.send(replayed.slice());
        await peer.until(() => peer.received.filter(({ type }) => type === RecordType.END).length === round);
      }
      expect(pair.host.counters["record of an ended call"]).toBe(3);
    });
  });

  test("takes any credit without counting beyond what can be counted", async () => {
    await againstHost(async (peer) => {
      const tag = await peer.greet({ limits: { streamWindowMessages: 1 } });
      const most = { type: RecordType.CREDIT, aux: 0xffffffff, meta: new Uint8Array(4).fill(255) };
      peer.send(batch(tag, call(1, path("Count"), { body: Uint8Array.of(8, 200, 1) }), { ...most, callId: 1 }));
      peer.send(batch(tag, ...Array.from({ length: 1000 }, () => ({ ...most, callId: 1 }))));
      peer.send(batch(tag, ...Array.from({ length: 1000 }, () => ({ ...most, callId: 0, meta: new Uint8Array() }))));
      expect((await statusOf(peer, 1)).code).toBe(Status.OK);
      expect(peer.received.filter(({ type }) => type === RecordType.DATA)).toHaveLength(200);
    });
  });

  test("sends no message without credit: CREDIT of nothing gets nothing", async () => {
    await againstHost(async (peer) => {
      const tag = await peer.greet({ limits: { streamWindowMessages: 2 } });
      const nothing = { type: RecordType.CREDIT, callId: 1, aux: 0, meta: new Uint8Array(4) };
      peer.send(batch(tag, call(1, path("Count"), { body: Uint8Array.of(8, 9) }), nothing, nothing, nothing));
      for (let round = 0; round < 20; round++) {
        peer.send(batch(tag, { type: RecordType.PING, aux: round }));
        await peer.record(RecordType.PONG, ({ aux }) => aux === round);
      }
      expect(peer.received.filter(({ type }) => type === RecordType.DATA)).toHaveLength(2);
    });
  });
});
