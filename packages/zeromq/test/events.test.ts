import { expect, test } from "@jest/globals";
import { startsWith } from "@zerobind/core";
import { Imaging } from "../../core/test/gen/test/v1/patterns.rpc.ts";
import { anyAddress, inboxAt, kinds, numbersOf, Prices, publisherAt, range, take, until } from "./events-support.ts";

test.each(kinds)("events arrive in order, with what is known of them (%s)", async (kind) => {
  const feed = publisherAt(anyAddress(kind));
  await feed.open();
  const inbox = inboxAt(feed.address);
  const changes = inbox.subscriber(Prices).priceChanged();
  await inbox.ready;
  const prices = feed.publisher(Prices);
  for (const number of range(1, 1_000))
    prices.priceChanged({ symbol: number % 2 ? "ODD" : "EVEN", number: BigInt(number) });
  const entries = await take(changes.entries(), 1_000);
  const odd = entries.filter(({ event }) => event.symbol === "ODD");
  expect(numbersOf(odd.map(({ event }) => event))).toEqual(range(1, 1_000).filter((number) => number % 2 === 1));
  expect(odd.map(({ info }) => info.sequence)).toEqual(range(1, 500));
  expect(odd[0]!.info).toEqual({
    topic: "price.ODD",
    method: "test.v1.Prices/PriceChanged",
    sequence: 1,
    epoch: feed.epoch,
    address: feed.address,
    replayed: false,
  });
  expect(inbox.gaps).toEqual([]);
  expect(feed.counters).toEqual({ published: 1_000 });
});

test.each(kinds)("nothing that is published after ready is missed (%s)", async (kind) => {
  const feed = publisherAt(anyAddress(kind));
  await feed.open();
  const prices = feed.publisher(Prices);
  const inbox = inboxAt(feed.address);
  const rounds = kind === "tcp" ? 1_000 : 100;
  for (const number of range(1, rounds)) {
    const symbol = `S${number}`;
    const changes = inbox.subscriber(Prices).priceChanged({ symbol });
    await inbox.ready;
    prices.priceChanged({ symbol, number: BigInt(number) });
    const [event] = await take(changes, 1);
    expect(event!.number).toBe(BigInt(number));
    await changes.close();
  }
  expect(inbox.gaps).toEqual([]);
});

test("a new subscriber misses nothing either", async () => {
  const feed = publisherAt(anyAddress("tcp"));
  await feed.open();
  const prices = feed.publisher(Prices);
  for (const number of range(1, 50)) {
    const inbox = inboxAt(feed.address);
    const changes = inbox.subscriber(Prices).priceChanged();
    await changes.ready;
    prices.priceChanged({ symbol: "ACME", number: BigInt(number) });
    expect(numbersOf(await take(changes, 1))).toEqual([number]);
    expect(inbox.gaps).toEqual([]);
    await inbox.close();
  }
});

test.each(kinds)("both may start first, and either may bind (%s)", async (kind) => {
  for (const subscriberBinds of [false, true]) {
    for (const publisherFirst of [false, true]) {
      // The one that binds a wildcard has to be first to have an address.
      const address = anyAddress(kind).replace(
        /\*$/,
        kind === "tcp" ? String(20_000 + Math.floor(Math.random() * 10_000)) : "",
      );
      const real = kind === "ipc" ? `ipc:///tmp/zb-${process.pid}-${Math.random().toString(36).slice(2)}` : address;
      const make = {
        feed: () => publisherAt(real, { attach: subscriberBinds ? "connect" : "bind" }),
        inbox: () => inboxAt(real, { attach: subscriberBinds ? "bind" : "connect" }),
      };
      const first = publisherFirst ? make.feed() : make.inbox();
      await first.open();
      await new Promise((resolve) => setTimeout(resolve, 30));
      const feed = publisherFirst ? (first as ReturnType<typeof make.feed>) : make.feed();
      const inbox = publisherFirst ? make.inbox() : (first as ReturnType<typeof make.inbox>);
      const changes = inbox.subscriber(Prices).priceChanged();
      await feed.open();
      await Promise.all([inbox.waitForReady(5_000), feed.waitForSubscribers({ timeoutMs: 5_000 })]);
      feed.publisher(Prices).priceChanged({ symbol: "ACME", number: 7n });
      expect(numbersOf(await take(changes, 1))).toEqual([7]);
      await Promise.all([feed.close(), inbox.close()]);
    }
  }
});

