import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { Channel, ServiceHost, Status, binding, partial } from "@zerobind/core";
import type { ChannelOptions, ServiceHostOptions } from "@zerobind/core";
import { pushPull } from "@zerobind/zeromq";
import type { PushPullOptions } from "@zerobind/zeromq";
import { Pull, Push } from "zeromq";
import { Notice } from "../../core/test/gen/test/v1/behavior.pb.ts";
import { Behavior } from "../../core/test/gen/test/v1/behavior.rpc.ts";
import { oneWay } from "./plain-support.ts";
import { pythonPeer, withPython } from "./python.ts";
import { raw, track } from "./support.ts";

const quick = { reconnectMinMs: 20, reconnectMaxMs: 100 };
const stack = (options: PushPullOptions = {}) => binding(pushPull({ ...quick, ...options }));

interface Served {
  readonly host: ServiceHost;
  readonly seen: string[];
}

async function serve(
  endpoint: { address: string; attach: "bind" | "connect" },
  options: PushPullOptions = {},
  more: Partial<ServiceHostOptions> = {},
  notify: (text: string) => void | Promise<void> = () => undefined,
): Promise<Served> {
  const host = track(new ServiceHost({ binding: stack(options), onError: () => undefined, ...more }));
  const seen: string[] = [];
  host.serve(
    oneWay,
    partial(oneWay, {
      async notify({ text }) {
        seen.push(text);
        await notify(text);
      },
    }),
  );
  await host.open(endpoint);
  return { host, seen };
}

function channelTo(address: string, options: PushPullOptions = {}, more: Partial<ChannelOptions> = {}): Channel {
  return track(new Channel(address, { binding: stack(options), connectTimeoutMs: 500, ...more }));
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(5);
}

const texts = (count: number): string[] => Array.from({ length: count }, (_, index) => `${index}`);

test.each(["tcp://127.0.0.1:*", "ipc://*", "ws://127.0.0.1:0"])(
  "one-way calls over %s, either end bound",
  async (address) => {
    const { host, seen } = await serve({ address, attach: "bind" });
    const client = channelTo(host.address).client(oneWay);
    for (const text of texts(100)) await client.notify({ text });
    await until(() => seen.length === 100);
    expect(seen).toEqual(texts(100));

    const bound = channelTo(address, {}, { attach: "bind" });
    await bound.open();
    const early = bound.client(oneWay).notify({ text: "early" }, { waitForReady: true });
    const other = await serve({ address: bound.address, attach: "connect" });
    await early;
    await until(() => other.seen.length === 1);
    expect(other.seen).toEqual(["early"]);
  },
);

test("contracts that want replies are refused on both ends, with the methods", async () => {
  const list =
    "the push/pull transport cannot carry test.v1.Behavior/Echo (replies), test.v1.Behavior/Count (replies, streams), " +
    "test.v1.Behavior/Sum (replies, streams), test.v1.Behavior/Relay (replies, streams), test.v1.Behavior/Fail (replies), " +
    "test.v1.Behavior/Ping (replies); use another binding";
  expect(() => channelTo("tcp://127.0.0.1:5555").client(Behavior)).toThrow(list);
  const host = track(new ServiceHost({ binding: stack() }));
  host.serve(Behavior, partial(Behavior, { echo: () => ({}), notify: () => undefined }));
  await expect(host.open("tcp://127.0.0.1:*")).rejects.toThrow("test.v1.Behavior/Echo (replies); use another binding");
});

test("while nobody is there, calls end UNAVAILABLE after the connect time-out, or wait", async () => {
  const client = channelTo("tcp://127.0.0.1:1").client(oneWay);
  await expect(client.notify({})).rejects.toMatchObject({ code: Status.UNAVAILABLE });
  await expect(client.notify({}, { waitForReady: true, timeoutMs: 700 })).rejects.toMatchObject({
    code: Status.DEADLINE_EXCEEDED,
  });
});

test("a host that is full receives no more, and callers wait in the end", async () => {
  let release!: () => void;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const limits = { maxRunningCalls: 2, highWaterMark: 1 };
  const { host, seen } = await serve({ address: "tcp://127.0.0.1:*", attach: "bind" }, limits, {}, () => gate);
  const channel = channelTo(host.address, { maxWaitingCalls: 5, highWaterMark: 1 });
  const client = channel.client(oneWay);
  let sent = 0;
  // Large ones, since TCP keeps some megabytes of its own.
  const fails = "x".repeat(1_000_000);
  const all = (async () => {
    for (const text of texts(60)) {
      await client.notify({ text, failWith: fails }, { waitForReady: true });
      sent += 1;
    }
  })();
  await until(() => seen.length === 2);
  let before = -1;
  while (before !== sent) {
    before = sent;
    await delay(100);
  }
  expect(sent).toBeLessThan(50);
  expect(seen).toHaveLength(2);
  release();
  await all;
  await until(() => seen.length === 60);
  expect(seen).toEqual(texts(60));
});

