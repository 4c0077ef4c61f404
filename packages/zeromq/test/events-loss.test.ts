import { expect, test } from "@jest/globals";
import { XPublisher, XSubscriber } from "zeromq";
import type { EventPublisher, EventPublisherOptions, EventSubscriberOptions } from "../src/index.ts";
import { anyAddress, inboxAt, numbersOf, Prices, publisherAt, range, take, until } from "./events-support.ts";
import type { Inbox } from "./events-support.ts";
import { raw } from "./support.ts";

/** Forwards between publishers and subscribers, but not what it is told to lose. */
class Forwarder {
  readonly front = raw(new XPublisher());
  readonly back = raw(new XSubscriber({ sendHighWaterMark: 0 }));
  loses: (frames: Buffer[]) => boolean = () => false;
  lost = 0;

  async open(): Promise<void> {
    await Promise.all([this.front.bind("tcp://127.0.0.1:*"), this.back.bind("tcp://127.0.0.1:*")]);
    void this.#down().catch(() => undefined);
    void this.#up().catch(() => undefined);
  }

  async #down(): Promise<void> {
    for await (const frames of this.back) {
      if (this.loses(frames)) this.lost++;
      else await this.front.send(frames);
    }
  }

  async #up(): Promise<void> {
    for await (const frames of this.front) await this.back.send(frames);
  }
}

async function forwarder(): Promise<Forwarder> {
  const made = new Forwarder();
  await made.open();
  return made;
}

/** A message of events, not a beat and not an answer. */
function isEvent(frames: readonly Buffer[]): boolean {
  return frames.length > 2 && frames[0]![0] !== 0;
}

interface Line {
  readonly device: Forwarder;
  readonly feed: EventPublisher;
  readonly inbox: Inbox;
}

async function line(publisher: EventPublisherOptions = {}, subscriber: EventSubscriberOptions = {}): Promise<Line> {
  const device = await forwarder();
  const feed = publisherAt(device.back.lastEndpoint!, { attach: "connect", beatIntervalMs: 100, ...publisher });
  await feed.open();
  const inbox = inboxAt(device.front.lastEndpoint!, subscriber);
  return { device, feed, inbox };
}

