import { expect, test } from "@jest/globals";
import { Status, startsWith } from "@zerobind/core";
import type { EventWish } from "@zerobind/core";
import { curveClient, EventPublisher, ForwarderDevice, serverCurve } from "@zerobind/zeromq";
import type { EventAuthorization, EventPublisherOptions, ServerCurve } from "@zerobind/zeromq";
import { Subscriber, XSubscriber } from "zeromq";
import { makeKeyPair } from "../src/curve/keys.ts";
import type { CurveKeyPair } from "../src/curve/keys.ts";
import { Sealer } from "../src/curve/seal.ts";
import { guardedTopic, syncTopic } from "../src/events/event-wire.ts";
import { failure, quick } from "./curve-support.ts";
import { inboxAt, numbersOf, Prices, range, take, until } from "./events-support.ts";
import type { Inbox } from "./events-support.ts";
import { pause, raw, track } from "./support.ts";

const [serverKeys, alice, bob] = [makeKeyPair(), makeKeyPair(), makeKeyPair()];
const changed = "test.v1.Prices/PriceChanged";

/** The same contract, whose prices only traders may see. */
const forTraders = {
  ...Prices,
  methods: Prices.methods.map((method) =>
    method.localName === "priceChanged" ? { ...method, options: { ...method.options, requires: ["trader"] } } : method,
  ),
} as unknown as typeof Prices;

/** A publisher that lets in alice, a trader, and bob, who is nothing. */
interface Feed {
  readonly feed: EventPublisher;
  readonly curve: ServerCurve;
  readonly address: string;
  readonly troubles: string[];
  readonly asked: EventAuthorization[];
  price(symbol: string, number: number): void;
}

interface FeedOptions extends EventPublisherOptions {
  readonly contract?: typeof Prices;
  readonly at?: string;
  readonly keys?: CurveKeyPair;
}

async function secureFeed({
  contract = Prices,
  at = "tcp://127.0.0.1:*",
  keys = serverKeys,
  ...options
}: FeedOptions = {}): Promise<Feed> {
  const traders = [{ key: alice.publicKey, name: "alice", roles: ["trader"] }];
  const curve = serverCurve({ secretKey: keys, allow: [...traders, { key: bob.publicKey, name: "bob" }] });
  const [troubles, asked]: [string[], EventAuthorization[]] = [[], []];
  const { authorize } = options;
  const feed = track(
    new EventPublisher(at, {
      zeromq: { ...quick, curve },
      onTrouble: (problem) => void troubles.push(problem),
      ...options,
      ...(authorize && { authorize: (wanted) => (asked.push(wanted), authorize(wanted)) }),
    }),
  );
  const prices = feed.publisher(contract);
  await feed.open();
  const price = (symbol: string, number: number): void => prices.priceChanged({ symbol, number: BigInt(number) });
  return { feed, curve, address: feed.address, troubles, asked, price };
}

function inboxOf(keyPair: CurveKeyPair | undefined, { address }: { address: string }, serverKey?: string): Inbox {
  const curve = keyPair && curveClient({ serverKey: serverKey ?? serverKeys.publicKey, keyPair });
  return inboxAt(address, { zeromq: { ...quick, curve } });
}

/** Traders may have everything; everybody may have the prices of ACME. */
const tradersAndAcme = ({ method, topic, exact, roles }: EventAuthorization): boolean =>
  roles.includes("trader") || (method === changed && exact && topic === "price.ACME");

function socketOptions({ publicKey, secretKey }: CurveKeyPair): object {
  return { curveServerKey: serverKeys.publicKey, curvePublicKey: publicKey, curveSecretKey: secretKey };
}

function rawSub(keys: CurveKeyPair, { address }: Feed): Subscriber {
  const socket = raw(new Subscriber({ ...socketOptions(keys), receiveTimeout: 300 }));
  socket.connect(address);
  return socket;
}

/** A sync topic as a subscriber makes it, sealed with keys. */
function syncOf(keys: CurveKeyPair, number: number, wishes: Partial<EventWish>[], id = 7): Buffer {
  const whole = wishes.map((wish) => {
    return { method: changed, topic: "price.", exact: false, last: 0, start: 0n, sequence: 0n, end: false, ...wish };
  });
  const request = { proven: [], methods: [changed], losses: [], wishes: whole, seal: undefined };
  return new Sealer(keys, serverKeys.publicKey).seal(syncTopic(Buffer.alloc(8, id), number, request));
}

