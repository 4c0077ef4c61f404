import { describe, expect, test } from "@jest/globals";
import type { TransportElement } from "@zerobind/core";
import { CountingTransport } from "./counting-transport.ts";
import type { Traffic } from "./counting-transport.ts";
import { openPair } from "./pair.ts";
import type { Pair } from "./pair.ts";

/**
 * What each end may send at most. The machine has no say in it, but for how many calls one turn of the event loop
 * gets to, so messages have some room. Bytes are those of small messages, with one frame to a message.
 */
const bounds = {
  sequentialCall: { client: { messages: 1, bytes: 28 }, server: { messages: 1, bytes: 26 } },
  thousandCallsAtOnce: { client: { messages: 6, bytes: 20_040 }, server: { messages: 10, bytes: 18_100 } },
  tenThousandReplies: { client: { messages: 20, bytes: 800 }, server: { messages: 250, bytes: 194_000 } },
  tenThousandRequests: { client: { messages: 250, bytes: 184_000 }, server: { messages: 20, bytes: 800 } },
  thousandOneWays: { client: { messages: 5, bytes: 21_050 }, server: { messages: 30, bytes: 25_000 } },
};

/** How many messages, frames and bytes travel, over any transport: a change that makes them more is a step back. */
export function trafficSuite(name: string, transport: TransportElement, address: () => string): void {
  const counting = new CountingTransport(transport);
  const open = async (): Promise<Pair> => {
    const pair = await openPair({ binding: counting.binding, address });
    // The first call of a method names it; later ones have its number.
    await pair.client.ping({});
    await notifyAll(pair, 1);
    for await (const _ of pair.client.count({ count: 1 }));
    await pair.client.sum([{}]);
    return pair;
  };
  const check = async (bound: (typeof bounds)["sequentialCall"], run: () => Promise<unknown>): Promise<void> => {
    const { client, server } = await counting.during(run);
    for (const [sent, most] of [
      [client, bound.client],
      [server, bound.server],
    ] as const) {
      expect(sent.messages).toBeLessThanOrEqual(most.messages);
      expect(sent.bytes).toBeLessThanOrEqual(most.bytes);
      expect(sent.frames).toBe(sent.messages);
    }
  };

  describe(`traffic over ${name}`, () => {
    test("a call is one message each way, and few bytes", async () => {
      await using pair = await open();
      for (let call = 0; call < 100; call++)
        await check(bounds.sequentialCall, () => pair.client.ping({ sequence: call }));
    });

    test("a thousand calls of one turn, and their replies, are a few messages", async () => {
      await using pair = await open();
      const calls = Array.from({ length: 1000 }, () => () => pair.client.ping({ sequence: 1 }));
      await check(bounds.thousandCallsAtOnce, () => Promise.all(calls.map((call) => call())));
    });

    test("ten thousand small replies of a stream are a few messages", async () => {
      await using pair = await open();
      await check(bounds.tenThousandReplies, async () => {
        for await (const _ of pair.client.count({ count: 10_000 }));
      });
    });

    test("ten thousand small requests of a stream are a few messages", async () => {
      await using pair = await open();
      const items = Array.from({ length: 10_000 }, () => ({ value: 1n }));
      await check(bounds.tenThousandRequests, () => pair.client.sum(items));
    });

    test("a burst of one-way calls is a few messages", async () => {
      await using pair = await open();
      await check(bounds.thousandOneWays, () => notifyAll(pair, 1000));
    });

    test("a large body is a frame of its own, and nothing else is", async () => {
      await using pair = await open();
      const { client, server } = await counting.during(() => pair.client.echo({ data: new Uint8Array(5000) }));
      const whole: Partial<Traffic> = { messages: 1, frames: 2 };
      expect([client, server]).toMatchObject([whole, whole]);
    });
  });
}

/** Sends one-way calls in one turn; resolves when all have been carried out. */
async function notifyAll({ client, service }: Pair, count: number): Promise<void> {
  let left = count;
  const all = new Promise<void>((resolve) => {
    service.events.on("notice", () => {
      if (--left === 0) resolve();
    });
  });
  await Promise.all([all, ...Array.from({ length: count }, () => client.notify({ text: "x" }))]);
  service.events.removeAllListeners("notice");
}
