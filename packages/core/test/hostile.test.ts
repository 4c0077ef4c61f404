import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { Channel, Status, binding, memory } from "@zerobind/core";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { EchoRequest, PingReply } from "./gen/test/v1/behavior.pb.ts";
import { CallHeader, EndHeader, Refusal } from "../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType, RefuseReason } from "../src/records.ts";
import { failureOf } from "./support/failure.ts";
import { openPair } from "./support/pair.ts";
import type { Pair } from "./support/pair.ts";
import { RawPeer, batch, hello, rawCall as call, welcome } from "./support/raw-peer.ts";
import type { RawRecord } from "./support/raw-peer.ts";

const under = { binding: binding(memory()), address: () => "memory://*" };
const unary = Flag.END | Flag.MESSAGE;

/** Runs against a host, and checks afterwards that a polite client noticed nothing. */
async function againstHost(run: (peer: RawPeer, pair: Pair) => Promise<void>, options = {}): Promise<void> {
  await using pair = await openPair(under, { host: options });
  await using peer = await RawPeer.open("connect", pair.host.address);
  await peer.until(() => true);
  await run(peer, pair);
  expect(await pair.client.ping({ sequence: 1 })).toEqual({ sequence: 1 });
}

async function refusal(peer: RawPeer): Promise<{ reason: number; message: string }> {
  const { aux, meta } = await peer.record(RecordType.REFUSE, ({ callId }) => callId === 0);
  return { reason: aux, message: Refusal.decode(meta).message };
}

async function statusOf(peer: RawPeer, id: number): Promise<{ code: number; message: string }> {
  const { aux, meta } = await peer.record(RecordType.END, ({ callId }) => callId === id);
  return { code: aux, message: EndHeader.decode(meta).message };
}

