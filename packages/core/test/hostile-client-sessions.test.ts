import { describe, expect, test } from "@jest/globals";
import { Refusal } from "../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType, RefuseReason } from "../src/records.ts";
import { againstHost, call, path, statusOf } from "./support/hostile.ts";
import { batch, hello } from "./support/raw-peer.ts";

const ping = path("Ping");

describe("a host and the sessions of a client", () => {
  test.each([
    [{ minVersion: 2, maxVersion: 3 }, RefuseReason.VERSION],
    [{ minVersion: 0, maxVersion: 0 }, RefuseReason.VERSION],
    [{ minVersion: 0xffffffff, maxVersion: 0xffffffff }, RefuseReason.VERSION],
    [{ minVersion: 2, maxVersion: 0 }, RefuseReason.VERSION],
    [{ encoding: "json" }, RefuseReason.MISMATCH],
    [{ encoding: "__proto__" }, RefuseReason.MISMATCH],
    [{ elements: ["gzip"] }, RefuseReason.MISMATCH],
    [{ elements: Array.from({ length: 50_000 }, () => "x") }, RefuseReason.MISMATCH],
  ])("refuses a HELLO %#", async (changes, expected) => {
    await againstHost(async (peer) => {
      peer.send(batch(0, hello(changes)));
      const { aux, meta } = await peer.record(RecordType.REFUSE);
      const { maxVersion, message } = Refusal.decode(meta);
      expect([aux, maxVersion]).toEqual([expected, 1]);
      expect(message.length).toBeLessThan(500);
    });
  });

  test.each([0, 1, 0xffffffff])("serves a client whose limits are all %d", async (limit) => {
    await againstHost(async (peer) => {
      const limits = {
        maxMessageBytes: limit,
        maxMetadataBytes: limit,
        maxFragmentBytes: limit,
        streamWindowMessages: limit,
        streamWindowBytes: limit,
        sessionWindowBytes: limit,
      };
      const tag = await peer.greet({ limits });
      peer.send(batch(tag, call(1, ping), call(3, path("Count"), { body: Uint8Array.of(8, 3) })));
      await statusOf(peer, 1);
      const first = await peer.until(() => peer.received.find(({ callId }) => callId === 3));
      expect([RecordType.DATA, RecordType.END]).toContain(first.type);
      peer.send(batch(tag, { type: RecordType.CANCEL, callId: 3 }));
    });
  });

  test("asks whoever speaks of an unknown session to greet again", async () => {
    await againstHost(async (peer) => {
      peer.send(batch(0x1234, call(1, ping)));
      const { aux, tag } = await peer.record(RecordType.REFUSE);
      expect([aux, tag]).toEqual([RefuseReason.UNKNOWN_SESSION, 0x1234]);
    });
  });

  test("drops batches of an older session on the same connection, and keeps the newer", async () => {
    await againstHost(async (peer, pair) => {
      const old = await peer.greet();
      peer.send(batch(0, hello()));
      const { tag } = await peer.record(RecordType.WELCOME, (record) => record.tag !== old);
      peer.send(batch(old, call(1, ping)));
      expect((await peer.record(RecordType.REFUSE)).tag).toBe(old);
      peer.send(batch(tag, call(3, ping)));
      expect((await peer.record(RecordType.END, ({ callId }) => callId === 3)).tag).toBe(tag);
      expect(pair.host.counters["stale batch"]).toBe(1);
    });
  });

  test("ends the calls of a session when its client says HELLO again", async () => {
    await againstHost(async (peer, pair) => {
      const tag = await peer.greet();
      const started = pair.service.next("started");
      peer.send(batch(tag, call(1, path("Sum"), { flags: 0 })));
      await started;
      const aborted = pair.service.next("aborted");
      peer.send(batch(0, hello()));
      expect(await aborted).toMatchObject({ message: expect.stringContaining("HELLO again") });
      const welcomed = (): number[] =>
        peer.received.filter(({ type }) => type === RecordType.WELCOME).map((record) => record.tag);
      await peer.until(() => welcomed().length === 2);
      // Of greetings that come at once, only the last counts.
      for (let life = 0; life < 3; life++) peer.send(batch(0, hello()));
      const newest = await peer.until(() => welcomed().length === 3 && welcomed().at(-1));
      expect(new Set(welcomed()).size).toBe(3);
      // The id of the old life is free in the new one.
      peer.send(batch(newest, call(1, ping)));
      expect((await statusOf(peer, 1)).code).toBe(0);
    });
  });

  test("ends in silence a session that its client refuses", async () => {
    await againstHost(async (peer, pair) => {
      const tag = await peer.greet();
      const started = pair.service.next("started");
      peer.send(batch(tag, call(1, path("Sum"), { flags: 0 })));
      await started;
      const aborted = pair.service.next("aborted");
      const before = peer.received.length;
      const meta = Refusal.encode(Refusal.fromPartial({ message: "for a reason" })).finish();
      peer.send(batch(tag, { type: RecordType.REFUSE, aux: RefuseReason.MALFORMED, meta }));
      expect(await aborted).toMatchObject({ message: expect.stringContaining("for a reason") });
      await peer.until(() => peer.lost > 0);
      expect(peer.received.slice(before)).toEqual([]);
      expect(pair.host.counters["malformed"]).toBeUndefined();
    });
  });

  test("skips records that it does not know if their sender allows it, and batches without any", async () => {
    await againstHost(async (peer) => {
      const tag = await peer.greet();
      const unknown = { type: 99, flags: Flag.OPTIONAL, body: new Uint8Array(50) };
      peer.send(batch(tag));
      peer.send(batch(tag, unknown, { type: 255, flags: 0xff & ~Flag.ATTACHED }, call(1, ping)));
      expect((await statusOf(peer, 1)).code).toBe(0);
    });
  });

  test("answers PING with PONG and its number, and does not mind PONGs that it never asked for", async () => {
    await againstHost(async (peer) => {
      const tag = await peer.greet();
      peer.send(batch(tag, { type: RecordType.PONG, aux: 3 }, { type: RecordType.PING, aux: 0xffffffff }));
      expect((await peer.record(RecordType.PONG)).aux).toBe(0xffffffff);
    });
  });
});
