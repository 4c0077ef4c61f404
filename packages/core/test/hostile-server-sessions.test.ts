import { describe, expect, test } from "@jest/globals";
import { Status } from "@zerobind/core";
import type { StatusCode } from "@zerobind/core";
import { Refusal } from "../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType, RefuseReason } from "../src/records.ts";
import { failureOf } from "./support/failure.ts";
import { HostileServer, data, unary } from "./support/hostile.ts";
import { batch, batchOf, welcome } from "./support/raw-peer.ts";
import type { RawRecord } from "./support/raw-peer.ts";
import { end, duringPing } from "./support/hostile-server.ts";

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
    const code = aux === RefuseReason.UNAUTHENTICATED ? Status.UNAUTHENTICATED : Status.UNAVAILABLE;
    expect([error.code, error.message]).toEqual([code, expect.stringContaining("for a reason")]);
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
