import { describe, expect, test } from "@jest/globals";
import { CallHeader, Refusal } from "../src/gen/zerobind/v1/wire.pb.ts";
import type { MetadataEntry } from "../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType, RefuseReason, batchHeaderBytes } from "../src/records.ts";
import { EchoRequest } from "./gen/test/v1/behavior.pb.ts";
import { againstHost, call, data, fragment, leastFragment, path, refusal, statusOf, unary } from "./support/hostile.ts";
import { batch, hello } from "./support/raw-peer.ts";
import type { RawRecord } from "./support/raw-peer.ts";

const ping = path("Ping");

/** A batch with a field of its first record's header, or of its own header, set to something else. */
function lying(frame: Uint8Array, at: number, bits: 16 | 32, value: number): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset);
  if (bits === 16) view.setUint16(at, value, true);
  else view.setUint32(at, value, true);
  return frame;
}

function header(init: { path?: string; methodNumber?: number; metadata?: MetadataEntry[] }): Uint8Array {
  return CallHeader.encode(CallHeader.fromPartial({ path: ping, ...init })).finish();
}

const text = (key: string, value: string): MetadataEntry => ({ key, value: { $case: "text", value } });

/** Offences that end the session: what is sent after the greeting, and what the refusal says. */
const malformed: [string, (tag: number) => Uint8Array[], RegExp][] = [
  ["a message that is no batch", () => [Uint8Array.of(0xc5, 1, 1)], /begin with the header/],
  ["a message without a mark", (tag) => [Object.assign(batch(tag), { 0: 0 })], /begin with the header/],
  ["version 9", (tag) => [Object.assign(batch(tag), { 1: 9 })], /version 9/],
  ["version 0", (tag) => [Object.assign(batch(tag), { 1: 0 })], /version 0/],
  ["a record that is cut off", (tag) => [batch(tag, call(1, "x")).subarray(0, 20)], /cut off/],
  ["a meta that is cut off", (tag) => [batch(tag, call(1, "x")).subarray(0, 26)], /longer than its batch/],
  ["bytes behind the last record", (tag) => [new Uint8Array([...batch(tag), 0])], /behind the last record/],
  ["fewer records than it says", (tag) => [lying(batch(tag, { type: 9 }), 2, 16, 2)], /cut off/],
  ["65,535 records of which there is one", (tag) => [lying(batch(tag, { type: 9 }), 2, 16, 65_535)], /cut off/],
  ["more records than it says", (tag) => [lying(batch(tag, { type: 9 }, { type: 9 }), 2, 16, 1)], /behind the last/],
  [
    "a record of 4 GiB",
    (tag) => [lying(batch(tag, call(1, ping)), batchHeaderBytes, 32, 0xffffffff)],
    /longer than its batch/,
  ],
  [
    "a meta longer than its record",
    (tag) => [lying(batch(tag, call(1, ping)), batchHeaderBytes + 6, 16, 500)],
    /meta of a record is longer/,
  ],
  [
    "a meta shorter than it is",
    (tag) => [lying(batch(tag, call(1, ping)), batchHeaderBytes + 6, 16, 5)],
    /meta of a record/,
  ],
  [
    "an attachment that is missing",
    (tag) => [batch(tag, call(1, ping, { flags: unary | Flag.ATTACHED }))],
    /attachment is missing/,
  ],
  [
    "an attachment that nothing names",
    (tag) => [batch(tag, { type: RecordType.PING }), new Uint8Array(9)],
    /names the last/,
  ],
  ["a record of an unknown type", (tag) => [batch(tag, { type: 99 })], /type 99/],
  ["a record of type 0", (tag) => [batch(tag, { type: 0 })], /type 0/],
  ["an even call id", (tag) => [batch(tag, call(2, ping))], /odd ids/],
  ["the call id 0", (tag) => [batch(tag, call(0, ping))], /odd ids/],
  [
    "a CALL under the tag of no session",
    () => [batch(0, call(1, ping, { meta: header({}) }))],
    /first record must be HELLO/,
  ],
  ["number 77 before its name", (tag) => [batch(tag, call(1, "", { meta: Uint8Array.of(8, 77) }))], /77 was not/],
  ["number 0 and no name", (tag) => [batch(tag, call(1, "", { meta: Uint8Array.of(8, 0) }))], /0 was not/],
  ["number 2^32-1", (tag) => [batch(tag, call(1, "", { meta: header({ methodNumber: 0xffffffff }) }))], /4294967295/],
  ["number 4,097", (tag) => [batch(tag, call(1, "", { meta: header({ methodNumber: 4097 }) }))], /4097 is above/],
  ["meta that is no message", (tag) => [batch(tag, call(1, "", { meta: Uint8Array.of(255, 255, 255) }))], /decoded/],
  [
    "a varint of 2 GiB inside the meta",
    (tag) => [batch(tag, call(1, "", { meta: Uint8Array.of(0x12, 255, 255, 255, 255, 7) }))],
    /meta of a record/,
  ],
  [
    "a varint without an end inside the meta",
    (tag) => [batch(tag, call(1, "", { meta: new Uint8Array(40).fill(0xff) }))],
    /decoded/,
  ],
  [
    "a field that reaches into the next record",
    (tag) => [batch(tag, call(1, "", { meta: Uint8Array.of(0x12, 20) }), call(3, ping))],
    /runs over its end/,
  ],
  [
    "groups nested a hundred thousand deep",
    (tag) => [batch(tag, call(1, "", { meta: new Uint8Array(100_000).fill(0x0b) }))],
    /decoded/,
  ],
  [
    "a reserved metadata key",
    (tag) => [batch(tag, call(1, "", { meta: header({ metadata: [text("zb-x", "")] }) }))],
    /zb-/,
  ],
  [
    "a metadata key with a space",
    (tag) => [batch(tag, call(1, "", { meta: header({ metadata: [text("a b", "")] }) }))],
    /characters/,
  ],
  [
    "an empty metadata key",
    (tag) => [batch(tag, call(1, "", { meta: header({ metadata: [text("", "")] }) }))],
    /characters/,
  ],
  [
    "a control character in metadata",
    (tag) => [batch(tag, call(1, "", { meta: header({ metadata: [text("a", "\n")] }) }))],
    /control/,
  ],
  [
    "text under a key for bytes",
    (tag) => [batch(tag, call(1, "", { meta: header({ metadata: [text("a-bin", "x")] }) }))],
    /Uint8Array/,
  ],
  [
    "bytes under a key for text",
    (tag) => {
      const entry: MetadataEntry = { key: "a", value: { $case: "binary", value: new Uint8Array(3) } };
      return [batch(tag, call(1, "", { meta: header({ metadata: [entry] }) }))];
    },
    /must be a string/,
  ],
  ["an empty fragment", (tag) => [batch(tag, call(1, path("Echo"), { flags: fragment }))], /less than 4096 bytes/],
  [
    "a fragment of 4,095 bytes",
    (tag) => [batch(tag, call(1, path("Echo"), { flags: fragment, body: leastFragment.subarray(1) }))],
    /less than 4096 bytes/,
  ],
  ["HELLO twice in a batch", () => [batch(0, hello(), hello())], /only record of its batch/],
  ["HELLO and more", () => [batch(0, hello(), { type: RecordType.PING })], /only record of its batch/],
  ["HELLO behind something else", () => [batch(0, { type: RecordType.PING }, hello())], /only record of its batch/],
  [
    "credit without a count",
    (tag) => [batch(tag, call(1, path("Sum"), { flags: 0 }), { type: RecordType.CREDIT, callId: 1, aux: 1 })],
    /CREDIT/,
  ],
  [
    "the id of an open call",
    (tag) => [batch(tag, call(1, path("Sum"), { flags: 0 }), call(1, path("Sum"), { flags: 0 }))],
    /used again/,
  ],
  ...(["WELCOME", "END", "GOAWAY", "REFUSE", "READY", "ACK"] as const).map(
    (name): [string, (tag: number) => Uint8Array[], RegExp] => [
      `${name}, which only servers say`,
      (tag) => [batch(tag, { type: RecordType[name], callId: 1 })],
      new RegExp(`client does not send records of type ${RecordType[name]}`),
    ],
  ),
];

