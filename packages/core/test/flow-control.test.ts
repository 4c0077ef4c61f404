import { describe, expect, test } from "@jest/globals";
import { Channel, Status, binding, memory } from "@zerobind/core";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { CountRequest, EchoReply, EchoRequest } from "./gen/test/v1/behavior.pb.ts";
import { EndHeader } from "../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType, RefuseReason, recordHeaderBytes } from "../src/records.ts";
import { failureOf } from "./support/failure.ts";
import { openPair } from "./support/pair.ts";
import type { Pair } from "./support/pair.ts";
import { RawPeer, batch, rawCall, welcome } from "./support/raw-peer.ts";
import type { RawRecord, ReceivedRecord } from "./support/raw-peer.ts";

const under = { binding: binding(memory()), address: () => "memory://*" };
const windowBytes = 64 * 1024;
const limits = { sessionWindowBytes: windowBytes };
const unary = Flag.END | Flag.MESSAGE;

function echo(callId: number, dataBytes: number): RawRecord {
  const body = EchoRequest.encode(EchoRequest.fromPartial({ data: new Uint8Array(dataBytes) })).finish();
  return rawCall(callId, "test.v1.Behavior/Echo", { body });
}

function odd(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, index) => 2 * (from + index) + 1);
}

/** Bytes of records, without the headers of their batches. */
function sizeOf(records: readonly ReceivedRecord[]): number {
  return records.reduce((sum, { meta, body }) => sum + recordHeaderBytes + meta.length + body.length, 0);
}

function ends(peer: RawPeer): readonly ReceivedRecord[] {
  return peer.received.filter(({ type }) => type === RecordType.END);
}

/** Answers that the peer has had: a PING is answered when all that came before it has been. */
async function settled(peer: RawPeer, tag: number): Promise<void> {
  for (let turn = 0; turn < 3; turn++) {
    const aux = peer.received.length + 1000 * turn;
    peer.send(batch(tag, { type: RecordType.PING, aux }));
    await peer.record(RecordType.PONG, (record) => record.aux === aux);
  }
}

function credit(bytes: number): RawRecord {
  return { type: RecordType.CREDIT, aux: bytes };
}