describe("a host that meets a hostile client", () => {
  const offences: [string, (tag: number) => Uint8Array, RegExp][] = [
    ["a message that is no batch", () => Uint8Array.of(0xc5, 1, 1), /begin with the header/],
    ["another version", (tag) => Object.assign(batch(tag), { 1: 9 }), /version 9/],
    ["a record that is cut off", (tag) => batch(tag, call(1, "x")).subarray(0, 20), /cut off/],
    ["bytes behind the last record", (tag) => new Uint8Array([...batch(tag), 0]), /behind the last record/],
    [
      "an attachment that is missing",
      (tag) => batch(tag, call(1, "test.v1.Behavior/Ping", { flags: unary | Flag.ATTACHED })),
      /attachment is missing/,
    ],
    ["a record of an unknown type", (tag) => batch(tag, { type: 99 }), /type 99/],
    [
      "a record that only servers send",
      (tag) => batch(tag, { type: RecordType.WELCOME }),
      /client does not send records of type 2/,
    ],
    ["an even call id", (tag) => batch(tag, call(2, "test.v1.Behavior/Ping")), /odd ids/],
    [
      "a method number that was never introduced",
      (tag) => batch(tag, { ...call(1, ""), meta: Uint8Array.of(8, 77) }),
      /number 77 was not introduced/,
    ],
    [
      "a method number out of bounds",
      (tag) =>
        batch(tag, {
          ...call(1, ""),
          meta: CallHeader.encode(CallHeader.fromPartial({ path: "a/b", methodNumber: 5000 })).finish(),
        }),
      /number 5000/,
    ],
    [
      "meta that is no message",
      (tag) => batch(tag, { ...call(1, ""), meta: Uint8Array.of(0xff, 0xff, 0xff) }),
      /cannot be decoded/,
    ],
    [
      "metadata that could not be made",
      (tag) =>
        batch(tag, {
          ...call(1, ""),
          meta: CallHeader.encode(
            CallHeader.fromPartial({ path: "a/b", metadata: [{ key: "zb-x", value: { $case: "text", value: "" } }] }),
          ).finish(),
        }),
      /metadata of a call is not valid/,
    ],
  ];

  test.each(offences)("refuses %s, says why, and goes on", async (_name, offence, why) => {
    await againstHost(async (peer, pair) => {
      const tag = await peer.greet();
      peer.send(offence(tag));
      const { reason, message } = await refusal(peer);
      expect(reason).toBe(RefuseReason.MALFORMED);
      expect(message).toMatch(why);
      expect(pair.host.counters["malformed"]).toBe(1);
      await peer.until(() => peer.lost > 0);
    });
  });

  test("refuses the id of an open call", async () => {
    await againstHost(async (peer) => {
      const tag = await peer.greet();
      const slow = call(1, "test.v1.Behavior/Echo", {
        body: EchoRequest.encode(EchoRequest.fromPartial({ delayMs: 60_000 })).finish(),
      });
      peer.send(batch(tag, slow, slow));
      expect((await refusal(peer)).message).toContain("used again");
    });
  });

  test("asks whoever speaks of an unknown session to greet again", async () => {
    await againstHost(async (peer) => {
      peer.send(batch(0x1234, call(1, "test.v1.Behavior/Ping")));
      const { aux, tag } = await peer.record(RecordType.REFUSE);
      expect([aux, tag]).toEqual([RefuseReason.UNKNOWN_SESSION, 0x1234]);
    });
  });

  test("drops batches of an older session on the same connection, and keeps the newer", async () => {
    await againstHost(async (peer) => {
      const old = await peer.greet();
      peer.send(batch(0, hello()));
      const { tag } = await peer.record(RecordType.WELCOME, (record) => record.tag !== old);
      peer.send(batch(old, call(1, "test.v1.Behavior/Ping")));
      expect((await peer.record(RecordType.REFUSE)).tag).toBe(old);
      peer.send(batch(tag, call(3, "test.v1.Behavior/Ping")));
      await peer.record(RecordType.END, ({ callId }) => callId === 3);
    });
  });

  test.each([
    [{ minVersion: 2, maxVersion: 3 }, RefuseReason.VERSION],
    [{ encoding: "json" }, RefuseReason.MISMATCH],
    [{ elements: ["gzip"] }, RefuseReason.MISMATCH],
  ])("refuses a HELLO with %p", async (changes, expected) => {
    await againstHost(async (peer) => {
      peer.send(batch(0, hello(changes)));
      const { aux, meta } = await peer.record(RecordType.REFUSE);
      expect([aux, Refusal.decode(meta).maxVersion]).toEqual([expected, 1]);
    });
  });

  test("skips records that it does not know if their sender allows it", async () => {
    await againstHost(async (peer) => {
      const tag = await peer.greet();
      peer.send(
        batch(tag, { type: 99, flags: Flag.OPTIONAL, body: new Uint8Array(50) }, call(1, "test.v1.Behavior/Ping")),
      );
      await peer.record(RecordType.END, ({ callId }) => callId === 1);
    });
  });

  test.each([
    ["__proto__/constructor", Status.UNIMPLEMENTED],
    ["constructor", Status.UNIMPLEMENTED],
    ["/", Status.UNIMPLEMENTED],
    ["test.v1.Behavior/toString", Status.UNIMPLEMENTED],
    ["test.v1.Behavior/\u0000\n", Status.UNIMPLEMENTED],
    ["x".repeat(100_000), Status.UNIMPLEMENTED],
    ["x".repeat(1 << 20), Status.RESOURCE_EXHAUSTED],
  ])("answers method name %# with a status and a short text", async (path, expected) => {
    await againstHost(async (peer) => {
      const tag = await peer.greet();
      peer.send(batch(tag, call(3, path)));
      const { code, message } = await statusOf(peer, 3);
      expect(code).toBe(expected);
      expect(message.length).toBeLessThan(400);
    });
  });

  test("ends calls over a limit RESOURCE_EXHAUSTED: metadata, message, stream window, calls at once", async () => {
    const limits = { maxMetadataBytes: 100, maxMessageBytes: 1000, streamWindowMessages: 4, maxConcurrentCalls: 3 };
    await againstHost(
      async (peer) => {
        const tag = await peer.greet();
        const entries = Array.from({ length: 50 }, () => ({
          key: "k",
          value: { $case: "text" as const, value: "value" },
        }));
        const heavy = CallHeader.encode(
          CallHeader.fromPartial({ path: "test.v1.Behavior/Ping", metadata: entries }),
        ).finish();
        peer.send(batch(tag, { ...call(1, ""), meta: heavy }));
        expect(await statusOf(peer, 1)).toMatchObject({
          code: Status.RESOURCE_EXHAUSTED,
          message: expect.stringContaining("maxMetadataBytes"),
        });
        peer.send(batch(tag, call(3, "test.v1.Behavior/Ping", { body: new Uint8Array(1001) })));
        expect(await statusOf(peer, 3)).toMatchObject({
          code: Status.RESOURCE_EXHAUSTED,
          message: expect.stringContaining("maxMessageBytes"),
        });
        const item = { type: RecordType.DATA, flags: Flag.MESSAGE, callId: 5 };
        peer.send(
          batch(tag, call(5, "test.v1.Behavior/Relay", { flags: 0 }), ...Array.from({ length: 50 }, () => item)),
        );
        expect(await statusOf(peer, 5)).toMatchObject({
          code: Status.RESOURCE_EXHAUSTED,
          message: expect.stringContaining("granted"),
        });
        const open = [7, 9, 11, 13].map((id) => call(id, "test.v1.Behavior/Sum", { flags: 0 }));
        peer.send(batch(tag, ...open));
        expect(await statusOf(peer, 13)).toMatchObject({
          code: Status.RESOURCE_EXHAUSTED,
          message: expect.stringContaining("maxConcurrentCalls"),
        });
      },
      { limits },
    );
  });

  test("ends a message whose fragments never stop before it is held in memory", async () => {
    await againstHost(
      async (peer) => {
        const tag = await peer.greet();
        const part = { type: RecordType.DATA, flags: Flag.MESSAGE | Flag.MORE, callId: 1, body: new Uint8Array(4096) };
        peer.send(
          batch(
            tag,
            call(1, "test.v1.Behavior/Echo", { flags: Flag.MESSAGE | Flag.MORE, body: new Uint8Array(4096) }),
            part,
            part,
            part,
          ),
        );
        expect(await statusOf(peer, 1)).toMatchObject({ code: Status.RESOURCE_EXHAUSTED });
      },
      { limits: { maxMessageBytes: 10_000 } },
    );
  });

  test.each([
    ["none", [] as RawRecord[], "none came"],
    [
      "two",
      [
        { type: RecordType.DATA, flags: Flag.MESSAGE, callId: 1 },
        { type: RecordType.DATA, flags: Flag.MESSAGE, callId: 1 },
      ],
      "more than one",
    ],
    [
      "a broken one",
      [{ type: RecordType.DATA, flags: Flag.MESSAGE, callId: 1, body: Uint8Array.of(0xff) }],
      "cannot be decoded",
    ],
  ])("ends a unary call with %s request INTERNAL", async (_name, records, why) => {
    await againstHost(async (peer) => {
      const tag = await peer.greet();
      peer.send(
        batch(tag, call(1, "test.v1.Behavior/Ping", { flags: 0 }), ...records, {
          type: RecordType.DATA,
          flags: Flag.END,
          callId: 1,
        }),
      );
      expect(await statusOf(peer, 1)).toMatchObject({ code: Status.INTERNAL, message: expect.stringContaining(why) });
    });
  });

  test("counts and drops records of calls that are over", async () => {
    await againstHost(async (peer, pair) => {
      const tag = await peer.greet();
      peer.send(
        batch(
          tag,
          { type: RecordType.DATA, callId: 77 },
          { type: RecordType.CANCEL, callId: 77 },
          { type: RecordType.CREDIT, callId: 77 },
          { type: RecordType.PING },
        ),
      );
      await peer.record(RecordType.PONG);
      expect(pair.host.counters["record of an ended call"]).toBe(3);
    });
  });

  test("survives any mutation of honest batches", async () => {
    await using pair = await openPair(under);
    const mutation = fc.record({ at: fc.nat(), to: fc.integer({ min: 0, max: 255 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 4 }), async (mutations) => {
        await using peer = await RawPeer.open("connect", pair.host.address);
        const tag = await peer.greet();
        const frame = batch(tag, call(1, "test.v1.Behavior/Ping"), call(3, "test.v1.Behavior/Sum", { flags: 0 }), {
          type: RecordType.DATA,
          flags: Flag.END,
          callId: 3,
        });
        for (const { at, to } of mutations) frame[8 + (at % (frame.length - 8))] = to;
        peer.send(frame);
        expect(await pair.client.ping({ sequence: 2 })).toEqual({ sequence: 2 });
      }),
      { numRuns: 300 },
    );
    expect(pair.failures).toEqual([]);
  });
});