/** Publishes one after the other, each in a message of its own. */
async function publishAll(feed: EventPublisher, symbol: string, numbers: readonly number[]): Promise<void> {
  const prices = feed.publisher(Prices);
  for (const number of numbers) {
    prices.priceChanged({ symbol, number: BigInt(number) });
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("through a forwarder: readiness of both ends, several publishers", async () => {
  const { device, feed, inbox } = await line();
  const second = publisherAt(device.back.lastEndpoint!, { attach: "connect" });
  const changes = inbox.subscriber(Prices).priceChanged();
  await Promise.all([inbox.ready, feed.ready, second.ready]);
  feed.publisher(Prices).priceChanged({ symbol: "ACME", number: 1n });
  second.publisher(Prices).priceChanged({ symbol: "ACME", number: 1n });
  const entries = await take(changes.entries(), 2);
  expect(new Set(entries.map(({ info }) => info.epoch))).toEqual(new Set([feed.epoch, second.epoch]));
  expect(entries.map(({ info }) => info.sequence)).toEqual([1, 1]);
  expect(inbox.gaps).toEqual([]);
  await inbox.close();
  await until(() => feed.subscribers === 0 && second.subscribers === 0);
});

test("what is lost shows as a gap, before the next event, once", async () => {
  const { device, feed, inbox } = await line();
  const told: unknown[] = [];
  const changes = inbox.subscriber(Prices).priceChanged({}, { onGap: (gap) => told.push(gap) });
  await inbox.ready;
  await publishAll(feed, "ACME", [1, 2]);
  expect(numbersOf(await take(changes, 2))).toEqual([1, 2]);
  device.loses = isEvent;
  await publishAll(feed, "ACME", [3, 4, 5]);
  await until(() => device.lost === 3);
  device.loses = () => false;
  await publishAll(feed, "ACME", [6, 7]);
  expect(told).toEqual([]);
  expect(numbersOf(await take(changes, 1))).toEqual([6]);
  const gap = { topic: "price.ACME", method: "test.v1.Prices/PriceChanged", epoch: feed.epoch };
  expect(told).toEqual([{ ...gap, from: 3, to: 5, count: 3, reason: "missed" }]);
  expect(numbersOf(await take(changes, 1))).toEqual([7]);
  expect(inbox.gaps).toEqual(told);
  expect(changes.counts).toMatchObject({ received: 4, lost: 3, dropped: 0 });
  expect(inbox.counters["lost"]).toBe(3);
  // The publisher learns it.
  await until(() => feed.counters["lost"] === 3);
});

test("a first event that is lost, and a last one, show too", async () => {
  const { device, feed, inbox } = await line();
  inbox.subscriber(Prices).priceChanged();
  await inbox.ready;
  await until(() => feed.subscribers === 1);
  device.loses = isEvent;
  await publishAll(feed, "ONE", [1]);
  await until(() => inbox.gaps.length === 1);
  expect(inbox.gaps).toMatchObject([{ topic: "price.ONE", from: 1, to: 1, reason: "missed" }]);
  device.loses = () => false;
  await publishAll(feed, "ONE", [2, 3]);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(inbox.gaps).toHaveLength(1);
});

test("what is lost is asked for, and comes in order, if the publisher keeps events", async () => {
  const { device, feed, inbox } = await line({ replay: { events: 100 } });
  const changes = inbox.subscriber(Prices).priceChanged();
  await inbox.ready;
  await publishAll(feed, "ACME", [1, 2]);
  await until(() => changes.counts.received === 2);
  device.loses = isEvent;
  await publishAll(feed, "ACME", [3, 4, 5]);
  await until(() => device.lost === 3);
  device.loses = () => false;
  await publishAll(feed, "ACME", [6, 7]);
  const entries = await take(changes.entries(), 7);
  expect(numbersOf(entries.map(({ event }) => event))).toEqual(range(1, 7));
  expect(entries.map(({ info }) => info.sequence)).toEqual(range(1, 7));
  expect(entries.map(({ info }) => info.replayed).slice(0, 5)).toEqual([false, false, true, true, true]);
  expect(inbox.gaps).toEqual([]);
  // The last one too, by the beat.
  device.loses = isEvent;
  await publishAll(feed, "ACME", [8]);
  await until(() => changes.counts.received === 8);
  expect(inbox.gaps).toEqual([]);
  expect(inbox.counters["lost"]).toBeUndefined();
});

test("of what is lost, that is told which the publisher no longer has", async () => {
  const { device, feed, inbox } = await line({ replay: { events: 2 } });
  const changes = inbox.subscriber(Prices).priceChanged();
  await inbox.ready;
  await publishAll(feed, "ACME", [1]);
  await until(() => changes.counts.received === 1);
  device.loses = isEvent;
  await publishAll(feed, "ACME", range(2, 6));
  await until(() => device.lost === 5);
  device.loses = () => false;
  await publishAll(feed, "ACME", [7]);
  const numbers = numbersOf(await take(changes, 3));
  expect(numbers).toEqual([1, 6, 7]);
  expect(inbox.gaps).toMatchObject([{ from: 2, to: 5, count: 4, reason: "missed" }]);
});

test("a sync that gets lost is made anew", async () => {
  const { device, feed, inbox } = await line();
  let answers = 0;
  device.loses = (frames) => frames[0]![0] === 0 && ++answers <= 2;
  const changes = inbox.subscriber(Prices).priceChanged();
  await inbox.ready;
  await publishAll(feed, "ACME", [1]);
  expect(numbersOf(await take(changes, 1))).toEqual([1]);
});

test("a publisher that is started again is found, and its restart told", async () => {
  for (const through of ["directly", "through a forwarder"]) {
    const device = through === "directly" ? undefined : await forwarder();
    const first = publisherAt(device?.back.lastEndpoint ?? anyAddress("tcp"), { attach: device ? "connect" : "bind" });
    await first.open();
    const inbox = inboxAt(device?.front.lastEndpoint ?? first.address);
    const changes = inbox.subscriber(Prices).priceChanged();
    await inbox.ready;
    await publishAll(first, "ACME", [1, 2]);
    expect(numbersOf(await take(changes, 2))).toEqual([1, 2]);
    const { address } = first;
    await first.close();
    const second = publisherAt(address, { attach: device ? "connect" : "bind" });
    await second.open();
    await second.ready;
    await inbox.ready;
    await publishAll(second, "ACME", [3]);
    expect(numbersOf(await take(changes, 1))).toEqual([3]);
    await until(() => inbox.gaps.length > 0);
    expect(inbox.gaps).toMatchObject([{ topic: "price.ACME", epoch: second.epoch, reason: "restarted" }]);
    expect(inbox.gaps[0]!.count).toBeUndefined();
    await publishAll(second, "ACME", [4]);
    expect(numbersOf(await take(changes, 1))).toEqual([4]);
    expect(inbox.gaps).toHaveLength(1);
  }
});

test("a topic that the publisher had to forget begins anew", async () => {
  const feed = publisherAt(anyAddress("tcp"), { maxTopics: 2 });
  await feed.open();
  const inbox = inboxAt(feed.address);
  const changes = inbox.subscriber(Prices).priceChanged();
  await inbox.ready;
  for (const symbol of ["A", "B", "C", "A"]) await publishAll(feed, symbol, [1]);
  const entries = await take(changes.entries(), 4);
  expect(entries.map(({ info }) => info.sequence)).toEqual([1, 1, 1, 1]);
  expect(inbox.gaps).toMatchObject([{ topic: "price.A", reason: "restarted" }]);
});
