import { expect, test } from "@jest/globals";
import { PushStream, RpcError, Status } from "@zerobind/core";
import type { MessageInit } from "@zerobind/core";
import type { Item, Line } from "../gen/test/v1/behavior.pb.ts";
import { failureOf } from "./failure.ts";
import { collect, openPair } from "./pair.ts";
import type { TransportUnderTest } from "./pair.ts";

/** Streams of both directions. */
export function streamTests(under: TransportUnderTest): void {
  test("a server stream brings all items in order", async () => {
    await using pair = await openPair(under);
    const items = await collect(pair.client.count({ count: 5000 }));
    expect(items.map(({ value }) => value)).toEqual(Array.from({ length: 5000 }, (_, index) => BigInt(index)));
  });

  test("an empty server stream ends", async () => {
    await using pair = await openPair(under);
    expect(await collect(pair.client.count({ count: 0 }))).toEqual([]);
  });

  test("an error comes after the items that were sent before it", async () => {
    await using pair = await openPair(under);
    const seen: bigint[] = [];
    const error = await failureOf(
      (async () => {
        for await (const { value } of pair.client.count({ count: 9, failAfter: 3 })) seen.push(value);
      })(),
    );
    expect(error).toMatchObject({ code: Status.INTERNAL, message: "failed after 3" });
    expect(seen).toEqual([0n, 1n, 2n]);
  });

  test("a client stream is added up, from an array, a generator and a ReadableStream", async () => {
    await using pair = await openPair(under);
    const items = Array.from({ length: 3000 }, (_, index) => ({ value: BigInt(index) }));
    const expected = { total: (2999n * 3000n) / 2n, count: 3000 };
    async function* generate() {
      yield* items;
    }
    expect(await pair.client.sum(items)).toEqual(expected);
    expect(await pair.client.sum(generate())).toEqual(expected);
    expect(
      await pair.client.sum(
        new ReadableStream({
          start(controller) {
            for (const item of items) controller.enqueue(item);
            controller.close();
          },
        }),
      ),
    ).toEqual(expected);
    expect(await pair.client.sum([])).toEqual({ total: 0n, count: 0 });
  });

  test("a server may answer before it has all requests, and the source is closed", async () => {
    await using pair = await openPair(under);
    let closed = false;
    async function* endless() {
      try {
        yield { value: 1n };
        yield { value: -1n };
        for (;;) yield { value: 5n };
      } finally {
        closed = true;
      }
    }
    expect(await pair.client.sum(endless())).toEqual({ total: 1n, count: 1 });
    await pair.client.ping({});
    expect(closed).toBe(true);
  });

  test("a bidirectional stream answers while requests go on", async () => {
    await using pair = await openPair(under);
    const turns: string[] = [];
    let next!: () => void;
    async function* lines() {
      for (let number = 0; number < 5; number++) {
        const answered = new Promise<void>((resolve) => (next = resolve));
        turns.push(`sent ${number}`);
        yield { number, text: "line" };
        await answered;
      }
    }
    for await (const { number } of pair.client.relay(lines())) {
      turns.push(`got ${number}`);
      next();
    }
    expect(turns).toEqual([0, 1, 2, 3, 4].flatMap((number) => [`sent ${number}`, `got ${number}`]));
  });

  test("what is pushed arrives, at the pace of its reader, until it is ended or the call is over", async () => {
    await using pair = await openPair(under);
    const lines = new PushStream<MessageInit<Line>>();
    const replies = pair.client.relay(lines);
    for (const number of [1, 2]) {
      await lines.push({ number });
      expect((await replies.next()).value).toMatchObject({ number });
    }
    lines.end();
    expect(await replies.next()).toMatchObject({ done: true });
    await expect(lines.push({})).rejects.toThrow();

    const failing = new PushStream<MessageInit<Item>>();
    const outcome = failureOf(pair.client.sum(failing));
    await failing.push({ value: 1n });
    failing.fail(new RpcError(Status.ABORTED, "enough"));
    expect(await outcome).toMatchObject({ code: Status.ABORTED, message: "enough" });

    const left = new PushStream<MessageInit<Item>>();
    const early = pair.client.sum(left);
    await left.push({ value: -1n });
    await early;
    expect(left.left).toBe(true);
    await expect(left.push({ value: 1n })).rejects.toMatchObject({ code: Status.CANCELLED });
  });

  test("streams of large items arrive whole", async () => {
    await using pair = await openPair(under);
    const lines = Array.from({ length: 40 }, (_, number) => ({ number, data: new Uint8Array(200_000).fill(number) }));
    const got = await collect(pair.client.relay(lines));
    expect(got.map(({ number, data }) => [number, data.length, data[199_999]])).toEqual(
      lines.map(({ number }) => [number, 200_000, number]),
    );
  });

  test("a reader that does not read holds back its writer and nobody else", async () => {
    await using pair = await openPair(under, { channel: { limits: { streamWindowMessages: 16 } } });
    let produced = 0;
    function* lines() {
      for (;;) yield { number: produced++, text: "x" };
    }
    const stream = pair.client.relay(lines(), { timeoutMs: Infinity });
    await stream.next();
    for (let round = 0; round < 50; round++) await pair.client.ping({});
    const before = produced;
    for (let round = 0; round < 50; round++) await pair.client.ping({});
    expect(produced).toBe(before);
    expect(produced).toBeLessThan(3000);
    await stream.return();
  });

  test("a request source that throws ends the call with its error", async () => {
    await using pair = await openPair(under);
    const aborted = pair.service.next("aborted");
    async function* broken() {
      yield { value: 1n };
      throw new RpcError(Status.DATA_LOSS, "the source broke");
    }
    expect(await failureOf(pair.client.sum(broken()))).toMatchObject({
      code: Status.DATA_LOSS,
      message: "the source broke",
    });
    expect(await aborted).toMatchObject({ code: Status.CANCELLED });
  });
}
