import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { binding, memory } from "@zerobind/core";
import type { Limits } from "@zerobind/core";
import { RecordType } from "../src/records.ts";
import type { BehaviorClient } from "./gen/test/v1/behavior.rpc.ts";
import { call, data, fragment, path } from "./support/hostile.ts";
import { collect, openPair } from "./support/pair.ts";
import { batch, welcome } from "./support/raw-peer.ts";
import type { RawRecord } from "./support/raw-peer.ts";
import { Referee } from "./support/referee.ts";

/** One exchange: what is sent, and how its reader behaves. */
interface Exchange {
  readonly kind: "relay" | "count" | "sum" | "echo";
  /** Bytes of each message. */
  readonly sizes: readonly number[];
  /** Turns of the event loop that the reader lets pass before it takes a message; repeated. */
  readonly pace: readonly number[];
  /** The reader leaves after so many. */
  readonly leaveAfter: number | undefined;
}

const size = fc.oneof(
  { weight: 6, arbitrary: fc.nat(300) },
  { weight: 2, arbitrary: fc.integer({ min: 4000, max: 4200 }) },
  { weight: 1, arbitrary: fc.integer({ min: 5000, max: 120_000 }) },
);

const exchange: fc.Arbitrary<Exchange> = fc.record({
  kind: fc.constantFrom("relay", "count", "sum", "echo"),
  sizes: fc.array(size, { maxLength: 40, size: "max" }),
  pace: fc.array(fc.nat(3), { minLength: 1, maxLength: 5 }),
  leaveAfter: fc.option(fc.nat(20), { nil: undefined, freq: 4 }),
});

const limits: fc.Arbitrary<Partial<Limits>> = fc.record({
  streamWindowMessages: fc.integer({ min: 1, max: 30 }),
  // Some streams, and some fragments, may use up the session's credit at once.
  streamWindowBytes: fc.oneof(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 100_000, max: 500_000 })),
  sessionWindowBytes: fc.integer({ min: 64 * 1024, max: 150_000 }),
  maxFragmentBytes: fc.oneof(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 64 * 1024, max: 150_000 })),
  maxConcurrentCalls: fc.integer({ min: 1, max: 6 }),
});

const filled = (bytes: number, index: number): Uint8Array => new Uint8Array(bytes).fill(index);

async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left--) await new Promise(setImmediate);
}

/** Reads a stream at a pace, until it ends or the reader leaves. */
async function read<T>(stream: AsyncIterable<T>, { pace, leaveAfter }: Exchange): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) {
    items.push(item);
    if (items.length === leaveAfter) break;
    await turns(pace[items.length % pace.length]!);
  }
  return items;
}

async function carryOut(client: BehaviorClient, given: Exchange): Promise<void> {
  const { kind, sizes, leaveAfter } = given;
  const options = { timeoutMs: 20_000 };
  const kept = leaveAfter === undefined || leaveAfter === 0 ? sizes.length : Math.min(leaveAfter, sizes.length);
  if (kind === "relay") {
    const lines = sizes.map((bytes, number) => ({ number, data: filled(bytes, number) }));
    const got = await read(client.relay(lines, options), given);
    expect(got.map(({ number, data }) => [number, data.length, data.at(-1)])).toEqual(
      lines.slice(0, kept).map(({ number, data }) => [number, data.length, data.at(-1)]),
    );
  } else if (kind === "count") {
    const got = await read(client.count({ count: sizes.length }, options), given);
    expect(got.map(({ value }) => Number(value))).toEqual(sizes.slice(0, kept).map((_, index) => index));
  } else if (kind === "sum") {
    const items = sizes.map((bytes) => ({ value: BigInt(bytes) }));
    const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
    expect(await client.sum(items, options)).toEqual({ total: BigInt(total), count: sizes.length });
  } else {
    const bytes = sizes.reduce((sum, each) => sum + each, 0);
    const { data } = await client.echo({ data: filled(bytes, 7) }, options);
    expect([data.length, data.every((byte) => byte === 7)]).toEqual([bytes, true]);
  }
}

