import { getEventListeners, once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "@jest/globals";
import { Publisher, Subscriber, XPublisher, XSubscriber } from "zeromq";
import { EventHeader, EventRequest } from "@zerobind/core";
import type { EventEntry } from "@zerobind/core";
import { PriceChange } from "../../core/test/gen/test/v1/patterns.pb.ts";
import type { PricesEventHandler } from "../../core/test/gen/test/v1/patterns.rpc.ts";
import { EventSubscriber } from "../src/index.ts";
import { anyAddress, inboxAt, kinds, numbersOf, Prices, publisherAt, range, take, until } from "./events-support.ts";
import type { Inbox } from "./events-support.ts";
import type { EventPublisher, EventPublisherOptions, EventSubscriberOptions } from "../src/index.ts";
import { patterns, pythonPeer, withMessages } from "./python.ts";
import { outcome, raw, runChild, track } from "./support.ts";

async function pair(
  publisher: EventPublisherOptions = {},
  subscriber: EventSubscriberOptions = {},
): Promise<{ feed: EventPublisher; inbox: Inbox }> {
  const feed = publisherAt(anyAddress("tcp"), publisher);
  await feed.open();
  return { feed, inbox: inboxAt(feed.address, subscriber) };
}

test("whoever does not take events loses the oldest of its own, and is told", async () => {
  const { feed, inbox } = await pair();
  const subscriber = inbox.subscriber(Prices);
  const told: unknown[] = [];
  const slow = subscriber.priceChanged({}, { maxBufferedEvents: 10, onGap: (gap) => told.push(gap) });
  const quick = subscriber.priceChanged();
  await inbox.ready;
  const prices = feed.publisher(Prices);
  for (const number of range(1, 100)) prices.priceChanged({ symbol: "ACME", number: BigInt(number) });
  expect(numbersOf(await take(quick, 100))).toEqual(range(1, 100));
  expect(slow.counts).toEqual({ received: 100, lost: 90, dropped: 90, replayed: 0 });
  expect(told).toEqual([]);
  expect(numbersOf(await take(slow, 10))).toEqual(range(91, 100));
  const gap = { topic: "price.ACME", method: "test.v1.Prices/PriceChanged", epoch: feed.epoch };
  expect(told).toEqual([{ ...gap, from: 1, to: 90, count: 90, reason: "buffer" }]);
  expect(inbox.gaps).toEqual(told);
  expect(inbox.counters).toEqual({ dropped: 90 });
});

test("handlers take events one at a time; one that throws is told of, and the next event goes on", async () => {
  const { feed, inbox } = await pair();
  const steps: string[] = [];
  const handler: Partial<PricesEventHandler> = {
    async priceChanged({ number }, { topic }) {
      steps.push(`begin ${number} ${topic}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      steps.push(`end ${number}`);
      if (number === 2n) throw new Error("two");
    },
    marketClosed({ reason }) {
      steps.push(reason);
      throw new Error(reason);
    },
  };
  expect(inbox.serve(Prices, handler)).toHaveLength(2);
  await inbox.ready;
  const prices = feed.publisher(Prices);
  for (const number of [1n, 2n, 3n]) prices.priceChanged({ symbol: "A", number });
  prices.marketClosed({ reason: "night" });
  await until(() => steps.includes("end 3"));
  expect(steps.filter((step) => step !== "night")).toEqual([
    "begin 1 price.A",
    "end 1",
    "begin 2 price.A",
    "end 2",
    "begin 3 price.A",
    "end 3",
  ]);
  expect(inbox.errors.map(String).sort()).toEqual(["Error: night", "Error: two"]);
  expect(() => inbox.serve(Prices, { priceChange: () => undefined } as never)).toThrow(/no event "priceChange"/);
  expect(() => inbox.serve(Prices, {})).toThrow(/takes no event/);
});

test("leaving a loop, closing and aborting end a subscription; closing the subscriber ends all", async () => {
  const { feed, inbox } = await pair();
  const subscriber = inbox.subscriber(Prices);
  const abort = new AbortController();
  const [left, closed, aborted, last] = [
    subscriber.priceChanged({ symbol: "A" }),
    subscriber.priceChanged({ symbol: "B" }),
    subscriber.priceChanged({ symbol: "C" }, { signal: abort.signal }),
    subscriber.priceChanged(),
  ];
  await Promise.all([inbox.ready, feed.ready]);
  const prices = feed.publisher(Prices);
  prices.priceChanged({ symbol: "A" });
  for await (const event of left) {
    expect(event.symbol).toBe("A");
    break;
  }
  expect(() => left[Symbol.asyncIterator]()).toThrow(/iterated already/);
  const iterators = [closed, aborted].map((changes) => changes[Symbol.asyncIterator]().next());
  await closed.close();
  abort.abort();
  expect(await Promise.all(iterators)).toEqual([
    { done: true, value: undefined },
    { done: true, value: undefined },
  ]);
  await until(() => feed.subscriptions === 1);
  prices.priceChanged({ symbol: "B", number: 1n });
  await until(() => last.counts.received === 2);
  await inbox.close();
  // What waits may still be taken.
  const rest: string[] = [];
  for await (const { symbol } of last) rest.push(symbol);
  expect(rest).toEqual(["A", "B"]);
  await expect(inbox.ready).rejects.toThrow(/the subscriber is closed/);
  expect(() => subscriber.priceChanged()).toThrow(/is closed/);
  await until(() => feed.subscribers === 0 && feed.subscriptions === 0);
});

test("close sends what was published; nothing can be published after it", async () => {
  const { feed, inbox } = await pair();
  const changes = inbox.subscriber(Prices).priceChanged({}, { maxBufferedEvents: 20_000 });
  await inbox.ready;
  const prices = feed.publisher(Prices);
  for (const number of range(1, 5_000)) prices.priceChanged({ symbol: "A", number: BigInt(number) });
  await feed.close();
  expect(numbersOf(await take(changes, 5_000))).toEqual(range(1, 5_000));
  expect(() => prices.priceChanged({ symbol: "A" })).toThrow(/the publisher is closed/);
  await expect(feed.ready).rejects.toThrow(/the publisher is closed/);
});

test("readiness that does not come can be given up", async () => {
  const inbox = inboxAt("tcp://127.0.0.1:9");
  const changes = inbox.subscriber(Prices).priceChanged();
  await expect(changes.waitForReady(30)).rejects.toThrow(
    /no publisher answered for test.v1.Prices\/PriceChanged: after 30 ms/,
  );
  await expect(inbox.waitForReady(30)).rejects.toThrow(/after 30 ms/);
  const feed = publisherAt(anyAddress("tcp"));
  await expect(feed.waitForSubscribers({ count: 2, timeoutMs: 30 })).rejects.toThrow(/no 2 subscribers: after 30 ms/);
});

test("an address in use fails open, and tells whoever only published", async () => {
  const feed = publisherAt(anyAddress("tcp"));
  await feed.open();
  await expect(publisherAt(feed.address).open()).rejects.toThrow(/in use/);
  const lazy = publisherAt(feed.address);
  lazy.publisher(Prices).priceChanged({ symbol: "A" });
  expect(await lazy.closed).toMatchObject({ kind: "failed" });
  expect(lazy.counters).toMatchObject({ published: 1, unheard: 1 });
});

test("whom a publisher waits for: by method, and by topic, bare SUB sockets included", async () => {
  const { feed, inbox } = await pair();
  inbox.subscriber(Prices).marketClosed();
  await inbox.ready;
  await feed.waitForSubscribers({ method: "test.v1.Prices/Closed" });
  await expect(feed.waitForSubscribers({ method: "test.v1.Prices/Traded", timeoutMs: 20 })).rejects.toThrow();
  const sub = raw(new Subscriber());
  sub.connect(feed.address);
  sub.subscribe("price.A");
  await feed.waitForSubscribers({ topic: "price.ACME" });
  expect([feed.subscribers, feed.subscriptions]).toEqual([1, 2]);
});

test.each(kinds)("a bare PUB can be subscribed to (%s)", async (kind) => {
  const pub = raw(new Publisher());
  await pub.bind(anyAddress(kind).replace("ipc://*", `ipc:///tmp/zb-bare-${process.pid}`));
  const inbox = inboxAt(pub.lastEndpoint!, { bare: true });
  const entries = inbox.subscriber(Prices).priceChanged({ symbol: "ACME" }).entries();
  const common = { method: "test.v1.Prices/PriceChanged", replayed: false };
  await inbox.ready;
  const send = (topic: string, number: number): Promise<void> =>
    pub.send([
      topic,
      PriceChange.encode(PriceChange.fromPartial({ symbol: topic.slice(6), number: BigInt(number) })).finish(),
    ]);
  // A bare PUB does not tell when it has heard of a subscription.
  const timer = setInterval(() => void send("price.ACME", 1), 5);
  await take(entries, 1);
  clearInterval(timer);
  await send("price.ACME2", 2);
  await pub.send(["price.ACME", "two", "bodies"]);
  await pub.send(["price.ACME", "\xff\xff\xff"]);
  await send("price.ACME", 3);
  let last: EventEntry<PriceChange>;
  do [last] = (await take(entries, 1)) as [EventEntry<PriceChange>];
  while (last.event.number === 1n);
  expect(last.event.number).toBe(3n);
  expect(last.info).toEqual({ ...common, topic: "price.ACME", sequence: 0, epoch: "", address: inbox.address });
  expect(inbox.counters["malformed"]).toBe(2);
});

test("bytes that make no sense are dropped and counted, on both ends", async () => {
  const problems: string[] = [];
  const feed = publisherAt(anyAddress("tcp"), { onTrouble: (problem) => problems.push(problem) });
  await feed.open();
  const hostile = raw(new XSubscriber({ sendHighWaterMark: 0 }));
  hostile.connect(feed.address);
  const sync = Buffer.concat([Buffer.from("\x01\0zb/sync/", "latin1"), Buffer.alloc(14)]);
  await hostile.send(Buffer.from("\x01\0zb/other", "latin1"));
  await hostile.send("no subscription");
  await hostile.send(Buffer.concat([sync, Buffer.from([0xff, 0xff])]));
  await hostile.send(Buffer.concat([sync, Buffer.alloc(40_000)]));
  await hostile.send(Buffer.concat([Buffer.from([1]), Buffer.alloc(10_000, "x")]));
  const wish = { method: "m", topic: "price.", exact: false, last: 1, start: 0n, sequence: 0n, end: false };
  const wishes = Array.from({ length: 201 }, () => wish);
  await hostile.send(
    Buffer.concat([
      sync,
      EventRequest.encode({ proven: [], methods: [], losses: [], wishes, seal: undefined }).finish(),
    ]),
  );
  for (let index = 0; index < 20_000; index++) {
    const fresh = Buffer.from(sync);
    fresh.writeUInt32LE(index, 12);
    await hostile.send(fresh);
  }
  const inbox = inboxAt(feed.address);
  const changes = inbox.subscriber(Prices).priceChanged();
  await inbox.ready;
  feed.publisher(Prices).priceChanged({ symbol: "A", number: 5n });
  expect(numbersOf(await take(changes, 1))).toEqual([5]);
  expect(feed.counters).toMatchObject({ topic: 1, sync: 3, message: 1 });
  expect(problems.length).toBeLessThan(20);

  const pub = raw(new Publisher());
  await pub.bind("tcp://127.0.0.1:*");
  const other = inboxAt(pub.lastEndpoint!);
  const none = other.subscriber(Prices).priceChanged();
  const bad = [
    ["price.A"],
    ["price.A", ""],
    ["price.A", "\xff\xff", "x"],
    ["price.A", Buffer.from([9, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 1]), "x"],
  ];
  const timer = setInterval(() => bad.forEach((frames) => void pub.send(frames)), 10);
  await until(() => (other.counters["malformed"] ?? 0) >= 8);
  clearInterval(timer);
  expect(none.counts.received).toBe(0);
  expect(other.troubles.length).toBeLessThan(10);
});

test("a process ends by itself once both are closed", async () => {
  const child = runChild(`
    import { EventPublisher, EventSubscriber } from "./src/index.ts";
    import { Prices } from "../core/test/gen/test/v1/patterns.rpc.ts";
    const feed = new EventPublisher("tcp://127.0.0.1:*", { replay: {} });
    await feed.open();
    const inbox = new EventSubscriber([feed.address, "tcp://127.0.0.1:9", "inproc://nobody"]);
    const changes = inbox.subscriber(Prices).priceChanged();
    await feed.ready;
    feed.publisher(Prices).priceChanged({ symbol: "A" });
    for await (const { symbol } of changes) { console.log(symbol); break; }
    await inbox.close();
    await feed.close();
  `);
  expect(await outcome(child)).toEqual({ code: 0, output: "A\n", errors: "" });
});

test("a subscriber that is stopped loses its own events alone, and learns how many", async () => {
  const feed = publisherAt(anyAddress("tcp"), { maxQueuedMessages: 100 });
  await feed.open();
  const child = runChild(`
    import { EventSubscriber } from "./src/index.ts";
    import { Prices } from "../core/test/gen/test/v1/patterns.rpc.ts";
    const inbox = new EventSubscriber("${feed.address}");
    let received = 0, lost = 0;
    const changes = inbox.subscriber(Prices).priceChanged({}, {
      onGap: ({ count }) => (lost += count),
      onEvent: ({ symbol }) => {
        received++;
        if (symbol === "END") { console.log(JSON.stringify({ received, lost })); void inbox.close(); }
      },
    });
  `);
  const inbox = inboxAt(feed.address);
  const changes = inbox.subscriber(Prices).priceChanged({}, { maxBufferedEvents: Infinity });
  await feed.waitForSubscribers({ count: 2 });
  const ended = outcome(child);
  child.kill("SIGSTOP");
  const prices = feed.publisher(Prices);
  const padding = new Uint8Array(50_000);
  for (const number of range(1, 1_000)) {
    prices.priceChanged({ symbol: "A", number: BigInt(number), padding });
    if (number % 10 === 0) await until(() => changes.counts.received === number);
  }
  child.kill("SIGCONT");
  await until(() => (feed.counters["lost"] ?? 0) > 0, 10_000);
  prices.priceChanged({ symbol: "END" });
  const { output, code } = await ended;
  const { received, lost } = JSON.parse(output) as { received: number; lost: number };
  expect([code, received + lost]).toEqual([0, 1_001]);
  expect(lost).toBe(feed.counters["lost"]);
  expect(inbox.gaps).toEqual([]);
});

withMessages("a bare SUB in Python reads events", async () => {
  const feed = publisherAt(anyAddress("tcp"));
  await feed.open();
  const { child } = pythonPeer(`${patterns}
sub = context.socket(zmq.SUB)
sub.connect("${feed.address}")
sub.subscribe(b"price.ACME")
from zerobind.v1 import events_pb2
count = 0
while count < 3:
    topic, header, *bodies = sub.recv_multipart()
    sequence = events_pb2.EventHeader.FromString(header).sequence
    for body in bodies:
        event = pb.PriceChange.FromString(body)
        print(topic.decode(), sequence, event.symbol, event.price, event.number)
        sequence += 1
        count += 1
`);
  const ended = outcome(child);
  await feed.waitForSubscribers({ topic: "price.ACME" });
  const prices = feed.publisher(Prices);
  for (const number of [1n, 2n, 300n]) prices.priceChanged({ symbol: "ACME", price: 1.5, number });
  expect(await ended).toEqual({
    code: 0,
    output: "price.ACME 1 ACME 1.5 1\nprice.ACME 2 ACME 1.5 2\nprice.ACME 3 ACME 1.5 300\n",
    errors: "",
  });
});

withMessages("a bare PUB in Python can be subscribed to", async () => {
  const inbox = new EventSubscriber("tcp://127.0.0.1:*", { attach: "bind", bare: true });
  track(inbox);
  await inbox.open();
  const changes = inbox.subscriber(Prices).priceChanged();
  const { child } = pythonPeer(`${patterns}
pub = context.socket(zmq.PUB)
pub.connect("${inbox.address}")
for number in range(1000):
    pub.send_multipart([b"price.ACME", pb.PriceChange(symbol="ACME", number=7).SerializeToString()])
    time.sleep(0.01)
`);
  expect(await take(changes, 2)).toMatchObject([{ number: 7n }, { number: 7n }]);
  child.kill();
  await once(child, "exit");
});

/** A publisher that says it has nothing, whatever it is asked; what it sends then is up to the test. */
async function hostilePublisher(epoch: bigint): Promise<XPublisher> {
  const pub = raw(new XPublisher({ sendHighWaterMark: 0 }));
  await pub.bind("tcp://127.0.0.1:*");
  const answer = { part: 0, last: true, keepsEvents: false, items: [], authorizes: false, refusals: [] };
  const header = EventHeader.encode({ epoch, method: "", start: 0n, sequence: 0n, answer }).finish();
  const serve = async (): Promise<void> => {
    for await (const [frame] of pub)
      if (frame![0] === 1 && frame![1] === 0) await pub.send([frame!.subarray(1), header]);
  };
  serve().catch(() => undefined);
  return pub;
}

function headerOf(epoch: bigint, sequence: bigint, method = "test.v1.Prices/PriceChanged"): Uint8Array {
  return EventHeader.encode({ epoch, method, start: 1n, sequence, answer: undefined }).finish();
}

test("a publisher that jumps as far as numbers go does no harm", async () => {
  const pub = await hostilePublisher(7n);
  const inbox = inboxAt(pub.lastEndpoint!);
  const changes = inbox.subscriber(Prices).priceChanged();
  await inbox.ready;
  for (let topic = 0; topic < 3_000; topic++)
    await pub.send([`price.${topic}`, headerOf(7n, BigInt(Number.MAX_SAFE_INTEGER)), ""]);
  await until(() => changes.counts.received === 3_000);
  // The publisher is told of the losses within half a second.
  await new Promise((resolve) => setTimeout(resolve, 700));
  await inbox.waitForReady(2_000);
  const later = inbox.subscriber(Prices).marketClosed();
  await later.waitForReady(2_000);
});

test("topics and headers that are too long are dropped, not remembered", async () => {
  const pub = await hostilePublisher(7n);
  const inbox = inboxAt(pub.lastEndpoint!);
  const changes = inbox.subscriber(Prices).priceChanged();
  await inbox.ready;
  await pub.send([`price.${"x".repeat(100_000)}`, headerOf(7n, 1n), ""]);
  await pub.send(["price.A", headerOf(7n, 1n, "m".repeat(100_000)), ""]);
  await pub.send(["price.A", headerOf(7n, 1n), ""]);
  expect(await take(changes, 1)).toHaveLength(1);
  expect(changes.counts.received).toBe(1);
  expect(inbox.counters).toEqual({ malformed: 2 });
});

test("a loop that has waited while a gap came ends with its subscriber, and is told", async () => {
  const pub = await hostilePublisher(7n);
  const inbox = inboxAt(pub.lastEndpoint!);
  const told: unknown[] = [];
  const changes = inbox.subscriber(Prices).priceChanged({}, { onGap: (gap) => told.push(gap) });
  const all = (async () => {
    for await (const _ of changes);
  })();
  await inbox.ready;
  // A beat: the next event has the number 6.
  await pub.send(["price.A", headerOf(7n, 1n), ""]);
  await pub.send(["price.A", headerOf(7n, 6n)]);
  await until(() => inbox.gaps.length === 1);
  expect(told).toEqual([]);
  await inbox.close();
  await all;
  expect(told).toEqual(inbox.gaps);
});

test("events that are asked for at once go to whoever asked first", async () => {
  const { feed, inbox } = await pair();
  const changes = inbox.subscriber(Prices).priceChanged()[Symbol.asyncIterator]();
  const asked = [changes.next(), changes.next(), changes.next()];
  await inbox.ready;
  const prices = feed.publisher(Prices);
  for (const number of [1n, 2n]) prices.priceChanged({ symbol: "A", number });
  const [first, second] = await Promise.all(asked.slice(0, 2));
  expect([first, second]).toMatchObject([{ value: { number: 1n } }, { value: { number: 2n } }]);
  await inbox.close();
  expect(await asked[2]).toEqual({ done: true, value: undefined });
});

test("once close has given up on a handler, it gets no further events, and signals are left alone", async () => {
  const { feed, inbox } = await pair({}, { drainTimeoutMs: 50 });
  const { signal } = new AbortController();
  const got: bigint[] = [];
  let goOn = (): void => undefined;
  const onEvent = ({ number }: PriceChange): Promise<void> => {
    got.push(number);
    return new Promise((resolve) => (goOn = resolve));
  };
  inbox.subscriber(Prices).priceChanged({}, { onEvent, signal });
  inbox.subscriber(Prices).priceChanged({}, { signal });
  expect(getEventListeners(signal, "abort")).toHaveLength(2);
  await inbox.ready;
  const prices = feed.publisher(Prices);
  for (const number of [1n, 2n, 3n]) prices.priceChanged({ symbol: "A", number });
  await until(() => got.length === 1);
  await inbox.close();
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
  goOn();
  await new Promise((resolve) => setImmediate(resolve));
  expect(got).toEqual([1n]);
});

test("a handler that never catches up takes no memory for the events that it has had", async () => {
  const child = runChild(`
    import { EventPublisher, EventSubscriber } from "./src/index.ts";
    import { Prices } from "../core/test/gen/test/v1/patterns.rpc.ts";
    import { setFlagsFromString } from "node:v8";
    import { runInNewContext } from "node:vm";
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc");
    const feed = new EventPublisher("tcp://127.0.0.1:*");
    await feed.open();
    const inbox = new EventSubscriber(feed.address);
    let handled = 0;
    const onEvent = () => { handled++; return new Promise((resolve) => setImmediate(resolve)); };
    const changes = inbox.subscriber(Prices).priceChanged({}, { onEvent });
    await inbox.ready;
    const prices = feed.publisher(Prices);
    const heap = async (until) => {
      while (handled < until) {
        while (changes.counts.received < handled + 1_000) {
          for (let count = 0; count < 100; count++) prices.priceChanged({ symbol: "A" });
          await new Promise((resolve) => setImmediate(resolve));
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
      collect();
      return process.memoryUsage().heapUsed;
    };
    const before = await heap(5_000);
    const grown = await heap(55_000) - before;
    console.log(grown < 1_500_000 ? "flat" : "grown by " + grown);
    inbox.abort();
    feed.abort();
  `);
  expect(await outcome(child)).toEqual({ code: 0, output: "flat\n", errors: "" });
});

test("whoever knocks and goes away is not taken for the bare publisher that is there", async () => {
  const inbox = inboxAt("tcp://127.0.0.1:*", { attach: "bind", bare: true });
  inbox.subscriber(Prices).priceChanged();
  await inbox.open();
  const pub = raw(new Publisher());
  pub.connect(inbox.address);
  await inbox.waitForReady(2_000);
  const knock = connect(Number(inbox.address.split(":")[2]), "127.0.0.1");
  await once(knock, "connect");
  knock.end();
  await once(knock.resume(), "close");
  await until(() => inbox.troubles.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await inbox.waitForReady(500);
});
