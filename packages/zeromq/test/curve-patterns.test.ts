import { expect, test } from "@jest/globals";
import {
  Channel,
  PipelineSink,
  PipelineWorker,
  QueueDevice,
  ServiceHost,
  Status,
  Ventilator,
  binding,
  partial,
} from "@zerobind/core";
import { curveClient, ForwarderDevice, pushPull, serverCurve, StreamerDevice, zeromq } from "@zerobind/zeromq";
import type { CurveOption, ServerCurve } from "@zerobind/zeromq";
import { Pull, Push, XSubscriber } from "zeromq";
import { Behavior } from "../../core/test/gen/test/v1/behavior.rpc.ts";
import { Imaging } from "../../core/test/gen/test/v1/patterns.rpc.ts";
import { makeKeyPair } from "../src/curve/keys.ts";
import type { CurveKeyPair } from "../src/curve/keys.ts";
import { failure, quick } from "./curve-support.ts";
import { inboxAt, numbersOf, Prices, publisherAt, take, until } from "./events-support.ts";
import { oneWay } from "./plain-support.ts";
import { raw, track } from "./support.ts";

const [serverKeys, alice, bob, stranger] = [makeKeyPair(), makeKeyPair(), makeKeyPair(), makeKeyPair()];
const anywhere = "tcp://127.0.0.1:*";

function server(): ServerCurve {
  return serverCurve({ secretKey: serverKeys, allow: [alice.publicKey, bob.publicKey] });
}

function client(keyPair: CurveKeyPair): CurveOption {
  return curveClient({ serverKey: serverKeys.publicKey, keyPair });
}

function over(curve: CurveOption) {
  return binding(zeromq({ ...quick, curve }));
}

/** What a socket of ZeroMQ's own needs to come in. */
function socketOptions({ publicKey, secretKey }: CurveKeyPair): object {
  return { curveServerKey: serverKeys.publicKey, curvePublicKey: publicKey, curveSecretKey: secretKey };
}

/** Closed at once at the end of a test, whatever waits. */
function brief<T extends { abort(reason?: unknown): void; readonly closed: Promise<unknown> }>(end: T): T {
  track({ close: () => (end.abort(), end.closed) });
  return end;
}

test("a pipeline: a ventilator and a sink that bind, workers that connect", async () => {
  const done: number[] = [];
  const sink = brief(new PipelineSink(anywhere, { binding: over(server()) }));
  sink.serve(Imaging, { resize: ({ id }) => void done.push(id), forget: () => undefined });
  await sink.open();
  const ventilator = brief(new Ventilator(anywhere, { binding: over(server()) }));
  await ventilator.open();
  const refusals: string[] = [];
  const worker = async (keys: CurveKeyPair, onJob: () => void, onTrouble?: (problem: string) => void) => {
    const [from, to] = [ventilator.address, sink.address];
    const made = brief(new PipelineWorker({ from, to, binding: over(client(keys)), ...(onTrouble && { onTrouble }) }));
    made.serve(Imaging, { resize: ({ id }) => (onJob(), { id }), forget: () => ({}) });
    await made.open();
  };
  let [byAlice, byStranger] = [0, 0];
  await worker(alice, () => void byAlice++);
  await worker(
    stranger,
    () => void byStranger++,
    (problem) => refusals.push(problem),
  );
  const jobs = Array.from({ length: 50 }, (_, id) => ({ id }));
  await ventilator.ventilator(Imaging).resize(jobs);
  await until(() => done.length === 50 && refusals.length > 0);
  expect([byAlice, byStranger]).toEqual([50, 0]);
  expect(refusals.join()).toContain("does not let this one in");
});