describe("the flow of messages", () => {
  test("is watched by a referee who sees what is wrong", () => {
    const referee = new Referee();
    referee.incoming([batch(7, welcome({ limits: { streamWindowMessages: 1 }, maxConcurrentCalls: 2 }))]);
    const open = call(1, path("Sum"), { flags: 0 });
    referee.outgoing([batch(7, open, data(1), { type: RecordType.CANCEL, callId: 1, aux: 1 })]);
    expect(referee.faults).toEqual([]);
    const wrong: RawRecord[] = [data(1), call(2, path("Sum")), call(3, path("Sum"), { flags: 0 }), data(3), data(3)];
    referee.outgoing([batch(7, ...wrong, call(3, path("Sum")))]);
    const expected = [/after its end/, /without|credit/, /even id/, /credit for 0/, /id of an open call/];
    for (const fault of expected) expect(referee.faults).toContainEqual(expect.stringMatching(fault));
  });

  test("is watched by a referee who counts the session's bytes and the fragments", () => {
    const referee = new Referee();
    const from = (records: readonly RawRecord[]): string[] => {
      referee.faults.length = 0;
      referee.outgoing([batch(7, ...records)]);
      return [...referee.faults];
    };
    referee.incoming([batch(7, welcome({ limits: { sessionWindowBytes: 64 * 1024, maxMessageBytes: 1 << 20 } }))]);
    const part = new Uint8Array(7000);
    const opening = (count: number) =>
      Array.from({ length: count }, (_, index) => call(2 * index + 1, path("Sum"), { flags: 0 }));
    const parts = (count: number) => Array.from({ length: count }, (_, index) => data(2 * index + 1, fragment, part));
    expect(from([...opening(9), ...parts(8)])).toEqual([]);
    expect(from([data(1, fragment, new Uint8Array(4095))])).toEqual([expect.stringMatching(/fragment of 4095 bytes/)]);
    expect(from([data(17, fragment, part)])).toEqual([expect.stringMatching(/one of 9 messages/)]);
    expect(from([{ type: RecordType.PING }])).toEqual([]);
    expect(from([data(1, fragment, part)])).toContainEqual(expect.stringMatching(/sent with -\d+ bytes of credit/));
    referee.incoming([batch(7, { type: RecordType.CREDIT, aux: 0xffffffff })]);
    expect(from([{ type: RecordType.CANCEL, callId: 17 }, data(1, fragment, part)])).toEqual([]);
    expect(from([{ type: RecordType.CREDIT, aux: 1000 }])).toEqual([
      expect.stringMatching(/grants 1000 bytes of \d+ that/),
    ]);
  });

  test("a number stands for one method, also while the call that introduces it waits for its turn", async () => {
    await using pair = await openPair(
      { binding: binding(memory()), address: () => "memory://*" },
      { host: { limits: { maxFragmentBytes: 4096, sessionWindowBytes: 64 * 1024 } } },
    );
    await pair.client.ping({});
    const large = pair.client.echo({ data: filled(500_000, 1) });
    const first = collect(pair.client.count({ count: 2 }));
    expect((await large).data).toHaveLength(500_000);
    expect(await first).toHaveLength(2);
    expect(await collect(pair.client.count({ count: 3 }))).toHaveLength(3);
    expect((await pair.client.echo({ text: "x" })).text).toBe("x");
  });

  test("keeps to the credit that either end grants, whatever the windows, and brings everything once and in order", async () => {
    const seen = new Map<number, number>();
    let [exhausted, mostPartial] = [0, 0];
    await fc.assert(
      fc.asyncProperty(
        limits,
        limits,
        fc.array(exchange, { minLength: 1, maxLength: 6, size: "max" }),
        async (here, there, exchanges) => {
          const referees: Referee[] = [];
          const under = { binding: binding(Referee.over(memory(), referees)), address: () => "memory://*" };
          await using pair = await openPair(under, { channel: { limits: here }, host: { limits: there } });
          await Promise.all(exchanges.map((each) => carryOut(pair.client, each)));
          expect(referees.flatMap(({ faults }) => faults)).toEqual([]);
          expect(pair.failures).toEqual([]);
          expect(referees).toHaveLength(2);
          for (const referee of referees) {
            exhausted += referee.exhausted;
            mostPartial = Math.max(mostPartial, referee.mostPartial);
            for (const [type, count] of referee.seen) seen.set(type, (seen.get(type) ?? 0) + count);
          }
        },
      ),
      { numRuns: 250 },
    );
    for (const type of [RecordType.CALL, RecordType.DATA, RecordType.CREDIT, RecordType.CANCEL, RecordType.END])
      expect(seen.get(type) ?? 0).toBeGreaterThan(0);
    // Else nothing would have had to wait.
    expect(exhausted).toBeGreaterThan(20);
    expect(mostPartial).toBeGreaterThan(1);
  }, 60_000);
});
