import { existsSync, readdirSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { Channel, Status, binding } from "@zerobind/core";
import type { ChannelOptions } from "@zerobind/core";
import { plainWorkers, zeromq } from "@zerobind/zeromq";
import { Dealer, Pull, Reply } from "zeromq";
import { EchoReply, EchoRequest } from "../../core/test/gen/test/v1/behavior.pb.ts";
import { answerEcho, unary } from "./plain-support.ts";
import type { Frames } from "./plain-support.ts";
import { pythonPeer, withPython } from "./python.ts";
import { raw, track } from "./support.ts";

/** A channel that is bound for workers. */
async function bound(address = "tcp://127.0.0.1:*", options: ChannelOptions = {}): Promise<Channel> {
  const channel = new Channel(address, { attach: "bind", binding: binding(plainWorkers()), ...options });
  await channel.open();
  return track(channel);
}

/** A REP that connects, answers as it is told, and notes what it was asked. */
function worker(address: string, answer: (frames: Frames) => Frames | Promise<Frames> = answerEcho) {
  const socket = raw(new Reply());
  socket.connect(address);
  const seen: Frames[] = [];
  void (async () => {
    try {
      for await (const frames of socket) {
        seen.push(frames);
        await socket.send((await answer(frames)) as Buffer[]);
      }
    } catch {
      // It was closed.
    }
  })();
  return { socket, seen };
}

test.each(["tcp://127.0.0.1:*", "ipc://*"])(
  "REP sockets that connect to a channel at %s do its work, each one call at a time",
  async (address) => {
    const channel = await bound(address);
    expect(channel.address).toMatch(address.startsWith("tcp") ? /^tcp:\/\/127\.0\.0\.1:\d+$/ : /^ipc:\/\//);
    const client = channel.client(unary);
    const early = client.echo({ text: "early" }, { waitForReady: true });
    let [running, most] = [0, 0];
    const slowly = async (frames: Frames): Promise<Frames> => {
      most = Math.max(most, ++running);
      await delay(20);
      running -= 1;
      return answerEcho(frames);
    };
    const workers = [worker(channel.address, slowly), worker(channel.address, slowly)];
    expect(await early).toMatchObject({ text: "EARLY" });
    while (!workers.every(({ seen }) => seen.length > 0)) await client.echo({ text: "x" });
    const started = performance.now();
    const replies = await Promise.all(Array.from({ length: 20 }, (_, index) => client.echo({ text: `t${index}` })));
    expect(replies.map(({ text }) => text)).toEqual(replies.map((_, index) => `T${index}`));
    expect(performance.now() - started).toBeLessThan(390);
    expect(most).toBe(2);
    expect(workers[0]!.seen[0]).toHaveLength(2);
  },
);

test("one that is slow gets no work that another could do", async () => {
  const channel = await bound();
  const client = channel.client(unary);
  const slow = worker(channel.address, (frames) => delay(400).then(() => answerEcho(frames)));
  const first = client.echo({ text: "slow" }, { waitForReady: true });
  while (slow.seen.length === 0) await delay(5);
  const quick = worker(channel.address);
  await Promise.all(Array.from({ length: 50 }, () => client.echo({ text: "quick" })));
  expect(await first).toMatchObject({ text: "SLOW" });
  expect([slow.seen.length, quick.seen.length]).toEqual([1, 50]);
});

test("one that vanishes takes only the call that it held; others go on", async () => {
  const channel = await bound();
  const client = channel.client(unary);
  const lost = worker(channel.address, () => new Promise<Frames>(() => undefined));
  const held = client.echo({ text: "held" }, { waitForReady: true });
  while (lost.seen.length === 0) await delay(5);
  const waiting = client.echo({ text: "waiting" });
  lost.socket.close();
  await expect(held).rejects.toMatchObject({ code: Status.UNAVAILABLE });
  await expect(held).rejects.toThrow("whether it was carried out is not known");
  worker(channel.address);
  expect(await waiting).toMatchObject({ text: "WAITING" });
});

test("an idempotent call that a vanished worker held goes to another one", async () => {
  const channel = await bound(undefined, { retry: {} });
  const client = channel.client(unary);
  const lost = worker(channel.address, () => new Promise<Frames>(() => undefined));
  const held = client.ping({ sequence: 5 }, { waitForReady: true });
  while (lost.seen.length === 0) await delay(5);
  worker(channel.address, ([, body]) => [Buffer.alloc(0), body!]);
  lost.socket.close();
  expect(await held).toEqual({ sequence: 5 });
});

test("one whose call was cancelled gets the next when it has answered, and others get work meanwhile", async () => {
  const channel = await bound();
  const client = channel.client(unary);
  let release!: () => void;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const busy = worker(channel.address, async (frames) => {
    await gate;
    return answerEcho(frames);
  });
  const cancelled = client.echo({ text: "cancelled" }, { timeoutMs: 300, waitForReady: true });
  await expect(cancelled).rejects.toMatchObject({ code: Status.DEADLINE_EXCEEDED });
  const waiting = client.echo({ text: "waiting" });
  await delay(50);
  expect(busy.seen).toHaveLength(1);
  const other = worker(channel.address);
  expect(await waiting).toMatchObject({ text: "WAITING" });
  other.socket.close();
  // What is sent before its end is known would be lost with it.
  while (channel.connected) await delay(5);
  const again = client.echo({ text: "again" }, { waitForReady: true });
  release();
  expect(await again).toMatchObject({ text: "AGAIN" });
  expect(busy.seen).toHaveLength(2);
});

test("one-way calls occupy a worker until it has answered", async () => {
  const channel = await bound();
  const client = channel.client(unary);
  let [running, most] = [0, 0];
  const { seen } = worker(channel.address, async () => {
    most = Math.max(most, ++running);
    await delay(5);
    running -= 1;
    return [Buffer.alloc(0), Buffer.alloc(0)];
  });
  for (let index = 0; index < 10; index++) await client.notify({ text: `${index}` }, { waitForReady: true });
  await channel.close();
  while (seen.length < 10) await delay(5);
  expect(most).toBe(1);
});

test("a channel that is restarted finds its workers again", async () => {
  const first = await bound();
  const { address } = first;
  worker(address);
  expect(await first.client(unary).echo({ text: "a" }, { waitForReady: true })).toMatchObject({ text: "A" });
  await first.close();
  const second = await bound(address);
  expect(await second.client(unary).echo({ text: "b" }, { waitForReady: true })).toMatchObject({ text: "B" });
});

test("a worker that binds is called by a channel that connects", async () => {
  const socket = raw(new Reply());
  await socket.bind("tcp://127.0.0.1:*");
  void (async () => {
    const frames = await socket.receive();
    await socket.send(answerEcho(frames) as Buffer[]);
  })();
  const channel = track(new Channel(socket.lastEndpoint!, { binding: binding(plainWorkers()) }));
  expect(await channel.client(unary).echo({ text: "x" })).toMatchObject({ text: "X" });
});

test("large messages pass whole, both ways", async () => {
  const channel = await bound();
  worker(channel.address, ([, body]) => {
    const { data } = EchoRequest.decode(body!);
    return [Buffer.alloc(0), Buffer.from(EchoReply.encode({ text: "", data }).finish())];
  });
  const data = Buffer.alloc(3_500_000, 3);
  const reply = await channel.client(unary).echo({ data }, { waitForReady: true });
  expect(Buffer.compare(reply.data, data)).toBe(0);
});

test("what connects and is no REP is turned away, and harms nobody", async () => {
  const troubles: string[] = [];
  const channel = await bound(undefined, { onTrouble: (text) => troubles.push(text) });
  const port = Number(/:(\d+)$/.exec(channel.address)![1]);
  const http = connectTcp(port, "127.0.0.1", () => http.write("GET / HTTP/1.1\r\n\r\n"));
  const mute = connectTcp(port, "127.0.0.1");
  for (const socket of [http, mute]) {
    socket.on("error", () => undefined);
    track({ close: () => socket.destroy() });
  }
  const pull = raw(new Pull());
  pull.connect(channel.address);
  const native = raw(new Dealer());
  native.connect(channel.address);
  await native.send([Buffer.alloc(0), Buffer.from("c501010000000000", "hex")]);
  while (!troubles.some((text) => text.includes("no REP socket"))) await delay(5);
  native.close();
  worker(channel.address);
  const client = channel.client(unary);
  expect(await client.echo({ text: "x" }, { waitForReady: true })).toMatchObject({ text: "X" });
});

test("an address in use, or that other machines reach, is refused with a reason", async () => {
  const { address } = await bound();
  await expect(bound(address)).rejects.toThrow(`cannot bind ${address}: it is in use by another process`);
  expect(() => new Channel("tcp://*:0", { attach: "bind", binding: binding(plainWorkers()) })).toThrow(
    "insecure: true",
  );
  expect(() => new Channel("ws://127.0.0.1:0", { attach: "bind", binding: binding(plainWorkers()) })).toThrow(
    "peers of the plain profile can connect to tcp://, ipc://",
  );
  expect(() => new Channel("ipc://@name", { attach: "bind", binding: binding(plainWorkers()) })).toThrow("has no file");
  expect(() => zeromq({ profile: "odd" as "plain" })).toThrow('must be "native" or "plain", not "odd"');
});

test("nothing is left behind by a channel that is closed", async () => {
  const folders = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith("zerobind-"));
  const before = folders();
  const channel = await bound("ipc://*");
  const { address } = channel;
  const { seen } = worker(address);
  await channel.client(unary).echo({ text: "x" }, { waitForReady: true });
  expect(seen).toHaveLength(1);
  await channel.close();
  expect(folders()).toEqual(before);
  expect(existsSync(address.slice("ipc://".length))).toBe(false);
});

const repWorker = (address: string, seconds: number): string => `
socket = context.socket(zmq.REP)
socket.connect("${address}")
say("up")
while True:
    method, body = socket.recv_multipart()
    say("got")
    time.sleep(${seconds})
    socket.send_multipart([b"", body])
`;

withPython("workers in Python share the work, and one that is killed costs its own call only", async () => {
  const channel = await bound();
  const client = channel.client(unary);
  const peers = [pythonPeer(repWorker(channel.address, 0.3)), pythonPeer(repWorker(channel.address, 0.3))];
  await Promise.all(peers.map((peer) => peer.line()));
  // Both are connected when both have had a call.
  const first = [1, 2].map((sequence) => client.ping({ sequence }, { waitForReady: true, timeoutMs: 10_000 }));
  await Promise.all([...first, ...peers.map((peer) => peer.line())]);
  const started = performance.now();
  const both = [1, 2].map((sequence) => client.ping({ sequence }));
  expect((await Promise.all(both)).map(({ sequence }) => sequence)).toEqual([1, 2]);
  expect(performance.now() - started).toBeLessThan(580);
  await Promise.all(peers.map((peer) => peer.line()));
  const last = ["3", "4", "5"].map((text) => client.echo({ text }, { timeoutMs: 10_000 }));
  const outcomes = Promise.allSettled(last);
  await peers[0]!.line();
  await peers[0]!.close();
  const ended = await outcomes;
  expect(ended.filter(({ status }) => status === "rejected")).toHaveLength(1);
  expect(ended.find((each) => each.status === "rejected")!.reason).toMatchObject({ code: Status.UNAVAILABLE });
});
