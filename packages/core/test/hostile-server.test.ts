import { describe, expect, test } from "@jest/globals";
import { Status } from "@zerobind/core";
import type { StatusCode } from "@zerobind/core";
import { DataHeader, EndHeader, Refusal } from "../src/gen/zerobind/v1/wire.pb.ts";
import type { MetadataEntry } from "../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType, RefuseReason } from "../src/records.ts";
import { PingReply } from "./gen/test/v1/behavior.pb.ts";
import { failureOf } from "./support/failure.ts";
import { HostileServer, data, unary } from "./support/hostile.ts";
import { collect } from "./support/pair.ts";
import { batch, batchOf, welcome } from "./support/raw-peer.ts";
import type { RawRecord } from "./support/raw-peer.ts";

const one = PingReply.encode({ sequence: 1 }).finish();

function end(callId: number, changes: Partial<RawRecord> = {}): RawRecord {
  return { type: RecordType.END, flags: unary, callId, body: one, ...changes };
}

function trailer(...entries: MetadataEntry[]): Uint8Array {
  return EndHeader.encode(EndHeader.fromPartial({ trailer: entries })).finish();
}

const text = (key: string, value: string): MetadataEntry => ({ key, value: { $case: "text", value } });

/** A ping under way on a server that has greeted; afterwards the channel must still be of use. */
async function duringPing(
  run: (server: HostileServer, id: number, outcome: Promise<unknown>) => Promise<void>,
): Promise<void> {
  await using server = await HostileServer.open();
  await server.greet();
  const { id, outcome } = await server.begun((client) => client.ping({}, { timeoutMs: 5000 }));
  await run(server, id, outcome);
  await server.politely();
}

