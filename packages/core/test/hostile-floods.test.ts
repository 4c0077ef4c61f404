import { describe, expect, test } from "@jest/globals";
import { Status } from "@zerobind/core";
import type { StatusCode } from "@zerobind/core";
import { CallHeader } from "../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType, RefuseReason } from "../src/records.ts";
import { growthOf } from "./support/heap.ts";
import { againstHost, call, data, fragment, leastFragment, path, refusal, statusOf } from "./support/hostile.ts";
import { RawPeer, batch, batchOf, hello } from "./support/raw-peer.ts";
import type { RawRecord } from "./support/raw-peer.ts";

const mebibyte = 1024 * 1024;
const most = 65_535;

const many = (make: (index: number) => RawRecord): RawRecord[] =>
  Array.from({ length: most }, (_, index) => make(index));

/** Waits until the host has read all that was sent before. */
async function heard(peer: RawPeer, tag: number, aux: number): Promise<void> {
  peer.send(batch(tag, { type: RecordType.PING, aux }));
  await peer.record(RecordType.PONG, (record) => record.aux === aux);
}

describe("a host that is flooded", () => {
  test("ends calls over a limit RESOURCE_EXHAUSTED: metadata, message, stream window, calls at once", async () => {
    const limits = { maxMetadataBytes: 100, maxMessageBytes: 1000, streamWindowMessages: 4, maxConcurrentCalls: 3 };
    await againstHost(
      async (peer) => {
        const tag = await peer.greet();
        const metadata = Array.from({ length: 50 }, () => ({
          key: "k",
          value: { $case: "text" as const, value: "value" },
        }));
        const heavy = CallHeader.encode(CallHeader.fromPartial({ path: path("Ping"), metadata })).finish();
        const item = data(5);
        const open = [7, 9, 11, 13].map((id) => call(id, path("Sum"), { flags: 0 }));
        const { INTERNAL, RESOURCE_EXHAUSTED } = Status;
        const offences: [number, RawRecord[], string, StatusCode][] = [
          [1, [call(1, "", { meta: heavy })], "maxMetadataBytes", RESOURCE_EXHAUSTED],
          [3, [call(3, path("Ping"), { body: new Uint8Array(1001) })], "maxMessageBytes", RESOURCE_EXHAUSTED],
          [5, [call(5, path("Relay"), { flags: 0 }), ...Array.from({ length: 50 }, () => item)], "granted", INTERNAL],
          [13, open, "maxConcurrentCalls", RESOURCE_EXHAUSTED],
        ];
        for (const [id, records, why, code] of offences) {
          peer.send(batch(tag, ...records));
          const expected = { code, message: expect.stringContaining(why) };
          expect(await statusOf(peer, id)).toEqual(expected);
        }
      },
      { limits },
    );
  });

  test("ends a message whose fragments never stop", async () => {
    await againstHost(
      async (peer) => {
        const tag = await peer.greet();
        const part = data(1, fragment, leastFragment);
        peer.send(batch(tag, call(1, path("Echo"), { flags: part.flags!, body: part.body! }), part, part, part));
        expect(await statusOf(peer, 1)).toMatchObject({ code: Status.RESOURCE_EXHAUSTED });
      },
      { limits: { maxMessageBytes: 10_000 } },
    );
  });

  test("keeps of fragments what it counts, not the frames that they came in", async () => {
    await againstHost(async (peer) => {
      const tag = await peer.greet();
      peer.send(batch(tag, call(1, path("Echo"), { flags: 0 })));
      const growth = await growthOf(async () => {
        for (let round = 0; round < 100; round++) {
          const padding = { type: 99, flags: Flag.OPTIONAL, body: new Uint8Array(mebibyte) };
          peer.send(batch(tag, padding, data(1, fragment, leastFragment)));
          await heard(peer, tag, round);
        }
      });
      // 400 KiB of fragments have come, in 100 MiB.
      expect(growth).toBeLessThan(4 * mebibyte);
    });
  });

  test("keeps a message of a thousand fragments in as much memory as it has bytes", async () => {
    await againstHost(async (peer) => {
      const tag = await peer.greet();
      peer.send(batch(tag, call(1, path("Echo"), { flags: 0 })));
      const parts = Array.from({ length: 100 }, () => data(1, fragment, leastFragment));
      const growth = await growthOf(async () => {
        for (let round = 0; round < 10; round++) peer.send(batchOf(tag, parts));
        await heard(peer, tag, 1);
      });
      expect(growth).toBeGreaterThan(3 * mebibyte);
      expect(growth).toBeLessThan(5 * mebibyte);
      peer.send(batch(tag, data(1, Flag.END | Flag.MESSAGE, Uint8Array.of(0))));
      // All of it is there: as a message, a million zeros are nothing.
      expect(await statusOf(peer, 1)).toMatchObject({
        code: Status.INTERNAL,
        message: expect.stringMatching(/decoded/),
      });
    });
  });

  test.each([
    ["empty fragments", () => many(() => data(1, fragment)), RefuseReason.MALFORMED],
    ["fragments of a byte", () => many(() => data(1, fragment, Uint8Array.of(0))), RefuseReason.MALFORMED],
    ["calls with one id", () => many(() => call(3, path("Sum"), { flags: 0 })), RefuseReason.MALFORMED],
  ])("refuses a batch of 65,535 %s", async (_name, records, reason) => {
    await againstHost(async (peer) => {
      const tag = await peer.greet();
      peer.send(batchOf(tag, [call(1, path("Sum"), { flags: 0 }), ...records().slice(1)]));
      expect((await refusal(peer)).reason).toBe(reason);
    });
  });

  test.each<[string, () => RawRecord[]]>([
    ["records that it skips", () => many(() => ({ type: 99, flags: Flag.OPTIONAL }))],
    ["records of no call", () => many((index) => data(index))],
    ["pings", () => many((aux) => ({ type: RecordType.PING, aux }))],
    ["grants of credit", () => many(() => ({ type: RecordType.CREDIT, aux: 0xffffffff }))],
    ["cancels", () => many((index) => ({ type: RecordType.CANCEL, callId: index }))],
  ])("goes on after a batch of 65,535 %s, and keeps nothing of it", async (_name, records) => {
    await againstHost(async (peer) => {
      const tag = await peer.greet();
      const frame = batchOf(tag, records());
      const growth = await growthOf(async () => {
        for (let round = 0; round < 2; round++) peer.send(frame.slice());
        await heard(peer, tag, 0xffffffff);
        // What the peer got is not the host's.
        (peer.received as unknown[]).length = 0;
      });
      expect(growth).toBeLessThan(8 * mebibyte);
    });
  });

  test("answers each of 65,535 calls in one batch whose client reads, and a polite client meanwhile", async () => {
    await againstHost(async (peer, pair) => {
      const tag = await peer.greet();
      peer.grantAll(tag);
      peer.send(
        batchOf(
          tag,
          many((index) => call(2 * index + 1, path(index % 2 === 0 ? "Ping" : "Nothing"))),
        ),
      );
      await new Promise(setImmediate);
      expect(await pair.client.ping({ sequence: 3 })).toEqual({ sequence: 3 });
      const ended = (): number => peer.received.filter(({ type }) => type === RecordType.END).length;
      await peer.until(() => peer.received.length >= most && ended() === most);
      const codes = new Set(peer.received.filter(({ type }) => type === RecordType.END).map(({ aux }) => aux));
      // Calls beyond what may be open at once are refused; which of them, is the dispatcher's affair.
      for (const code of codes) expect([0, Status.UNIMPLEMENTED, Status.RESOURCE_EXHAUSTED]).toContain(code);
      expect(codes).toContain(0);
    });
  });

  test("answers a call with a hundred thousand entries of metadata, and keeps none of them", async () => {
    await againstHost(async (peer) => {
      const tag = await peer.greet();
      const entry = Uint8Array.of(0x1a, 3, 0x0a, 1, 0x61);
      const named = CallHeader.encode(CallHeader.fromPartial({ path: path("Ping") })).finish();
      const meta = Buffer.concat([named, ...Array.from({ length: 100_000 }, () => entry)]);
      const growth = await growthOf(async () => {
        peer.send(batch(tag, call(1, "", { meta })));
        expect(await statusOf(peer, 1)).toMatchObject({ code: Status.RESOURCE_EXHAUSTED });
      });
      expect(growth).toBeLessThan(4 * mebibyte);
    });
  });

  test("remembers no more than the numbers of 4,096 methods, by names that are cut", async () => {
    await againstHost(async (peer) => {
      const tag = await peer.greet();
      const growth = await growthOf(async () => {
        for (let number = 1; number <= 4096; number++) {
          const meta = CallHeader.encode(
            CallHeader.fromPartial({ path: "x".repeat(50_000), methodNumber: number }),
          ).finish();
          peer.send(batch(tag, call(2 * number + 1, "", { meta })));
        }
        await heard(peer, tag, 1);
        (peer.received as unknown[]).length = 0;
      });
      expect(growth).toBeLessThan(8 * mebibyte);
    });
  });

  test("lets a client greet ten thousand times on one connection", async () => {
    await againstHost(async (peer) => {
      await peer.greet();
      const received = peer.received as unknown[];
      const growth = await growthOf(async () => {
        for (let life = 0; life < 10_000; life++) {
          received.length = 0;
          peer.send(batch(0, hello()));
          await peer.until(() => received.length > 0);
        }
      });
      expect(growth).toBeLessThan(8 * mebibyte);
    });
  });

  test("serves others while a thousand connections say nothing, or only half of a greeting", async () => {
    await againstHost(async (_peer, pair) => {
      const silent: RawPeer[] = [];
      for (let index = 0; index < 1000; index++) silent.push(await RawPeer.open("connect", pair.host.address));
      for (const each of silent.slice(500)) each.send(batch(0, hello()).subarray(0, 12));
      expect(await pair.client.ping({ sequence: 4 })).toEqual({ sequence: 4 });
      await Promise.all(silent.map((each) => each[Symbol.asyncDispose]()));
    });
  });
});
