import { describe, expect, test } from "@jest/globals";
import { Status } from "@zerobind/core";
import { DataHeader } from "../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType, RefuseReason } from "../src/records.ts";
import { PingReply } from "./gen/test/v1/behavior.pb.ts";
import { failureOf } from "./support/failure.ts";
import { HostileServer, call, data, fragment, leastFragment, path, unary } from "./support/hostile.ts";
import { collect } from "./support/pair.ts";
import { batch, welcome } from "./support/raw-peer.ts";
import type { RawRecord } from "./support/raw-peer.ts";
import { end, duringPing, trailer, text } from "./support/hostile-server.ts";

describe("a channel whose calls are answered wrongly", () => {
  test.each<[string, (id: number) => RawRecord[], number, RegExp]>([
    [
      "no message",
      (id) => [end(id, { flags: Flag.END, body: new Uint8Array() })],
      Status.UNIMPLEMENTED,
      /without a reply/,
    ],
    ["two messages", (id) => [data(id), end(id)], Status.UNIMPLEMENTED, /more than one reply/],
    [
      "a message that is nothing",
      (id) => [end(id, { body: Uint8Array.of(255) })],
      Status.INTERNAL,
      /cannot be decoded/,
    ],
    ["a message that is cut off", (id) => [end(id, { body: Uint8Array.of(8) })], Status.INTERNAL, /cannot be decoded/],
    [
      "a string of 2 GiB",
      (id) => [end(id, { body: Uint8Array.of(0x7a, 255, 255, 255, 255, 7) })],
      Status.INTERNAL,
      /cannot be decoded/,
    ],
    [
      "groups nested a million deep",
      (id) => [end(id, { body: new Uint8Array(1_000_000).fill(0x0b) })],
      Status.INTERNAL,
      /cannot be decoded/,
    ],
    [
      "an end in the middle of a message",
      (id) => [data(id, fragment, leastFragment), end(id, { flags: Flag.END, body: new Uint8Array() })],
      Status.INTERNAL,
      /cut off/,
    ],
    [
      "a message over the limit",
      (id) => [end(id, { body: new Uint8Array(4 * 1024 * 1024 + 1) })],
      Status.RESOURCE_EXHAUSTED,
      /maxMessageBytes/,
    ],
    [
      "fragments over the limit",
      (id) => Array.from({ length: 60 }, () => data(id, fragment, new Uint8Array(80_000))),
      Status.RESOURCE_EXHAUSTED,
      /maxMessageBytes/,
    ],
    [
      "a header over the limit",
      (id) => {
        const header = Array.from({ length: 100 }, () => text("key", "x".repeat(1000)));
        return [{ ...data(id), meta: DataHeader.encode(DataHeader.fromPartial({ header })).finish() }];
      },
      Status.RESOURCE_EXHAUSTED,
      /maxMetadataBytes/,
    ],
    [
      "a hundred thousand entries of trailer",
      (id) => [end(id, { meta: trailer(...Array.from({ length: 100_000 }, () => text("a", ""))) })],
      Status.RESOURCE_EXHAUSTED,
      /maxMetadataBytes/,
    ],
    ["a code that is none", (id) => [end(id, { aux: 4711 })], Status.UNKNOWN, /^$/],
    ["code 17", (id) => [end(id, { aux: 17 })], Status.UNKNOWN, /^$/],
    ["code 2^32-1", (id) => [end(id, { aux: 0xffffffff })], Status.UNKNOWN, /^$/],
    [
      "a text that is no UTF-8",
      (id) => [end(id, { aux: Status.ABORTED, meta: Uint8Array.of(0x0a, 2, 0xff, 0x41) })],
      Status.ABORTED,
      /^\ufffdA$/,
    ],
    ["an error and a message", (id) => [end(id, { aux: Status.NOT_FOUND }), end(id)], Status.NOT_FOUND, /^$/],
  ])("ends a call that gets %s", async (_name, records, code, why) => {
    await duringPing(async (server, id, outcome) => {
      server.send(...records(id));
      const error = await failureOf(outcome);
      expect([error.code, error.message]).toEqual([code, expect.stringMatching(why)]);
      expect(server.peer.lost).toBe(0);
    });
  });

  test.each<[string, (id: number) => RawRecord[]]>([
    ["a record of an unknown type", () => [{ type: 200 }]],
    ["a record of type 0", () => [{ type: 0 }]],
    ["a second WELCOME", () => [welcome()]],
    ["HELLO", () => [{ type: RecordType.HELLO }]],
    ["CANCEL", (callId) => [{ type: RecordType.CANCEL, callId }]],
    ["a call refused with OK", (callId) => [{ type: RecordType.REFUSE, callId, aux: 0 }]],
    ["two READY", () => [{ type: RecordType.READY }, { type: RecordType.READY }]],
    ["an empty fragment", (id) => [data(id, fragment)]],
    ["a fragment of 4,095 bytes", (id) => [data(id, fragment, leastFragment.subarray(1))]],
    ["CALL with an id of its own", (id) => [call(id, path("Ping"))]],
    ["CANCEL of a call that it has not made", (id) => [{ type: RecordType.CANCEL, callId: id + 2 }]],
    ["credit without a count", (callId) => [{ type: RecordType.CREDIT, callId, aux: 1 }]],
    ["meta that is nothing", (id) => [end(id, { meta: Uint8Array.of(255, 255) })]],
    ["a reserved key", (id) => [end(id, { meta: trailer(text("zb-x", "")) })]],
    ["a control character", (id) => [end(id, { meta: trailer(text("a", "\u0007")) })]],
    ["text under a key for bytes", (id) => [end(id, { meta: trailer(text("a-bin", "")) })]],
    ["a header that is nothing", (id) => [{ ...data(id), meta: Uint8Array.of(0x0a, 255) }]],
    ["an attachment that is missing", (id) => [end(id, { flags: unary | Flag.ATTACHED, body: new Uint8Array() })]],
  ])("gives up a connection on which it gets %s", async (_name, records) => {
    await duringPing(async (server, id, outcome) => {
      server.send(...records(id));
      const error = await failureOf(outcome);
      expect([error.code, error.message]).toEqual([Status.UNAVAILABLE, expect.stringContaining("malformed")]);
      const { aux } = await server.peer.record(RecordType.REFUSE);
      expect(aux).toBe(RefuseReason.MALFORMED);
      expect(server.channel.counters["malformed"]).toBe(1);
    });
  });

  test.each<[string, (frame: Uint8Array) => Uint8Array[]]>([
    ["no batch", () => [Uint8Array.of(1, 2, 3)]],
    ["of another version", (frame) => [Object.assign(frame, { 1: 2 })]],
    ["cut off", (frame) => [frame.subarray(0, frame.length - 1)]],
    ["too long", (frame) => [new Uint8Array([...frame, 0])]],
    ["with an attachment that nothing names", (frame) => [frame, new Uint8Array(100)]],
  ])("gives up a connection on which it gets a message that is %s", async (_name, change) => {
    await using server = await HostileServer.open();
    await server.greet();
    const { outcome } = await server.begun((client) => client.echo({}, { timeoutMs: 5000 }));
    server.peer.send(...change(batch(server.tag, { type: RecordType.PING, meta: new Uint8Array(3) })));
    expect(await failureOf(outcome)).toMatchObject({ code: Status.UNAVAILABLE });
    await server.politely();
  });

  test("drops what belongs to no call of it: ends, messages, credit and refusals", async () => {
    await duringPing(async (server, id, outcome) => {
      const strangers = [id + 2, id + 4, 0xffffffff, 2];
      const types = [RecordType.END, RecordType.DATA, RecordType.CREDIT, RecordType.REFUSE];
      server.send(
        ...types.flatMap((type) => strangers.map((callId) => ({ type, flags: unary, callId, aux: 14 }))),
        end(id),
      );
      expect(await outcome).toEqual({ sequence: 1 });
      expect(server.channel.counters["late reply"]).toBe(16);
    });
  });

  test("takes the first of two ends, and drops all that follows", async () => {
    await duringPing(async (server, id, outcome) => {
      server.send(
        end(id),
        end(id, { body: PingReply.encode({ sequence: 9 }).finish() }),
        data(id),
        end(id, { aux: 5 }),
      );
      expect(await outcome).toEqual({ sequence: 1 });
      expect(server.channel.counters["late reply"]).toBe(3);
    });
  });

  test("drops replies with the tag of another session", async () => {
    await duringPing(async (server, id, outcome) => {
      server.peer.send(batch(78, end(id, { body: PingReply.encode({ sequence: 666 }).finish() })));
      server.peer.send(batch(0, end(id, { body: PingReply.encode({ sequence: 666 }).finish() })));
      server.send(end(id));
      expect(await outcome).toEqual({ sequence: 1 });
      expect(server.channel.counters["stale batch"]).toBe(2);
    });
  });

  test("takes any credit, for calls and for the session", async () => {
    await duringPing(async (server, id, outcome) => {
      const most = { type: RecordType.CREDIT, aux: 0xffffffff, meta: new Uint8Array(4).fill(255) };
      for (let round = 0; round < 1000; round++) server.send({ ...most, callId: id }, { ...most, callId: 0 });
      server.send(end(id));
      expect(await outcome).toEqual({ sequence: 1 });
    });
  });

  test("ends a stream that sends beyond its window INTERNAL, and tells the server", async () => {
    await using server = await HostileServer.open({ limits: { streamWindowMessages: 4 } });
    await server.greet();
    const { id, outcome } = await server.begun((client) => client.count({ count: 9 }));
    server.send(...Array.from({ length: 100 }, () => data(id)));
    await server.peer.record(RecordType.CANCEL, ({ callId }) => callId === id);
    expect(await failureOf(collect(outcome))).toMatchObject({ code: Status.INTERNAL });
    await server.politely();
  });

  test("ends a stream whose last message is cut off INTERNAL", async () => {
    await using server = await HostileServer.open();
    await server.greet();
    const { id, outcome } = await server.begun((client) => client.count({ count: 9 }));
    server.send(data(id), data(id, fragment, leastFragment), end(id, { flags: Flag.END, body: new Uint8Array() }));
    const failure = failureOf(collect(outcome));
    expect(await failure).toMatchObject({ code: Status.INTERNAL, message: expect.stringContaining("cut off") });
    await server.politely();
  });
});