describe("a channel whose calls are answered wrongly", () => {
  test.each<[string, (id: number) => RawRecord[], number, RegExp]>([
    ["no message", (id) => [end(id, { flags: Flag.END, body: new Uint8Array() })], Status.INTERNAL, /without a reply/],
    ["two messages", (id) => [data(id), end(id)], Status.INTERNAL, /more than one reply/],
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
      (id) => [data(id, Flag.MESSAGE | Flag.MORE, one), end(id, { flags: Flag.END, body: new Uint8Array() })],
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
      (id) => Array.from({ length: 60 }, () => data(id, Flag.MESSAGE | Flag.MORE, new Uint8Array(80_000))),
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
    ["an empty fragment", (id) => [data(id, Flag.MESSAGE | Flag.MORE)]],
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

  test("ends a stream that sends beyond its window RESOURCE_EXHAUSTED, and tells the server", async () => {
    await using server = await HostileServer.open({ limits: { streamWindowMessages: 4 } });
    await server.greet();
    const { id, outcome } = await server.begun((client) => client.count({ count: 9 }));
    server.send(...Array.from({ length: 100 }, () => data(id)));
    await server.peer.record(RecordType.CANCEL, ({ callId }) => callId === id);
    expect(await failureOf(collect(outcome))).toMatchObject({ code: Status.RESOURCE_EXHAUSTED });
    await server.politely();
  });

  test("ends a stream whose last message is cut off INTERNAL", async () => {
    await using server = await HostileServer.open();
    await server.greet();
    const { id, outcome } = await server.begun((client) => client.count({ count: 9 }));
    server.send(
      data(id),
      data(id, Flag.MESSAGE | Flag.MORE, one),
      end(id, { flags: Flag.END, body: new Uint8Array() }),
    );
    const failure = failureOf(collect(outcome));
    expect(await failure).toMatchObject({ code: Status.INTERNAL, message: expect.stringContaining("cut off") });
    await server.politely();
  });
});

describe("a channel whose sessions are hostile", () => {
  test.each([
    ["the first of all", [{ type: RecordType.END, flags: unary, callId: 1 }]],
    ["GOAWAY", [{ type: RecordType.GOAWAY, meta: new Uint8Array(50).fill(0xff) }]],
    ["no tag", [welcome()]],
  ])("does not mind what comes instead of WELCOME: %s", async (_name, records) => {
    await using server = await HostileServer.open();
    await server.channel.open();
    await server.peer.record(RecordType.HELLO);
    server.peer.send(batch(0, ...records));
    await server.politely();
  });

  test.each([0, 1, 0xffffffff])("lives with limits that are all %d", async (limit) => {
    await using server = await HostileServer.open();
    const limits = {
      maxMessageBytes: limit,
      maxMetadataBytes: limit,
      maxFragmentBytes: limit,
      streamWindowMessages: limit,
      streamWindowBytes: limit,
      sessionWindowBytes: limit,
    };
    await server.greet({ limits, maxConcurrentCalls: limit });
    const { id, outcome } = await server.begun((client) => client.ping({}));
    server.send(end(id));
    expect(await outcome).toEqual({ sequence: 1 });
    const stream = server.client.sum(
      Array.from({ length: 10 }, () => ({ value: 1n })),
      { timeoutMs: 50 },
    );
    expect([Status.DEADLINE_EXCEEDED, Status.RESOURCE_EXHAUSTED]).toContain((await failureOf(stream)).code);
    const fits = server.client.echo({ text: "longer than a byte" }, { timeoutMs: 50 });
    const code = limit === 1 ? Status.RESOURCE_EXHAUSTED : Status.DEADLINE_EXCEEDED;
    expect(await failureOf(fits)).toMatchObject({ code });
  });

  test("goes on when it is asked to go away twice, and by nonsense", async () => {
    await duringPing(async (server, id, outcome) => {
      const nonsense = { type: RecordType.GOAWAY, callId: 99, aux: 0xffffffff, meta: new Uint8Array(100).fill(0xff) };
      server.send(nonsense, nonsense, { type: RecordType.GOAWAY });
      // The call that was open is still answered there, although the channel has looked for another server.
      server.peer.hangUp();
      expect(await failureOf(outcome)).toMatchObject({ code: Status.UNAVAILABLE });
      expect(id & 1).toBe(1);
    });
  });

  test("lets a call end on a session that goes away", async () => {
    await using server = await HostileServer.open();
    await server.greet();
    const { id, outcome } = await server.begun((client) => client.ping({}));
    server.send({ type: RecordType.GOAWAY }, { type: RecordType.GOAWAY }, end(id));
    expect(await outcome).toEqual({ sequence: 1 });
    await server.politely();
  });

  const reasons = [...Object.entries(RefuseReason), ["0", 0], ["99", 99], ["2^32-1", 0xffffffff]] as [string, number][];

  test.each(reasons)("ends its calls when its session is refused for reason %s", async (_name, aux) => {
    await duringPing(async (server, _id, outcome) => {
      const meta = Refusal.encode(
        Refusal.fromPartial({ message: "for a reason", minVersion: 2, maxVersion: 3 }),
      ).finish();
      server.send({ type: RecordType.REFUSE, aux, meta });
      const error = await failureOf(outcome);
      expect([error.code, error.message]).toEqual([Status.UNAVAILABLE, expect.stringContaining("for a reason")]);
    });
  });

  test.each(reasons)("does not wait for ever when its greeting is refused for reason %s", async (_name, aux) => {
    await using server = await HostileServer.open({ connectTimeoutMs: 60 });
    const reply = server.client.ping({});
    reply.catch(() => undefined);
    await server.peer.record(RecordType.HELLO);
    const meta = Refusal.encode(Refusal.fromPartial({ message: "for a reason" })).finish();
    server.peer.send(batch(0, { type: RecordType.REFUSE, aux, meta }));
    const error = await failureOf(reply);
    expect([error.code, error.message]).toEqual([Status.UNAVAILABLE, expect.stringContaining("for a reason")]);
    await server.politely();
  });

  const codes = Object.values(Status).filter((code) => code !== Status.OK && code !== Status.UNAVAILABLE);

  test.each([...codes, 17, 0xffffffff])("ends a call that is refused with code %d", async (aux) => {
    await duringPing(async (server, callId, outcome) => {
      server.send({ type: RecordType.REFUSE, callId, aux });
      const expected: StatusCode = (codes as number[]).includes(aux) ? (aux as StatusCode) : Status.UNKNOWN;
      expect((await failureOf(outcome)).code).toBe(expected);
    });
  });

  test("ends at its deadline a call that is refused UNAVAILABLE again and again", async () => {
    await using server = await HostileServer.open();
    await server.greet();
    const reply = failureOf(server.client.echo({}, { timeoutMs: 60 }));
    let over = false;
    void reply.then(() => {
      over = true;
      server.peer.poke();
    });
    let refused = 0;
    await server.peer.until(() => {
      const calls = server.peer.received.filter(({ type }) => type === RecordType.CALL);
      for (; refused < calls.length; refused++)
        server.send({ type: RecordType.REFUSE, callId: calls[refused]!.callId, aux: Status.UNAVAILABLE });
      return over;
    });
    expect([Status.DEADLINE_EXCEEDED, Status.UNAVAILABLE]).toContain((await reply).code);
    await server.politely();
  });

  test("gets through floods of 65,535 records a batch", async () => {
    await duringPing(async (server, id, outcome) => {
      const many = (record: RawRecord): void =>
        server.peer.send(
          batchOf(
            server.tag,
            Array.from({ length: 65_535 }, () => record),
          ),
        );
      many(data(id + 2));
      many({ type: RecordType.GOAWAY });
      many({ type: 77, flags: Flag.OPTIONAL });
      many({ type: RecordType.PING });
      many({ type: RecordType.CREDIT, aux: 0xffffffff });
      many({ type: RecordType.CREDIT, callId: id, aux: 0xffffffff, meta: new Uint8Array(4).fill(255) });
      server.send(end(id));
      expect(await outcome).toEqual({ sequence: 1 });
      expect(server.channel.counters["late reply"]).toBe(65_535);
    });
  });
});