test("a queue device with keys on both sides", async () => {
  const device = brief(new QueueDevice({ frontend: anywhere, backend: anywhere, binding: over(server()) }));
  await device.open();
  const [frontend = "", backend = ""] = [device.addresses.frontend[0], device.addresses.backend[0]];
  const worker = brief(new ServiceHost({ binding: over(client(alice)) }));
  await worker
    .serve(Behavior, partial(Behavior, { echo: ({ text }) => ({ text }) }))
    .open({ address: backend, attach: "connect" });
  const caller = (keys: CurveKeyPair) => brief(new Channel(frontend, { binding: over(client(keys)) })).client(Behavior);
  expect(await caller(bob).echo({ text: "hi" }, { timeoutMs: 5_000 })).toMatchObject({ text: "hi" });
  expect((await failure(caller(stranger).echo({ text: "intruder" }))).code).toBe(Status.UNAUTHENTICATED);
});

test("a forwarder with keys on both sides goes on after a revocation on either", async () => {
  const curve = server();
  const device = track(new ForwarderDevice({ frontend: anywhere, backend: anywhere, zeromq: { ...quick, curve } }));
  await device.open();
  const [frontend = "", backend = ""] = [device.addresses.frontend[0], device.addresses.backend[0]];
  const feed = publisherAt(frontend, { attach: "connect", zeromq: { ...quick, curve: client(alice) }, replay: {} });
  await feed.open();
  const [inbox, other] = [alice, bob].map((keys) => inboxAt(backend, { zeromq: { ...quick, curve: client(keys) } }));
  const events = inbox!.subscriber(Prices).priceChanged();
  other!.subscriber(Prices).priceChanged({ symbol: "ACME" });
  const refused = inboxAt(backend, { zeromq: { ...quick, curve: client(stranger) } });
  refused.subscriber(Prices).priceChanged();
  await Promise.all([inbox!.ready, other!.ready]);
  expect((await failure(refused.ready)).code).toBe(Status.UNAUTHENTICATED);
  const { priceChanged } = feed.publisher(Prices);
  priceChanged({ symbol: "ACME", number: 1n });
  expect(numbersOf(await take(events, 1))).toEqual([1]);
  curve.revoke(bob.publicKey);
  priceChanged({ symbol: "ACME", number: 2n });
  expect(numbersOf(await take(events, 1))).toEqual([2]);
  expect((await failure(other!.ready)).code).toBe(Status.UNAUTHENTICATED);
});

test("a peer cannot make a forwarder deaf", async () => {
  const problems: string[] = [];
  const onTrouble = (problem: string): void => void problems.push(problem);
  const device = track(new ForwarderDevice({ frontend: anywhere, backend: anywhere, onTrouble }));
  await device.open();
  const [frontend = "", backend = ""] = [device.addresses.frontend[0], device.addresses.backend[0]];
  const hostile = raw(new XSubscriber());
  hostile.connect(backend);
  await hostile.send(Buffer.from("\x01again"));
  // ZeroMQ takes the second part for a subscription that is there already, and swallows it.
  for (let count = 0; count < 10; count++) await hostile.send(["x", Buffer.from("\x01again")]);
  const inbox = inboxAt(backend);
  const events = inbox.subscriber(Prices).priceChanged();
  const feed = publisherAt(frontend, { attach: "connect" });
  await feed.open();
  await inbox.ready;
  feed.publisher(Prices).priceChanged({ symbol: "ACME", number: 1n });
  expect(numbersOf(await take(events, 1))).toEqual([1]);
  expect(device.state).toBe("open");
});

test("a streamer with keys on both sides", async () => {
  const troubles: string[] = [];
  const curve = server();
  const onTrouble = (problem: string): void => void troubles.push(problem);
  const device = track(
    new StreamerDevice({ frontend: anywhere, backend: anywhere, zeromq: { ...quick, curve }, onTrouble }),
  );
  await device.open();
  const [frontend = "", backend = ""] = [device.addresses.frontend[0], device.addresses.backend[0]];
  const [producer, worker] = [raw(new Push(socketOptions(alice))), raw(new Pull(socketOptions(bob)))];
  const intruder = raw(new Pull(socketOptions(stranger)));
  producer.connect(frontend);
  for (const socket of [worker, intruder]) socket.connect(backend);
  for (const job of ["one", "two"]) await producer.send(job);
  expect([String(await worker.receive()), String(await worker.receive())]).toEqual(["one", "two"]);
  await until(() => troubles.join().includes("its key is not allowed"));
  // Those that stay connect again; what comes until then waits.
  const gone = bob.publicKey;
  curve.revoke(gone);
  const second = raw(new Pull(socketOptions(alice)));
  second.connect(backend);
  // What was under way to either side while the connections ended is lost.
  const sending = setInterval(() => void producer.send("three").catch(() => undefined), 20);
  expect(String(await second.receive())).toBe("three");
  clearInterval(sending);
});