describe("a host that gets what is malformed", () => {
  test.each(malformed)("refuses %s, says why, and goes on", async (_name, offence, why) => {
    await againstHost(async (peer, pair) => {
      const tag = await peer.greet();
      peer.send(...offence(tag));
      const { reason, message } = await refusal(peer);
      expect([reason, message]).toEqual([RefuseReason.MALFORMED, expect.stringMatching(why)]);
      expect(message.length).toBeLessThan(500);
      expect(pair.host.counters["malformed"]).toBe(1);
      await peer.until(() => peer.lost > 0);
    });
  });

  test("ends the calls of the session that it refuses, and frees their handlers", async () => {
    await againstHost(async (peer, pair) => {
      const tag = await peer.greet();
      const started = pair.service.next("started");
      const body = EchoRequest.encode(EchoRequest.fromPartial({ delayMs: 60_000 })).finish();
      peer.send(batch(tag, call(1, path("Echo"), { body })));
      await started;
      const aborted = pair.service.next("aborted");
      peer.send(batch(tag, { type: 99 }));
      expect(await aborted).toMatchObject({ message: expect.stringContaining("malformed") });
    });
  });

  test.each<[string, RawRecord]>([
    ["CALL", call(1, ping)],
    ["DATA", data(1)],
    ["CANCEL", { type: RecordType.CANCEL, callId: 1 }],
    ["CREDIT of a call", { type: RecordType.CREDIT, callId: 1 }],
  ])("refuses %s before HELLO", async (_name, record) => {
    await againstHost(async (peer) => {
      peer.send(batch(0, record));
      const { reason, message } = await refusal(peer);
      expect([reason, message]).toEqual([RefuseReason.MALFORMED, expect.stringContaining("HELLO")]);
    });
  });

  test("refuses a greeting that cannot be decoded", async () => {
    await againstHost(async (peer) => {
      peer.send(batch(0, { type: RecordType.HELLO, meta: Uint8Array.of(0x1a, 0xff) }));
      expect((await refusal(peer)).reason).toBe(RefuseReason.MALFORMED);
    });
  });
});

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