test("filters: exact, prefix, and by fields further right", async () => {
  const feed = publisherAt(anyAddress("inproc"));
  const inbox = inboxAt(feed.address);
  const [prices, subscriber] = [feed.publisher(Prices), inbox.subscriber(Prices)];
  const subscriptions = {
    a: subscriber.priceChanged({ symbol: "A" }),
    ac: subscriber.priceChanged({ symbol: startsWith("AC") }),
    all: subscriber.priceChanged(),
    floor: subscriber.traded({ venue: 1 }),
    acmeFloor: subscriber.traded({ symbol: "ACME", venue: 1 }),
    acme: subscriber.traded({ symbol: "ACME" }),
    measured: subscriber.measured({ sensorId: 7, height: 1.5, serial: 18_446_744_073_709_551_615n, alarm: true }),
    serial: subscriber.measured({ serial: 5n }),
    closed: subscriber.marketClosed(),
  };
  await Promise.all([inbox.ready, feed.ready]);
  for (const symbol of ["A", "AC", "ACME", "B", "käse", "A.B C"]) prices.priceChanged({ symbol });
  prices.traded({ symbol: "ACME", venue: 1, shares: 1 });
  prices.traded({ symbol: "ACME", venue: 2, shares: 2 });
  prices.traded({ symbol: "ACME.1", venue: 1, shares: 3 });
  prices.traded({ symbol: "OTHER", venue: 1, shares: 4 });
  prices.measured({ sensorId: 7, height: 1.5, serial: 18_446_744_073_709_551_615n, alarm: true, value: 1 });
  prices.measured({ sensorId: 7, height: 1.5, serial: 5n, alarm: true, value: 2 });
  prices.marketClosed({ reason: "night" });
  expect(await take(subscriptions.closed, 1)).toEqual([{ reason: "night" }]);
  const symbols = async (name: "a" | "ac" | "all", count: number): Promise<string[]> =>
    (await take(subscriptions[name], count)).map(({ symbol }) => symbol);
  expect(await symbols("a", 1)).toEqual(["A"]);
  expect(await symbols("ac", 2)).toEqual(["AC", "ACME"]);
  expect(await symbols("all", 6)).toEqual(["A", "AC", "ACME", "B", "käse", "A.B C"]);
  const shares = async (name: "floor" | "acmeFloor" | "acme", count: number): Promise<number[]> =>
    (await take(subscriptions[name], count)).map((trade) => trade.shares);
  expect(await shares("floor", 3)).toEqual([1, 3, 4]);
  expect(await shares("acmeFloor", 1)).toEqual([1]);
  expect(await shares("acme", 2)).toEqual([1, 2]);
  expect(await take(subscriptions.measured, 1)).toMatchObject([{ value: 1 }]);
  expect(await take(subscriptions.serial, 1)).toMatchObject([{ value: 2 }]);
  for (const { counts } of Object.values(subscriptions)) expect(counts.received).toBeGreaterThan(0);
  const received = Object.values(subscriptions).map(({ counts }) => counts.received);
  expect(received).toEqual([1, 2, 6, 3, 1, 2, 1, 1, 1]);
  expect(inbox.gaps).toEqual([]);
});

