import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { anyAddress, inboxAt, numbersOf, Prices, publisherAt, range, take, until } from "./events-support.ts";

test("replay: none, last, all and a number, for each topic, in order and then live", async () => {
  const feed = publisherAt(anyAddress("tcp"), { replay: { events: 1_000 } });
  await feed.open();
  const prices = feed.publisher(Prices);
  for (const number of range(1, 1_500)) prices.priceChanged({ symbol: "A", number: BigInt(number) });
  for (const number of range(1, 3)) prices.priceChanged({ symbol: "B", number: BigInt(number) });
  await nextTurn();
  const inbox = inboxAt(feed.address);
  const subscriber = inbox.subscriber(Prices);
  const none = subscriber.priceChanged();
  const last = subscriber.priceChanged({}, { replay: "last" });
  const all = subscriber.priceChanged({ symbol: "A" }, { replay: "all" });
  const two = subscriber.priceChanged({}, { replay: { last: 2 } });
  await inbox.ready;
  prices.priceChanged({ symbol: "A", number: 1_501n });
  expect(numbersOf(await take(none, 1))).toEqual([1_501]);
  expect(numbersOf(await take(last, 3)).sort()).toEqual([1_500, 1_501, 3]);
  const entries = await take(all.entries(), 1_001);
  expect(numbersOf(entries.map(({ event }) => event))).toEqual(range(501, 1_501));
  expect(entries.map(({ info }) => info.sequence)).toEqual(range(501, 1_501));
  expect([entries[999]!.info.replayed, entries[1_000]!.info.replayed]).toEqual([true, false]);
  expect(numbersOf(await take(two, 5)).sort()).toEqual([1_499, 1_500, 1_501, 2, 3]);
  expect(inbox.gaps).toEqual([]);
  expect(all.counts).toMatchObject({ received: 1_001, replayed: 1_000 });
});

test("between what was kept and what is published nothing is missed and nothing comes twice", async () => {
  const feed = publisherAt(anyAddress("tcp"), { replay: { events: 10_000 } });
  await feed.open();
  const prices = feed.publisher(Prices);
  let number = 0;
  const timer = setInterval(() => {
    for (let count = 0; count < 20; count++) prices.priceChanged({ symbol: "A", number: BigInt(++number) });
  }, 1);
  try {
    for (let round = 0; round < 10; round++) {
      const inbox = inboxAt(feed.address);
      const all = inbox.subscriber(Prices).priceChanged({ symbol: "A" }, { replay: "all" });
      await inbox.ready;
      const second = inbox.subscriber(Prices).priceChanged({}, { replay: { last: 5 } });
      await second.ready;
      const until = number;
      expect(numbersOf(await take(all, until))).toEqual(range(1, until));
      const [first, ...others] = numbersOf(await take(second, 50));
      expect([first, ...others]).toEqual(range(first!, first! + 49));
      expect(inbox.gaps).toEqual([]);
      await inbox.close();
    }
  } finally {
    clearInterval(timer);
  }
});

test("the last value of many topics", async () => {
  const feed = publisherAt(anyAddress("tcp"), { lastValue: true });
  await feed.open();
  const prices = feed.publisher(Prices);
  for (const number of range(1, 20_000)) prices.priceChanged({ symbol: `S${number}`, number: BigInt(number) });
  for (const number of range(1, 10)) prices.priceChanged({ symbol: `S${number}`, number: BigInt(-number >>> 0) });
  await nextTurn();
  const inbox = inboxAt(feed.address);
  const changes = inbox.subscriber(Prices).priceChanged({}, { replay: "last", maxBufferedEvents: 30_000 });
  const taken = await take(changes, 20_000);
  expect(new Set(taken.map(({ symbol }) => symbol)).size).toBe(20_000);
  expect(taken.filter(({ symbol }) => symbol === "S7")).toMatchObject([{ number: BigInt(-7 >>> 0) }]);
  expect(inbox.gaps).toEqual([]);
});

test("kept events stay within their bytes", async () => {
  const feed = publisherAt(anyAddress("tcp"), { replay: { events: 1_000, bytes: 100_000 } });
  await feed.open();
  const prices = feed.publisher(Prices);
  const padding = new Uint8Array(1_000);
  for (const number of range(1, 300)) prices.priceChanged({ symbol: "A", number: BigInt(number), padding });
  const inbox = inboxAt(feed.address);
  const changes = inbox.subscriber(Prices).priceChanged({}, { replay: "all" });
  await inbox.ready;
  await until(() => changes.counts.received >= 90);
  const numbers = numbersOf(await take(changes, changes.counts.received));
  expect(numbers).toEqual(range(301 - numbers.length, 300));
  expect(numbers.length).toBeLessThan(100);
});

test("without kept events, replay begins with what comes", async () => {
  const feed = publisherAt(anyAddress("tcp"));
  await feed.open();
  const prices = feed.publisher(Prices);
  prices.priceChanged({ symbol: "A", number: 1n });
  await nextTurn();
  const inbox = inboxAt(feed.address);
  const changes = inbox.subscriber(Prices).priceChanged({}, { replay: "all" });
  await inbox.ready;
  prices.priceChanged({ symbol: "A", number: 2n });
  expect(numbersOf(await take(changes, 1))).toEqual([2]);
});
