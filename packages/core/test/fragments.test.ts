import { describe, expect, test } from "@jest/globals";
import { Status, binding, memory } from "@zerobind/core";
import { EchoReply, EchoRequest } from "./gen/test/v1/behavior.pb.ts";
import { EndHeader } from "../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType, RefuseReason } from "../src/records.ts";
import { openPair } from "./support/pair.ts";
import type { Pair } from "./support/pair.ts";
import { RawPeer, batch, rawCall } from "./support/raw-peer.ts";
import type { RawRecord } from "./support/raw-peer.ts";

const under = { binding: binding(memory()), address: () => "memory://*" };
const echo = "test.v1.Behavior/Echo";
const path = { flags: Flag.MESSAGE | Flag.MORE };
const ids = (count: number): number[] => Array.from({ length: count }, (_, index) => 2 * index + 1);

const request = EchoRequest.encode(EchoRequest.fromPartial({ text: "x".repeat(9000) })).finish();

/** The first piece of a request, the one in the middle, and the last. */
const first = (callId: number): RawRecord => rawCall(callId, echo, { ...path, body: request.subarray(0, 4096) });
const middle = (callId: number): RawRecord => ({
  type: RecordType.DATA,
  ...path,
  callId,
  body: request.subarray(4096, 8192),
});
const last = (callId: number): RawRecord => ({
  type: RecordType.DATA,
  flags: Flag.MESSAGE | Flag.END,
  callId,
  body: request.subarray(8192),
});

async function greeted(run: (peer: RawPeer, tag: number, pair: Pair) => Promise<void>): Promise<void> {
  await using pair = await openPair(under);
  await using peer = await RawPeer.open("connect", pair.host.address);
  const limits = {
    maxMessageBytes: 0,
    maxMetadataBytes: 0,
    maxFragmentBytes: 64 * 1024,
    streamWindowMessages: 0,
    streamWindowBytes: 0,
    sessionWindowBytes: 64 << 20,
  };
  await run(peer, await peer.greet({ limits }), pair);
}

function end(peer: RawPeer, id: number): Promise<{ aux: number; meta: Uint8Array }> {
  return peer.record(RecordType.END, ({ callId }) => callId === id);
}

describe("fragments", () => {
  test("of eight messages at once are joined, and those of a ninth are refused until one of the eight is whole", async () => {
    await greeted(async (peer, tag, pair) => {
      peer.send(batch(tag, ...ids(8).map(first), ...ids(8).map(middle)));
      peer.send(batch(tag, first(101)));
      const refused = await end(peer, 101);
      expect(refused.aux).toBe(Status.RESOURCE_EXHAUSTED);
      expect(EndHeader.decode(refused.meta).message).toContain("more than 8 messages");
      peer.send(batch(tag, middle(101), last(101), last(1)));
      expect((await end(peer, 1)).aux).toBe(Status.OK);
      peer.send(batch(tag, first(103), middle(103), last(103)));
      expect((await end(peer, 103)).aux).toBe(Status.OK);
      expect(pair.service.entered.get("echo")).toBe(2);
    });
  });

  test("of cancelled calls make room for others", async () => {
    await greeted(async (peer, tag) => {
      peer.send(batch(tag, ...ids(8).map(first)));
      peer.send(batch(tag, ...ids(8).map((callId) => ({ type: RecordType.CANCEL, callId, aux: 1 }))));
      const others = ids(16).slice(8);
      peer.send(batch(tag, ...others.map(first), ...others.map(middle), ...others.map(last)));
      for (const id of others) expect((await end(peer, id)).aux).toBe(Status.OK);
    });
  });

  test("that are smaller than 4 KiB and not the last are malformed", async () => {
    await greeted(async (peer, tag) => {
      peer.send(batch(tag, rawCall(1, echo, { ...path, body: new Uint8Array(4095) })));
      const { aux } = await peer.record(RecordType.REFUSE, ({ callId }) => callId === 0);
      expect(aux).toBe(RefuseReason.MALFORMED);
    });
  });

  test("of eight replies at once are sent, the others wait in line, and all arrive", async () => {
    await greeted(async (peer, tag) => {
      const body = EchoRequest.encode(EchoRequest.fromPartial({ data: new Uint8Array(500_000) })).finish();
      peer.send(batch(tag, ...ids(30).map((id) => rawCall(id, echo, { body }))));
      for (const id of ids(30)) await end(peer, id);
      const open = new Map<number, Uint8Array[]>();
      let most = 0;
      for (const { type, flags, callId, body: part } of peer.received) {
        if (type !== RecordType.DATA && type !== RecordType.END) continue;
        open.set(callId, [...(open.get(callId) ?? []), part]);
        most = Math.max(most, open.size);
        if ((flags & Flag.MORE) !== 0) continue;
        expect(EchoReply.decode(Buffer.concat(open.get(callId)!)).data).toHaveLength(500_000);
        open.delete(callId);
      }
      expect(most).toBe(8);
    });
  });
});