test("values that cannot stand in a topic are refused where they are given", () => {
  const feed = publisherAt("inproc://never");
  const prices = feed.publisher(Prices);
  expect(() => prices.priceChanged({})).toThrow(/the field "symbol" of test.v1.Prices\/PriceChanged is empty/);
  expect(() => prices.priceChanged({ symbol: "a\nb" })).toThrow(/has a control character/);
  expect(() => prices.priceChanged(undefined as never)).toThrow(TypeError);
  expect(() => prices.priceChanged({ symbol: "A", number: "x" as never })).toThrow(TypeError);
  expect(() => prices.priceChanged({ symbol: "A".repeat(20_000) })).toThrow(/16384/);
  const subscriber = inboxAt("inproc://never").subscriber(Prices);
  expect(() => subscriber.priceChanged({ symbol: "" })).toThrow(/"symbol".*is empty/);
  expect(() => subscriber.priceChanged({ price: 3 } as never)).toThrow(/nothing can be filtered by "price"/);
  expect(() => subscriber.priceChanged({ symbol: startsWith("\0") })).toThrow(/control character/);
  expect(() => subscriber.priceChanged({}, { replays: "all" } as never)).toThrow(/no subscribe option "replays"/);
  expect(() => inboxAt("inproc://x").subscriber(Imaging)).toThrow(
    "test.v1.Imaging has no events: mark them with option",
  );
  // ZeroMQ and the messages have no room for more.
  for (const most of [Infinity, 2 ** 32]) {
    expect(() => publisherAt("inproc://x", { maxQueuedMessages: most })).toThrow("from 1 to 2147483647");
    expect(() => inboxAt("inproc://x", { maxMessageBytes: most })).toThrow("from 1 to 4294967295");
  }
  expect(() => inboxAt("inproc://x", { replay: "all" } as never)).toThrow(/no subscriber option/);
  expect(() => publisherAt("inproc://x", { replay: { count: 1 } } as never)).toThrow(/no replay option/);
  expect(() => publisherAt("tcp://0.0.0.0:1")).toThrow(/insecure/);
});

test("an event may be changed as soon as it is published", async () => {
  const feed = publisherAt(anyAddress("inproc"));
  await feed.open();
  const inbox = inboxAt(feed.address);
  const changes = inbox.subscriber(Prices).priceChanged();
  await inbox.ready;
  const event = { symbol: "ACME", price: 1, padding: new Uint8Array(500).fill(1) };
  feed.publisher(Prices).priceChanged(event);
  event.price = 2;
  event.padding.fill(2);
  const [received] = await take(changes, 1);
  expect([received!.price, received!.padding[499]]).toEqual([1, 1]);
});

test("more than a thousand topics, and equal filters that share one subscription", async () => {
  const feed = publisherAt(anyAddress("tcp"));
  await feed.open();
  const inbox = inboxAt(feed.address);
  const subscriber = inbox.subscriber(Prices);
  const all = range(1, 5_000).map((number) => subscriber.priceChanged({ symbol: `S${number}` }));
  const twice = subscriber.priceChanged({ symbol: "S5000" });
  await inbox.ready;
  expect(feed.subscriptions).toBe(5_000);
  const prices = feed.publisher(Prices);
  for (const number of range(1, 5_000)) prices.priceChanged({ symbol: `S${number}`, number: BigInt(number) });
  for (const [index, changes] of all.entries()) expect(numbersOf(await take(changes, 1))).toEqual([index + 1]);
  expect(numbersOf(await take(twice, 1))).toEqual([5_000]);
  await twice.close();
  await inbox.ready;
  prices.priceChanged({ symbol: "S5000", number: 1n });
  expect(numbersOf(await take(all.at(-1)!, 1))).toEqual([1]);
  await all.at(-1)!.close();
  await until(() => feed.subscriptions === 4_999);
});

test("one subscriber, many publishers", async () => {
  const feeds = await Promise.all(
    range(1, 3).map(async () => {
      const feed = publisherAt(anyAddress("tcp"));
      await feed.open();
      return feed;
    }),
  );
  const inbox = inboxAt(feeds.map(({ address }) => address));
  const changes = inbox.subscriber(Prices).priceChanged();
  await inbox.ready;
  for (const [index, feed] of feeds.entries())
    feed.publisher(Prices).priceChanged({ symbol: "ACME", number: BigInt(index) });
  const entries = await take(changes.entries(), 3);
  expect(new Set(entries.map(({ info }) => info.epoch))).toEqual(new Set(feeds.map(({ epoch }) => epoch)));
  expect(inbox.gaps).toEqual([]);
});

test("many publishers that connect to one subscriber", async () => {
  const inbox = inboxAt(anyAddress("tcp"), { attach: "bind", minPublishers: 3 });
  await inbox.open();
  const changes = inbox.subscriber(Prices).priceChanged();
  const feeds = range(1, 3).map(() => publisherAt(inbox.address, { attach: "connect" }));
  await Promise.all([inbox.ready, ...feeds.map((feed) => feed.ready)]);
  for (const feed of feeds) feed.publisher(Prices).priceChanged({ symbol: "ACME" });
  expect(await take(changes, 3)).toHaveLength(3);
});
