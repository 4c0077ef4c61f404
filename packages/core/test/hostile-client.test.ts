import { describe, expect, test } from "@jest/globals";
import { CallHeader } from "../src/gen/zerobind/v1/wire.pb.ts";
import type { MetadataEntry } from "../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType, RefuseReason, batchHeaderBytes } from "../src/records.ts";
import { EchoRequest } from "./gen/test/v1/behavior.pb.ts";
import { againstHost, call, data, fragment, leastFragment, path, refusal, unary } from "./support/hostile.ts";
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