describe("a host and a client that grants nothing", () => {
  test.each([
    ["small replies", 300, 200],
    ["attachments", 20_000, 40],
    ["fragments", 3_000_000, 6],
  ])(
    "sends no more than the window of %s, then waits, and goes on in order of the credit",
    async (_name, size, count) => {
      await using pair = await openPair(under);
      await using peer = await RawPeer.open("connect", pair.host.address);
      const tag = await peer.greet({ limits: { ...emptyLimits, sessionWindowBytes: windowBytes } });
      const before = peer.received.length;
      for (const id of odd(count)) peer.send(batch(tag, echo(id, size)));
      await settled(peer, tag);
      const got = sizeOf(peer.received.slice(before));
      // The last batch may go beyond, by what one batch or one fragment has at most.
      expect(got).toBeGreaterThan(Math.min(windowBytes, size * count) * 0.7);
      expect(got).toBeLessThan(windowBytes + Math.max(50_000, Math.min(size, 1 << 20)) + 1000);
      while (ends(peer).length < count) {
        peer.send(batch(tag, credit(windowBytes)));
        await settled(peer, tag);
      }
      expect(ends(peer).map(({ aux }) => aux)).toEqual(odd(count).map(() => Status.OK));
    },
  );

  test("counts an answered call as open until its answer has left", async () => {
    await using pair = await openPair(under, { host: { limits: { maxConcurrentCalls: 50 } } });
    await using peer = await RawPeer.open("connect", pair.host.address);
    const tag = await peer.greet({ limits: { ...emptyLimits, sessionWindowBytes: windowBytes } });
    for (let start = 0; start < 100; start += 50) {
      for (const id of odd(50, start)) peer.send(batch(tag, echo(id, 3000)));
      await settled(peer, tag);
    }
    // Some 34 replies used up the window, 50 more wait, and the rest was refused.
    while (ends(peer).length < 100) {
      peer.send(batch(tag, credit(windowBytes)));
      await settled(peer, tag);
    }
    const refused = ends(peer).filter(({ aux }) => aux === Status.RESOURCE_EXHAUSTED);
    expect(refused.length).toBeGreaterThan(10);
    expect(EndHeader.decode(refused[0]!.meta).message).toContain("maxConcurrentCalls");
    expect(pair.service.entered.get("echo")).toBe(100 - refused.length);
  });

  /** Ten replies of 300 kB, of which one uses up the window and some are more than may wait. */
  async function full(pair: Pair, peer: RawPeer): Promise<number> {
    const tag = await peer.greet({ limits: { ...emptyLimits, sessionWindowBytes: windowBytes } });
    const init = { data: new Uint8Array(300_000), delayMs: 20 };
    const body = EchoRequest.encode(EchoRequest.fromPartial(init)).finish();
    let answered = 0;
    pair.service.events.on("left", () => {
      answered += 1;
      peer.poke();
    });
    for (const id of odd(10)) peer.send(batch(tag, rawCall(id, "test.v1.Behavior/Echo", { body })));
    await peer.until(() => answered === 10);
    await settled(peer, tag);
    expect(pair.service.entered.get("echo")).toBe(10);
    return tag;
  }
  const tight = { host: { limits: { maxHeldBytes: 100_000, maxMessageBytes: 400_000 } } };

  test("replaces replies far beyond maxHeldBytes by statuses and begins no more calls, until the client reads", async () => {
    await using pair = await openPair(under, tight);
    await using peer = await RawPeer.open("connect", pair.host.address);
    const tag = await full(pair, peer);
    peer.send(batch(tag, echo(201, 10)));
    await settled(peer, tag);
    expect(pair.service.entered.get("echo")).toBe(10);
    while (ends(peer).length < 11) {
      peer.send(batch(tag, credit(windowBytes)));
      await settled(peer, tag);
    }
    const refused = ends(peer).filter(({ aux }) => aux === Status.RESOURCE_EXHAUSTED);
    expect(refused.length).toBeGreaterThan(4);
    expect(ends(peer).find(({ callId }) => callId === 201)?.aux).toBe(Status.OK);
    for (const { meta } of refused) expect(EndHeader.decode(meta).message).toContain("maxHeldBytes");
    peer.send(batch(tag, credit(windowBytes), echo(203, 10)));
    expect((await peer.record(RecordType.END, ({ callId }) => callId === 203)).aux).toBe(Status.OK);
  });

  test("ends the session of a client that goes on calling without reading", async () => {
    await using pair = await openPair(under, tight);
    await using peer = await RawPeer.open("connect", pair.host.address);
    const tag = await full(pair, peer);
    for (let round = 0; round < 2000 && peer.lost === 0; round++) {
      peer.send(batch(tag, ...odd(100, 1000 + 100 * round).map((id) => echo(id, 0))));
      if (round % 20 === 0) await settledOrLost(peer, tag);
    }
    await peer.until(() => peer.lost > 0);
    expect((await peer.record(RecordType.REFUSE, ({ callId }) => callId === 0)).aux).toBe(RefuseReason.EXHAUSTED);
    expect(sizeOf(peer.received)).toBeLessThan(2 * windowBytes + 400_000);
    expect(pair.host.counters["peer that does not read"]).toBe(1);
    expect(await pair.client.ping({ sequence: 3 })).toEqual({ sequence: 3 });
  });

  test("answers any number of PINGs in a batch once, and ends who sends them without end", async () => {
    await using pair = await openPair(under);
    await using peer = await RawPeer.open("connect", pair.host.address);
    const tag = await peer.greet({ limits: { ...emptyLimits, sessionWindowBytes: windowBytes } });
    const ping = (aux: number): RawRecord => ({ type: RecordType.PING, aux });
    peer.send(batch(tag, ping(1), ping(2), ping(3)));
    await peer.record(RecordType.PONG);
    await settled(peer, tag);
    expect(peer.received.filter(({ type }) => type === RecordType.PONG).map(({ aux }) => aux)[0]).toBe(3);
    const frame = batch(tag, ping(7));
    for (let round = 0; round < 500 && peer.lost === 0; round++) {
      for (let count = 0; count < 1000; count++) peer.send(frame);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await peer.until(() => peer.lost > 0);
    const pongs = peer.received.filter(({ type }) => type === RecordType.PONG).length;
    expect(pongs * recordHeaderBytes).toBeLessThan(windowBytes + 6_000_000);
  });

  test("stops its streams at the window, whatever the streams' own windows are", async () => {
    await using pair = await openPair(under);
    await using peer = await RawPeer.open("connect", pair.host.address);
    const generous = { streamWindowMessages: 65_536, streamWindowBytes: 16 << 20, sessionWindowBytes: windowBytes };
    const tag = await peer.greet({ limits: { ...emptyLimits, ...generous } });
    const body = CountRequest.encode(CountRequest.fromPartial({ count: 60_000 })).finish();
    for (const id of odd(20)) peer.send(batch(tag, rawCall(id, "test.v1.Behavior/Count", { body })));
    await settled(peer, tag);
    await settled(peer, tag);
    expect(sizeOf(peer.received)).toBeLessThan(windowBytes + 50_000);
    const before = peer.received.length;
    for (let grants = 0; grants < 10; grants++) {
      peer.send(batch(tag, credit(windowBytes)));
      await settled(peer, tag);
    }
    // No stream takes all that is granted, however the turns of the event loop fall.
    const shares = odd(20).map((id) => peer.received.slice(before).filter(({ callId }) => callId === id).length);
    expect(Math.min(...shares) * 50).toBeGreaterThan(Math.max(...shares));
    peer.send(batch(tag, ...odd(20).map((callId) => ({ type: RecordType.CANCEL, callId, aux: 1 }))));
    await settled(peer, tag);
    peer.send(batch(tag, credit(windowBytes), credit(windowBytes)));
    peer.send(batch(tag, echo(99, 10)));
    await peer.record(RecordType.END, ({ callId }) => callId === 99);
  });
});

describe("a channel and a server that grants nothing", () => {
  test("holds what it must, lets the rest wait unsent, and tells the server nothing of calls it never saw", async () => {
    const server = await RawPeer.open("bind", "memory://*");
    await using channel = new Channel(server.address, { binding: under.binding, maxQueuedCalls: 100, limits });
    const client = channel.client(Behavior);
    const data = new Uint8Array(3000);
    const calls = odd(300).map(() => failureOf(client.echo({ data }, { timeoutMs: 300 })));
    await server.record(RecordType.HELLO);
    server.send(batch(77, welcome({ limits: { ...emptyLimits, sessionWindowBytes: windowBytes } })));
    for (const { code } of await Promise.all(calls))
      expect([Status.DEADLINE_EXCEEDED, Status.RESOURCE_EXHAUSTED]).toContain(code);
    // What was said by then is said before the answer.
    server.send(batch(77, { type: RecordType.PING, aux: 5 }));
    await server.record(RecordType.PONG);
    const seen = server.received.filter(({ type }) => type === RecordType.CALL).map(({ callId }) => callId);
    const cancelled = server.received.filter(({ type }) => type === RecordType.CANCEL).map(({ callId }) => callId);
    expect(sizeOf(server.received)).toBeLessThan(windowBytes + 50_000);
    expect(cancelled.toSorted()).toEqual(seen.toSorted());
    server.send(batch(77, credit(windowBytes), credit(windowBytes)));
    const late = client.echo({ data: Uint8Array.of(1) });
    const { callId } = await server.record(RecordType.CALL, (record) => !seen.includes(record.callId));
    const body = EchoReply.encode(EchoReply.fromPartial({ text: "here" })).finish();
    server.send(batch(77, { type: RecordType.END, flags: unary, callId, body }));
    expect((await late).text).toBe("here");
    channel.abort();
    await server[Symbol.asyncDispose]();
  });
});

/** Limits that say nothing: the defaults. */
const emptyLimits = {
  maxMessageBytes: 0,
  maxMetadataBytes: 0,
  maxFragmentBytes: 0,
  streamWindowMessages: 0,
  streamWindowBytes: 0,
  sessionWindowBytes: 0,
};

async function settledOrLost(peer: RawPeer, tag: number): Promise<void> {
  const aux = peer.received.length + 1;
  peer.send(batch(tag, { type: RecordType.PING, aux }));
  await peer.until(
    () => peer.lost > 0 || peer.received.some((record) => record.type === RecordType.PONG && record.aux === aux),
  );
}