/** A host that takes one-way calls, and what has reached it. */
async function pullHost(curve: CurveOption, address: string, attach: "bind" | "connect") {
  const [texts, troubles]: [string[], string[]] = [[], []];
  const onTrouble = (problem: string): void => void troubles.push(problem);
  const host = brief(new ServiceHost({ binding: oneWays(curve), onTrouble }));
  host.serve(oneWay, partial(oneWay, { notify: ({ text }) => void texts.push(text) }));
  await host.open({ address, attach });
  return { host, texts, troubles };
}

function oneWays(curve: CurveOption) {
  return binding(pushPull({ ...quick, curve }));
}

test("one-way calls over push and pull, to a host that binds", async () => {
  const curve = server();
  const { host, texts, troubles } = await pullHost(curve, anywhere, "bind");
  const caller = (keys: CurveKeyPair) =>
    brief(new Channel(host.address, { binding: oneWays(client(keys)) })).client(oneWay);
  const [polite, other] = [caller(alice), caller(bob)];
  await polite.notify({ text: "one" });
  await other.notify({ text: "two" });
  expect((await failure(caller(stranger).notify({ text: "intruder" }))).code).toBe(Status.UNAUTHENTICATED);
  await until(() => texts.length === 2);
  expect(troubles.join()).toContain("its key is not allowed");
  curve.revoke(bob.publicKey);
  // What is on its way while connections end may be lost.
  const sending = setInterval(() => {
    for (const [who, text] of [
      [polite, "three"],
      [other, "revoked"],
    ] as const)
      void who.notify({ text }).catch(() => undefined);
  }, 10);
  await until(() => texts.length > 2);
  clearInterval(sending);
  expect(texts.slice(2).every((text) => text === "three")).toBe(true);
  expect((await failure(other.notify({ text: "revoked" }))).code).toBe(Status.UNAUTHENTICATED);
});

test("one-way calls over push and pull, to hosts that connect", async () => {
  const curve = server();
  const channel = brief(new Channel(anywhere, { attach: "bind", binding: oneWays(curve) }));
  await channel.open();
  const intruder = await pullHost(client(stranger), channel.address, "connect");
  await until(() => intruder.troubles.join().includes("does not let this one in"));
  const first = await pullHost(client(alice), channel.address, "connect");
  const { notify } = channel.client(oneWay);
  await notify({ text: "one" }, { waitForReady: true });
  await until(() => first.texts.length === 1);
  curve.revoke(alice.publicKey);
  await until(() => first.troubles.join().includes("does not let this one in"));
  const second = await pullHost(client(bob), channel.address, "connect");
  await notify({ text: "two" }, { waitForReady: true });
  await until(() => second.texts.length === 1);
  expect([first.texts, second.texts, intruder.texts]).toEqual([["one"], ["two"], []]);
});

test("a device that binds one side and connects the other", async () => {
  const { host, texts } = await pullHost(server(), anywhere, "bind");
  const device = track(
    new StreamerDevice({
      frontend: anywhere,
      backend: { address: host.address, attach: "connect" },
      zeromq: { ...quick, curve: [server(), client(alice)] as CurveOption },
    }),
  );
  await device.open();
  const channel = brief(new Channel(device.addresses.frontend[0]!, { binding: oneWays(client(bob)) }));
  await channel.client(oneWay).notify({ text: "through" });
  await until(() => texts.length === 1);
});