/** Nothing else runs in this process meanwhile; ZeroMQ's own threads do. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test.each(["tcp://127.0.0.1:*", "ipc://*"])("events travel over %s with keys", async (at) => {
  const feed = await secureFeed({ at });
  const inbox = inboxOf(alice, feed);
  const events = inbox.subscriber(Prices).priceChanged({ symbol: "ACME" });
  await inbox.ready;
  feed.price("ACME", 1);
  expect(numbersOf(await take(events, 1))).toEqual([1]);
});

test("a subscriber whose key is not allowed learns so at once, asks rarely, and disturbs nobody", async () => {
  let asked = 0;
  const [stranger, onTrouble] = [makeKeyPair(), (): void => undefined];
  const allow = (key: string): string | undefined => {
    asked += Number(key === stranger.publicKey);
    return key === stranger.publicKey ? undefined : "alice";
  };
  const curve = serverCurve({ secretKey: serverKeys, allow });
  const feed = track(new EventPublisher("tcp://127.0.0.1:*", { zeromq: { ...quick, curve }, onTrouble }));
  await feed.open();
  const [polite, refused] = [inboxOf(alice, feed), inboxOf(stranger, feed)];
  const events = polite.subscriber(Prices).priceChanged();
  await polite.ready;
  const startedMs = performance.now();
  const got = refused.subscriber(Prices).priceChanged();
  const error = await failure(got.ready);
  expect([error.code, performance.now() - startedMs < 1_000]).toEqual([Status.UNAUTHENTICATED, true]);
  expect(error.message).toContain(stranger.publicKey);
  expect((await failure(refused.waitForReady(5_000))).code).toBe(Status.UNAUTHENTICATED);
  expect(refused.troubles.join()).toContain("does not let this one in");
  await pause(1_000);
  // 200 ms, then 400, 800 and so on, with jitter.
  expect(asked).toBeLessThanOrEqual(5);
  feed.publisher(Prices).priceChanged({ symbol: "ACME", number: 7n });
  expect(numbersOf(await take(events, 1))).toEqual([7]);
  expect(got.counts.received).toBe(0);
});

test("a subscriber that is refused is let in once its key is allowed", async () => {
  const feed = await secureFeed();
  const carol = makeKeyPair();
  const inbox = inboxOf(carol, feed);
  const events = inbox.subscriber(Prices).priceChanged();
  await failure(inbox.ready);
  feed.curve.allow(carol.publicKey, "carol");
  await feed.feed.waitForSubscribers();
  await inbox.ready;
  feed.price("ACME", 1);
  expect(numbersOf(await take(events, 1))).toEqual([1]);
});

test.each([
  ["no keys", undefined, undefined, "curve: curveClient({ serverKey, keyPair })"],
  ["the key of another server", alice, makeKeyPair().publicKey, "serverKey"],
])("a subscriber with %s is told what is wrong", async (_name, keys, serverKey, words) => {
  const inbox = inboxOf(keys, await secureFeed(), serverKey);
  inbox.subscriber(Prices).priceChanged();
  const error = await failure(inbox.ready);
  expect([error.code, error.message]).toEqual([Status.UNAUTHENTICATED, expect.stringContaining(words)]);
});

test("a refusal that nobody listens to is a warning", async () => {
  const warnings: string[] = [];
  const curve = curveClient({ serverKey: serverKeys.publicKey });
  const { address } = await secureFeed();
  const zeromq = { ...quick, curve, onWarning: (warning: string) => void warnings.push(warning) };
  inboxAt(address, { zeromq, onTrouble: undefined }).subscriber(Prices).priceChanged();
  await until(() => warnings.length > 0);
  expect(warnings[0]).toContain("does not let this one in");
});

test("publishers with keys of their own", async () => {
  const otherKeys = makeKeyPair();
  const [one, two] = [await secureFeed(), await secureFeed({ keys: otherKeys, authorize: () => true })];
  const serverKey = { [one.address]: serverKeys.publicKey, [two.address]: otherKeys.publicKey };
  const inbox = inboxAt([one.address, two.address], {
    zeromq: { ...quick, curve: curveClient({ serverKey, keyPair: alice }) },
  });
  const events = inbox.subscriber(Prices).priceChanged();
  await inbox.ready;
  one.price("ACME", 1);
  two.price("ACME", 2);
  expect(new Set(numbersOf(await take(events, 2)))).toEqual(new Set([1, 2]));
});

test("subscribers of one publisher get what each may have", async () => {
  const feed = await secureFeed({ authorize: tradersAndAcme });
  const [forAlice, forBob] = [inboxOf(alice, feed), inboxOf(bob, feed)];
  const all = forAlice.subscriber(Prices).priceChanged();
  const some = forAlice.subscriber(Prices).priceChanged({ symbol: startsWith("AC") });
  const acme = forBob.subscriber(Prices).priceChanged({ symbol: "ACME" });
  await Promise.all([forAlice.ready, forBob.ready]);
  expect(feed.feed.subscribers).toBe(2);
  for (const [index, symbol] of ["ACME", "ACMEX", "OTHER", "ACME"].entries()) feed.price(symbol, index);
  // Events of one topic leave together.
  expect(numbersOf(await take(all, 4))).toEqual([0, 3, 1, 2]);
  expect(numbersOf(await take(some, 3))).toEqual([0, 3, 1]);
  expect(numbersOf(await take(acme, 2))).toEqual([0, 3]);
  expect(feed.asked).toContainEqual({ method: changed, topic: "price.ACME", exact: true, principal: "bob", roles: [] });
  expect([...forAlice.gaps, ...forBob.gaps]).toEqual([]);
});

test("a subscription that is not allowed ends with PERMISSION_DENIED, and others go on", async () => {
  const feed = await secureFeed({ authorize: tradersAndAcme });
  const inbox = inboxOf(bob, feed);
  const { priceChanged } = inbox.subscriber(Prices);
  const acme = priceChanged({ symbol: "ACME" });
  await inbox.ready;
  const handled: unknown[] = [];
  const [all, other, forHandler] = [
    priceChanged(),
    priceChanged({ symbol: "OTHER" }),
    priceChanged({ symbol: startsWith("A") }, { onEvent: (event) => void handled.push(event) }),
  ];
  const next = all[Symbol.asyncIterator]().next();
  expect((await failure(next)).code).toBe(Status.PERMISSION_DENIED);
  expect((await failure(inbox.ready.then(() => other.ready))).code).toBe(Status.PERMISSION_DENIED);
  expect((await failure(take(other, 1))).message).toContain("price.OTHER");
  await until(() => inbox.errors.length > 0);
  await expect(forHandler.ready).rejects.toBe(inbox.errors[0]);
  await acme.ready;
  for (const symbol of ["OTHER", "A", "ACME"]) feed.price(symbol, 1);
  expect(await take(acme, 1)).toMatchObject([{ symbol: "ACME" }]);
  expect([handled, inbox.counters["denied"], feed.feed.counters["denied"]]).toEqual([[], 3, 3]);
  expect([feed.troubles.join(), inbox.troubles.join()]).toEqual([
    expect.stringContaining('"bob" was denied'),
    expect.stringContaining("not allowed"),
  ]);
});

test("what was kept goes only to those that may have it", async () => {
  const feed = await secureFeed({ authorize: tradersAndAcme, replay: { events: 10 }, lastValue: true });
  for (const symbol of ["ACME", "OTHER"]) for (const number of [1, 2, 3]) feed.price(symbol, number);
  const [forAlice, forBob] = [inboxOf(alice, feed), inboxOf(bob, feed)];
  const all = forAlice.subscriber(Prices).priceChanged({}, { replay: "all" });
  const last = forBob.subscriber(Prices).priceChanged({ symbol: "ACME" }, { replay: "last" });
  const denied = forBob.subscriber(Prices).priceChanged({}, { replay: "all" });
  expect(numbersOf(await take(all, 6))).toEqual([1, 2, 3, 1, 2, 3]);
  expect(numbersOf(await take(last, 1))).toEqual([3]);
  expect((await failure(take(denied, 1))).code).toBe(Status.PERMISSION_DENIED);
  // By hand: the kept events of a topic, of all topics, and those since a number, by a name for which nothing was granted.
  const socket = rawSub(bob, feed);
  const topic = syncOf(bob, 1, [{ last: 9 }, { topic: "price.OTHER", exact: true, start: 1n, sequence: 1n }]);
  socket.subscribe(topic);
  const [, header, ...bodies] = await socket.receive();
  expect([bodies, header!.toString("latin1").includes("OTHER")]).toEqual([[], false]);
});

test("the roles that a contract requires", async () => {
  const feed = await secureFeed({ contract: forTraders });
  const [forAlice, forBob] = [inboxOf(alice, feed), inboxOf(bob, feed)];
  const events = forAlice.subscriber(Prices).priceChanged();
  await forAlice.ready;
  const denied = [forBob.subscriber(Prices).priceChanged(), forAlice.subscriber(Prices).traded()];
  // Of methods that no rule is for nobody gets anything, as soon as there is a rule.
  for (const each of denied) expect((await failure(each.ready)).code).toBe(Status.PERMISSION_DENIED);
  feed.price("ACME", 1);
  expect(numbersOf(await take(events, 1))).toEqual([1]);
});

test("a rule that takes its time, and one that fails", async () => {
  let allow!: (isAllowed: boolean) => void;
  const decision = new Promise<boolean>((resolve) => (allow = resolve));
  const authorize = ({ topic }: EventAuthorization): Promise<boolean> => {
    if (topic === "price.ACME") return decision;
    if (topic === "price.YES") return Promise.resolve("yes" as unknown as boolean);
    throw new Error("out of order");
  };
  const feed = await secureFeed({ authorize });
  const inbox = inboxOf(bob, feed);
  const { priceChanged } = inbox.subscriber(Prices);
  const acme = priceChanged({ symbol: "ACME" });
  for (const symbol of ["YES", "OTHER"])
    expect((await failure(priceChanged({ symbol }).ready)).code).toBe(Status.PERMISSION_DENIED);
  expect(feed.troubles.join()).toContain("out of order");
  await pause(300);
  expect(feed.asked.filter(({ topic }) => topic === "price.ACME")).toHaveLength(1);
  allow(true);
  await acme.ready;
  feed.price("ACME", 1);
  expect(numbersOf(await take(acme, 1))).toEqual([1]);
});

test("a bare SUB gets nothing, whatever it subscribes to, and that is told", async () => {
  const feed = await secureFeed({ authorize: tradersAndAcme, lastValue: true });
  const socket = rawSub(bob, feed);
  for (const prefix of ["", "price.", "\0", "\0zb/event/", guardedTopic(changed, "price.ACME", true), "\0zb/sync/"])
    socket.subscribe(prefix);
  const inbox = inboxOf(alice, feed);
  const events = inbox.subscriber(Prices).priceChanged();
  await inbox.ready;
  feed.price("ACME", 1);
  await take(events, 1);
  await expect(socket.receive()).rejects.toMatchObject({ code: "EAGAIN" });
  await until(() => feed.troubles.join().includes("bare SUB"));
});

test("a seal that is forged, or of somebody who is not let in, counts for nothing", async () => {
  const feed = await secureFeed({ authorize: () => true, lastValue: true });
  feed.price("ACME", 1);
  const socket = rawSub(bob, feed);
  const forged = syncOf({ publicKey: alice.publicKey, secretKey: bob.secretKey }, 1, [{ last: 1 }]);
  const changedLater = Buffer.from(syncOf(alice, 1, [{ last: 1 }]));
  changedLater.writeUInt8(changedLater.readUInt8(20) ^ 1, 20);
  const stranger = syncOf(makeKeyPair(), 2, [{ last: 1 }]);
  for (const topic of [forged, changedLater, stranger]) {
    socket.subscribe(topic);
    const [, header, ...bodies] = await socket.receive();
    expect([bodies, header!.includes("is not one of a key that has come in here")]).toEqual([[], true]);
  }
  socket.subscribe(guardedTopic(changed, "price.ACME", true));
  feed.price("ACME", 2);
  await expect(socket.receive()).rejects.toMatchObject({ code: "EAGAIN" });
  expect(feed.asked).toEqual([]);
});

test("a peer that makes ZeroMQ take one connection for another gets nothing by it", async () => {
  const feed = await secureFeed({ authorize: tradersAndAcme });
  const [confusing, eager, honest] = [raw(new XSubscriber(socketOptions(bob))), rawSub(bob, feed), rawSub(alice, feed)];
  confusing.connect(feed.address);
  // All are connected when the first of each was heard of.
  for (const [index, socket] of [honest, eager].entries()) {
    const hello = syncOf(alice, 1, [], 7 + index);
    socket.subscribe(hello);
    await socket.receive();
  }
  await confusing.send("hello");
  await until(() => feed.feed.counters["message"] === 1);
  for (const round of range(2, 6)) {
    // In this order, and before this process looks at any of it.
    void confusing.send("no subscription");
    block(20);
    honest.subscribe(syncOf(alice, round, [{}]));
    block(20);
    eager.subscribe(guardedTopic(changed, `price.${round === 2 ? "" : `${round}`}`, false));
    block(20);
    await pause(20);
    feed.price("SECRET", round);
  }
  await expect(eager.receive()).rejects.toMatchObject({ code: "EAGAIN" });
  expect(feed.feed.counters["message"]).toBe(6);
});

test("counts of subscribers and subscriptions are those of what is granted", async () => {
  const { feed } = await secureFeed({ authorize: tradersAndAcme });
  const [forAlice, forBob] = [inboxOf(alice, feed), inboxOf(bob, feed)];
  const { priceChanged } = forAlice.subscriber(Prices);
  const [all, acme] = [priceChanged(), priceChanged({ symbol: "ACME" })];
  await forAlice.ready;
  await failure(forBob.subscriber(Prices).priceChanged().ready);
  await feed.waitForSubscribers({ method: changed });
  await feed.waitForSubscribers({ topic: "price.ACME", count: 2 });
  expect([feed.subscribers, feed.subscriptions]).toEqual([1, 2]);
  await acme.close();
  await until(() => feed.subscriptions === 1);
  feed.publisher(Prices).priceChanged({ symbol: "ACME", number: 5n });
  expect(numbersOf(await take(all, 1))).toEqual([5]);
  await forAlice.close();
  await until(() => feed.subscribers === 0 && feed.subscriptions === 0);
});

test("who is revoked gets nothing more, and others miss nothing that is kept", async () => {
  const feed = await secureFeed({ authorize: () => true, replay: { events: 1_000 } });
  const [forAlice, forBob] = [inboxOf(alice, feed), inboxOf(bob, feed)];
  const all = forAlice.subscriber(Prices).priceChanged({}, { replay: "all" });
  const some = forBob.subscriber(Prices).priceChanged({}, { replay: "all" });
  await Promise.all([forAlice.ready, forBob.ready]);
  let number = 0;
  const pump = setInterval(() => feed.price("ACME", ++number), 1);
  await take(some, 20);
  feed.curve.revoke(bob.publicKey);
  const received = some.counts.received;
  await until(() => number > 300);
  clearInterval(pump);
  expect(numbersOf(await take(all, number))).toEqual(range(1, number));
  expect(forAlice.gaps).toEqual([]);
  expect(some.counts.received - received).toBeLessThan(20);
  expect((await failure(forBob.ready)).code).toBe(Status.UNAUTHENTICATED);
  await until(() => feed.feed.subscribers === 1);
}, 15_000);

test("without kept events, a revocation shows to others as a gap", async () => {
  const feed = await secureFeed();
  const [forAlice, forBob] = [inboxOf(alice, feed), inboxOf(bob, feed)];
  const all = forAlice.subscriber(Prices).priceChanged();
  forBob.subscriber(Prices).priceChanged();
  await Promise.all([forAlice.ready, forBob.ready]);
  feed.price("ACME", 1);
  await take(all, 1);
  feed.curve.revoke(bob.publicKey);
  expect([feed.feed.subscribers, feed.feed.subscriptions]).toEqual([0, 0]);
  feed.price("ACME", 2);
  await feed.feed.waitForSubscribers();
  feed.price("ACME", 3);
  expect(numbersOf(await take(all, 1))).toEqual([3]);
  expect(forAlice.gaps).toMatchObject([{ from: 2, to: 2, count: 1, reason: "missed" }]);
});

test("to revoke a key that never came disturbs nobody", async () => {
  const feed = await secureFeed({ authorize: () => true });
  const inbox = inboxOf(alice, feed);
  inbox.subscriber(Prices).priceChanged();
  await inbox.ready;
  feed.curve.revoke(makeKeyPair().publicKey);
  feed.curve.revoke(bob.publicKey);
  await pause(200);
  expect([feed.feed.subscribers, feed.asked.length]).toEqual([1, 1]);
});

test("subscribers of a publisher that was started again ask it anew", async () => {
  const first = await secureFeed({ authorize: tradersAndAcme });
  const [forAlice, forBob] = [inboxOf(alice, first), inboxOf(bob, first)];
  const [all, acme] = [
    forAlice.subscriber(Prices).priceChanged(),
    forBob.subscriber(Prices).priceChanged({ symbol: "ACME" }),
  ];
  await Promise.all([forAlice.ready, forBob.ready]);
  await first.feed.close();
  const { feed, price } = await secureFeed({ at: first.address, authorize: tradersAndAcme });
  await feed.waitForSubscribers({ count: 2 });
  price("OTHER", 1);
  price("ACME", 2);
  expect(numbersOf(await take(all, 2))).toEqual([1, 2]);
  expect(numbersOf(await take(acme, 1))).toEqual([2]);
});

test("publishers that connect to a subscriber with keys; one is revoked", async () => {
  const curve = serverCurve({ secretKey: serverKeys, allow: [alice.publicKey, bob.publicKey] });
  const inbox = inboxAt("tcp://127.0.0.1:*", { attach: "bind", zeromq: { ...quick, curve }, minPublishers: 2 });
  await inbox.open();
  const events = inbox.subscriber(Prices).priceChanged();
  const [one, two, stranger] = [alice, bob, makeKeyPair()].map((keyPair) => {
    const zeromq = { ...quick, curve: curveClient({ serverKey: serverKeys.publicKey, keyPair }) };
    return track(
      new EventPublisher(inbox.address, { attach: "connect", zeromq, replay: {}, onTrouble: () => undefined }),
    );
  }) as [EventPublisher, EventPublisher, EventPublisher];
  await Promise.all([one.ready, two.ready, inbox.ready]);
  expect((await failure(stranger.ready)).code).toBe(Status.UNAUTHENTICATED);
  one.publisher(Prices).priceChanged({ symbol: "ACME", number: 1n });
  two.publisher(Prices).priceChanged({ symbol: "ACME", number: 2n });
  expect(new Set(numbersOf(await take(events, 2)))).toEqual(new Set([1, 2]));
  curve.revoke(bob.publicKey);
  await until(() => one.subscribers === 0);
  await one.ready;
  one.publisher(Prices).priceChanged({ symbol: "ACME", number: 3n });
  two.publisher(Prices).priceChanged({ symbol: "ACME", number: 4n });
  expect(numbersOf(await take(events, 1))).toEqual([3]);
  expect((await failure(two.ready)).code).toBe(Status.UNAUTHENTICATED);
});

test("a forwarder is a subscriber that cannot say who it is", async () => {
  const feed = await secureFeed({ authorize: ({ principal }) => principal !== undefined });
  const curve = curveClient({ serverKey: serverKeys.publicKey, keyPair: alice });
  const device = track(
    new ForwarderDevice({
      frontend: { address: feed.address, attach: "connect" },
      backend: "inproc://forwarder-and-rules",
      zeromq: { ...quick, curve },
    }),
  );
  await device.open();
  const inbox = inboxAt("inproc://forwarder-and-rules");
  const events = inbox.subscriber(Prices).priceChanged();
  expect((await failure(inbox.ready)).code).toBe(Status.UNAUTHENTICATED);
  feed.price("ACME", 1);
  await pause(100);
  expect(events.counts.received).toBe(0);
});

test("rules where they cannot be kept are refused", async () => {
  const curve = curveClient({ serverKey: serverKeys.publicKey });
  const connecting = { attach: "connect", zeromq: { curve } } as const;
  expect(() => new EventPublisher("tcp://127.0.0.1:1", { ...connecting, authorize: () => true })).toThrow(/connects/);
  const publisher = track(new EventPublisher("tcp://127.0.0.1:1", connecting));
  expect(() => publisher.publisher(forTraders)).toThrow(TypeError);
  // Subscriptions do not arrive there.
  expect(() => new EventPublisher("ws://127.0.0.1:1", connecting)).toThrow(/over ws with CURVE/);
  const [frontend, backend] = [{ address: "ws://127.0.0.1:1", attach: "connect" } as const, "inproc://x"];
  expect(() => new ForwarderDevice({ frontend, backend, zeromq: { curve } })).toThrow(/over ws with CURVE/);
  const { feed } = await secureFeed();
  expect(() => feed.publisher(forTraders)).toThrow(/before it is opened/);
});

test("within a process, where there are no keys, all are who the option principal says", async () => {
  const at = `inproc://rules-${process.pid}`;
  const known = { zeromq: { ...quick, principal: { name: "local", roles: ["trader"] } } };
  const feed = await secureFeed({ at, contract: forTraders, ...known });
  const inbox = inboxAt(at);
  const events = inbox.subscriber(Prices).priceChanged();
  await inbox.ready;
  feed.price("ACME", 1);
  expect(numbersOf(await take(events, 1))).toEqual([1]);
});