test("calls go to all hosts in turn, and to those that are left", async () => {
  const channel = channelTo("tcp://127.0.0.1:*", {}, { attach: "bind" });
  await channel.open();
  const client = channel.client(oneWay);
  const first = await serve({ address: channel.address, attach: "connect" });
  await client.notify({ text: "a" }, { waitForReady: true });
  await until(() => first.seen.length === 1);
  const second = await serve({ address: channel.address, attach: "connect" });
  while (second.seen.length === 0) {
    await client.notify({ text: "b" });
    await delay(5);
  }
  await first.host.close();
  const before = second.seen.length;
  for (const text of texts(20)) await client.notify({ text });
  await until(() => second.seen.length === before + 20);
  await second.host.close();
  await until(() => !channel.connected);
  await expect(client.notify({})).rejects.toMatchObject({ code: Status.UNAVAILABLE });
});

test("what waits when the last host goes is delivered to the next", async () => {
  const socket = raw(new Pull({ receiveHighWaterMark: 1 }));
  await socket.bind("tcp://127.0.0.1:*");
  const address = socket.lastEndpoint!;
  const channel = channelTo(address, { highWaterMark: 1, maxWaitingCalls: 500 });
  const client = channel.client(oneWay);
  const failWith = "x".repeat(200_000);
  await client.notify({ text: "first" }, { waitForReady: true });
  for (const text of texts(100)) await client.notify({ text, failWith });
  // What has been taken is with the transport a few turns later.
  await delay(100);
  socket.close();
  await until(() => !channel.connected);
  await delay(50);
  const { seen: later } = await serve({ address, attach: "bind" });
  // The last is among those that had not left; what was on its way to the first is lost.
  await until(() => later.includes("99"));
  expect(later).toEqual(texts(100).slice(100 - later.length));
  expect(later.length).toBeGreaterThan(20);
});

test("those made right before close leave", async () => {
  const { host, seen } = await serve({ address: "tcp://127.0.0.1:*", attach: "bind" });
  const channel = channelTo(host.address);
  const client = channel.client(oneWay);
  await client.notify({ text: "0" }, { waitForReady: true });
  for (const text of texts(200).slice(1)) await client.notify({ text });
  await channel.close();
  await until(() => seen.length === 200);
  expect(seen).toEqual(texts(200));
});

test("bare PUSH and PULL sockets are peers; garbage is told of and dropped", async () => {
  const troubles: string[] = [];
  const { host, seen } = await serve(
    { address: "tcp://127.0.0.1:*", attach: "bind" },
    {},
    { onTrouble: (text) => troubles.push(text) },
  );
  const push = raw(new Push());
  push.connect(host.address);
  const notice = Buffer.from(Notice.encode({ text: "bare", failWith: "" }).finish());
  await push.send("rubbish");
  await push.send([Buffer.of(0xff, 0xfe), notice]);
  await push.send(["no.such.Service/Method", notice]);
  await push.send(["test.v1.Behavior/Notify", Buffer.from("rubbish")]);
  await push.send(["test.v1.Behavior/Notify", notice, Buffer.from("rubbish")]);
  await push.send(["test.v1.Behavior/Echo", notice]);
  await push.send(["test.v1.Behavior/Notify", notice]);
  await until(() => seen.length === 1);
  expect(seen).toEqual(["bare"]);
  expect(troubles.length).toBeGreaterThanOrEqual(2);

  const pull = raw(new Pull());
  await pull.bind("tcp://127.0.0.1:*");
  const client = channelTo(pull.lastEndpoint!).client(oneWay);
  await client.notify({ text: "out" });
  const [method, body, ...more] = await pull.receive();
  expect([method!.toString(), Notice.decode(body!).text, more]).toEqual(["test.v1.Behavior/Notify", "out", []]);
});

test("options that are none, or cannot be, are refused", () => {
  expect(() => pushPull({ nothing: 1 } as object)).toThrow('pushPull() has no option "nothing"');
  expect(() => pushPull({ highWaterMark: 0 })).toThrow("highWaterMark of pushPull() must be a whole number from 1");
  expect(() => pushPull({ bufferBytes: -1 })).toThrow("bufferBytes of pushPull() must be a whole number from 0");
  expect(() => new Channel("tcp://10.0.0.1:5", { binding: stack() })).toThrow("insecure: true");
});

withPython("PUSH and PULL in Python", async () => {
  const { host, seen } = await serve({ address: "tcp://127.0.0.1:*", attach: "bind" });
  pythonPeer(`
socket = context.socket(zmq.PUSH)
socket.connect("${host.address}")
for number in range(100):
    socket.send_multipart([b"test.v1.Behavior/Notify", b"\\x0a\\x02%02d" % number])
time.sleep(5)
`);
  await until(() => seen.length === 100);
  expect(seen.map(Number)).toEqual(texts(100).map(Number));
  const puller = pythonPeer(`
socket = context.socket(zmq.PULL)
say(socket.bind_to_random_port("tcp://127.0.0.1"))
while True:
    method, body = socket.recv_multipart()
    say(method.decode(), body.hex())
`);
  const client = channelTo(`tcp://127.0.0.1:${await puller.line()}`).client(oneWay);
  await client.notify({ text: "A" });
  expect(await puller.line()).toBe("test.v1.Behavior/Notify 0a0141");
});