describe("a channel that meets a hostile server", () => {
  /** A server that greets and then answers the first call with the given records. */
  async function answered(
    records: (id: number) => RawRecord[],
  ): Promise<{ outcome: Promise<unknown>; channel: Channel; server: RawPeer }> {
    const server = await RawPeer.open("bind", "memory://*");
    const channel = new Channel(server.address, { binding: under.binding, connectTimeoutMs: 300 });
    const outcome = channel.client(Behavior).ping({}, { timeoutMs: 500 });
    outcome.catch(() => undefined);
    await server.record(RecordType.HELLO);
    server.send(batch(77, welcome()));
    const { callId } = await server.record(RecordType.CALL);
    server.send(batch(77, ...records(callId)));
    return { outcome, channel, server };
  }

  test.each([
    ["no message", (callId: number) => [{ type: RecordType.END, flags: Flag.END, callId }], /without a reply message/],
    [
      "two messages",
      (callId: number) => [
        { type: RecordType.DATA, flags: Flag.MESSAGE, callId },
        { type: RecordType.END, flags: unary, callId },
      ],
      /more than one reply/,
    ],
    [
      "a message that cannot be decoded",
      (callId: number) => [{ type: RecordType.END, flags: unary, callId, body: Uint8Array.of(0xff) }],
      /cannot be decoded/,
    ],
  ])("ends a call that is answered with %s INTERNAL", async (_name, records, why) => {
    const { outcome, channel, server } = await answered(records);
    const error = await failureOf(outcome);
    expect([error.code, why.test(error.message)]).toEqual([Status.INTERNAL, true]);
    channel.abort();
    await server[Symbol.asyncDispose]();
  });

  test("takes a code that is none for UNKNOWN, and drops replies to calls it never made", async () => {
    const stranger = { type: RecordType.END, flags: unary, callId: 4 };
    const { outcome, channel, server } = await answered((callId) => [
      stranger,
      { type: RecordType.END, flags: Flag.END, callId, aux: 4711 },
    ]);
    expect((await failureOf(outcome)).code).toBe(Status.UNKNOWN);
    expect(channel.counters["late reply"]).toBe(1);
    channel.abort();
    await server[Symbol.asyncDispose]();
  });

  test("drops replies with the tag of another session", async () => {
    const { outcome, channel, server } = await answered(() => []);
    const { callId } = await server.record(RecordType.CALL);
    server.send(
      batch(78, { type: RecordType.END, flags: unary, callId, body: PingReply.encode({ sequence: 666 }).finish() }),
    );
    server.send(
      batch(77, { type: RecordType.END, flags: unary, callId, body: PingReply.encode({ sequence: 1 }).finish() }),
    );
    expect(await outcome).toEqual({ sequence: 1 });
    expect(channel.counters["stale batch"]).toBe(1);
    channel.abort();
    await server[Symbol.asyncDispose]();
  });

  test("gives up a connection on which it gets garbage, and ends its calls UNAVAILABLE", async () => {
    const { outcome, channel, server } = await answered(() => [{ type: 200 }]);
    expect(await failureOf(outcome)).toMatchObject({
      code: Status.UNAVAILABLE,
      message: expect.stringContaining("malformed"),
    });
    channel.abort();
    await server[Symbol.asyncDispose]();
  });
});
