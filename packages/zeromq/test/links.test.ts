import { expect, test } from "@jest/globals";
import { Dealer } from "zeromq";
import { zeromq } from "../src/index.ts";
import { answering, bind, connect, End, native, pair, pause, raw, textOf } from "./support.ts";

const transports = [
  ["tcp", "tcp://127.0.0.1:0"],
  ["ipc", "ipc://*"],
  ["inproc", "inproc://links"],
  ["ws", "ws://127.0.0.1:0"],
  ["ws with a path", "ws://127.0.0.1:*/rpc"],
] as const;

/** inproc has connections, but nothing tells when one ends at the other end. */
const withLossNotice = transports.filter(([name]) => name !== "inproc");

test.each(transports)("%s: messages of several frames go both ways, in order", async (_name, address) => {
  const { atServer, atClient } = await pair(address);
  for (let index = 0; index < 100; index++) {
    expect(atClient.link.send([native(`a${index}`), Buffer.from("more"), Buffer.alloc(0)])).toBe(true);
    expect(atServer.link.send([native(`b${index}`), Buffer.alloc(2000, "x")])).toBe(true);
  }
  for (let index = 0; index < 100; index++) {
    expect(await atServer.messages.next()).toBe(`a${index}|more|`);
    expect(await atClient.messages.next()).toBe(`b${index}|${"x".repeat(2000)}`);
  }
});

test.each(transports)(
  "%s: the connecting end may start first, and its greeting comes first",
  async (_name, address) => {
    const early = await bind(address);
    const real = early.address;
    await early.close();
    const client = await connect(real);
    if (!real.startsWith("inproc:")) expect(await client.troubles.next()).toContain(real);
    const server = await bind(real, { end: answering() });
    const atServer = await server.links.next();
    expect(await atServer.messages.next()).toBe("hello");
    expect(await (await client.links.next()).messages.next()).toBe("welcome");
  },
);

test.each(withLossNotice)(
  "%s: a lost link tells so once, and the next one begins with the greeting",
  async (_name, address) => {
    const { server, client, atServer, atClient } = await pair(address);
    for (let index = 0; index < 200; index++) atServer.send(`last words ${index}`);
    await server.close(1000);
    expect(await atClient.losses.next()).toBe("the connection was lost");
    // What had arrived before is not thrown away.
    expect(atClient.messages.all.at(-1)).toBe("last words 199");
    expect(atClient.send("too late")).toBe(false);
    expect(atServer.losses.all).toEqual([]);

    const restarted = await bind(server.address, { end: answering() });
    const again = await restarted.links.next();
    expect(await again.messages.next()).toBe("hello");
    const next = await client.links.next();
    expect(next).not.toBe(atClient);
    next.send("works again");
    expect(await again.messages.next()).toBe("works again");
    expect(atClient.losses.all).toHaveLength(1);
  },
);

test("tcp: nothing sent on a lost link reaches the peer's successor, even if it was sent before the loss was noticed", async () => {
  const { server, client, atClient } = await pair("tcp://127.0.0.1:0");
  await server.close();
  const restarted = await bind(server.address, { end: answering() });
  // The event loop is busy: notices pile up unread while ZeroMQ's own thread goes on.
  const until = performance.now() + 400;
  while (performance.now() < until) atClient.send("stray");
  const again = await restarted.links.next();
  (await client.links.next()).send("the first that is meant");
  // What had strayed would have come before.
  await again.messages.find((text) => text === "the first that is meant");
  expect(again.messages.all).toEqual(["hello", "the first that is meant"]);
});

test.each(transports)(
  "%s: when the connecting end goes, its link at the bound end is lost after its last message",
  async (_name, address) => {
    const { client, atServer, atClient } = await pair(address);
    for (let index = 0; index < 200; index++) atClient.send(`last words ${index}`);
    await client.close(1000);
    expect(await atServer.losses.next()).toBe("the peer disconnected");
    expect(atServer.messages.all.at(-1)).toBe("last words 199");
    expect(atServer.send("anybody?")).toBe(false);
    expect(atClient.losses.all).toEqual([]);
  },
);

test.each(transports)("%s: close of a link connects anew, without lost", async (_name, address) => {
  const { server, client, atServer, atClient } = await pair(address);
  atClient.send("goodbye");
  atClient.link.close();
  atClient.link.close();
  expect(atClient.send("late")).toBe(false);
  expect(await atServer.messages.next()).toBe("goodbye");
  await atServer.losses.next();
  const [newAtServer, newAtClient] = [await server.links.next(), await client.links.next()];
  expect(await newAtServer.messages.next()).toBe("hello");
  newAtServer.send("still here");
  expect(await newAtClient.messages.find((text) => text !== "welcome")).toBe("still here");
  expect(atClient.losses.all).toEqual([]);
  expect(client.links.all).toHaveLength(2);
});

test.each(transports)("%s: retire makes a successor while the old link goes on", async (_name, address) => {
  const { server, client, atServer, atClient } = await pair(address);
  atClient.link.retire();
  atClient.link.retire();
  const [newAtServer, newAtClient] = [await server.links.next(), await client.links.next()];
  atClient.send("from the old one");
  newAtClient.send("from the new one");
  expect(await atServer.messages.next()).toBe("from the old one");
  expect(await newAtServer.messages.find((text) => text !== "hello")).toBe("from the new one");
  atServer.send("to the old one");
  expect(await atClient.messages.next()).toBe("to the old one");
  atClient.link.close();
  await atServer.losses.next();
  await pause(100);
  expect(client.links.all).toHaveLength(2);
});

test("close of a link at the bound end forgets the peer; what it sends later makes a new link", async () => {
  const { server, atServer, atClient } = await pair("tcp://127.0.0.1:0");
  atServer.link.close();
  atServer.link.close();
  expect(atServer.send("late")).toBe(false);
  atClient.send("are you there?");
  const next = await server.links.next();
  expect(await next.messages.next()).toBe("are you there?");
  expect(await atClient.messages.next()).toBe("welcome");
  expect(atServer.messages.all).toEqual(["hello"]);
  expect(atServer.losses.all).toEqual([]);
});

test("a listener may close a link while it accepts it", async () => {
  const server = new End();
  server.onLink = (recorded) => {
    recorded.send("refused");
    recorded.link.close();
  };
  await bind("tcp://127.0.0.1:0", { end: server });
  const client = new End();
  client.onLink = (recorded) => recorded.link.close();
  await connect(server.address, { end: client });
  const first = await client.links.next();
  await client.links.next();
  expect(first.messages.all).toEqual([]);
  expect(first.losses.all).toEqual([]);
  expect(server.links.all[0]!.messages.all).toEqual([]);
});

test("close of an attachment is idempotent, ends its links without lost, and frees the address", async () => {
  const { server, client, atServer, atClient } = await pair("tcp://127.0.0.1:0");
  await Promise.all([server.close(), server.close(50), client.close(), client.close()]);
  expect(atServer.send("late")).toBe(false);
  expect(atClient.send("late")).toBe(false);
  atServer.link.close();
  atClient.link.close();
  atClient.link.retire();
  expect([...atServer.losses.all, ...atClient.losses.all]).toEqual([]);
  await bind(server.address);
});

test("queued messages get the linger time to leave", async () => {
  const { client, atServer, atClient } = await pair("tcp://127.0.0.1:0");
  const chunk = Buffer.alloc(256 * 1024, "x");
  for (let index = 0; index < 200; index++) atClient.link.send([native(`${index}`), chunk]);
  await client.close(10_000);
  await atServer.losses.next();
  expect(atServer.messages.all).toHaveLength(201);
});

test("an address that was closed while nobody was there can be closed at once", async () => {
  const server = await bind("tcp://127.0.0.1:0");
  await server.close();
  const client = await connect(server.address);
  await client.troubles.next();
  const started = performance.now();
  await client.close(5_000);
  expect(performance.now() - started).toBeLessThan(1_000);
});

test("a greeting that nobody answers is repeated on a new connection", async () => {
  const mute = await bind("tcp://127.0.0.1:0");
  const client = await connect(mute.address, { answerTimeoutMs: 150 });
  expect(await client.troubles.next()).toBe(
    `${mute.address}: connected, but the other end did not answer within 150 ms; trying again`,
  );
  const first = await mute.links.next();
  expect(await first.losses.next()).toBe("the peer disconnected");
  expect(await (await mute.links.next()).messages.next()).toBe("hello");
});

test("inproc: a server that came back is found, since the greeting is repeated", async () => {
  const first = await bind("inproc://comes-back", { end: new End() });
  const client = await connect("inproc://comes-back", { answerTimeoutMs: 100 });
  await first.links.next();
  await first.close();
  const second = await bind("inproc://comes-back", { end: answering() });
  await second.links.next();
  expect(await (await client.links.next()).messages.next()).toBe("welcome");
});

test("inproc: a client that was closed before the name was bound leaves nothing that lasts", async () => {
  const gone = await connect("inproc://never-met");
  await gone.close();
  const server = await bind("inproc://never-met", { end: answering() });
  await (await connect("inproc://never-met")).links.next();
  // The greeting of the first may still come, but answering it shows that nobody is there.
  for (const recorded of server.links.all.slice(0, -1)) expect(await recorded.losses.next()).toContain("peer");
});

test("inproc: one that waits for long for its name does not pile up greetings", async () => {
  const client = await connect("inproc://late", { answerTimeoutMs: 20 });
  await pause(200);
  const server = await bind("inproc://late", { end: answering() });
  await client.links.next();
  const link = await server.links.next();
  client.links.all[0]!.send("after it");
  await link.messages.find((text) => text === "after it");
  expect(link.messages.all).toEqual(["hello", "after it"]);
  expect([...server.troubles.all, ...client.troubles.all]).toEqual([]);
});

test("a greeting without the empty frame, as HELLO_MSG sends it, belongs to the same link as what follows", async () => {
  const server = await bind("tcp://127.0.0.1:0", { end: answering() });
  const dealer = raw(new Dealer());
  (dealer as unknown as { setStringOption(option: number, value: Buffer): void }).setStringOption(110, native("hello"));
  dealer.connect(server.address);
  expect(textOf(await dealer.receive())).toBe("|welcome");
  await dealer.send([Buffer.alloc(0), native("next")]);
  const link = await server.links.next();
  expect([await link.messages.next(), await link.messages.next()]).toEqual(["hello", "next"]);
  expect(server.links.all).toHaveLength(1);
});

test("without a greeting, the end that connects waits for the other to begin", async () => {
  const dealers = await bind("tcp://127.0.0.1:0");
  const end = new End();
  end.attachment = await zeromq().attach(dealers.address, { mode: "connect", maxFrameBytes: 1024 }, end);
  await pause(50);
  expect(end.links.all).toEqual([]);
  expect(dealers.links.all).toEqual([]);
  await end.close();
});

test("links say where the peer is", async () => {
  const { server, atServer, atClient } = await pair("tcp://127.0.0.1:0");
  expect(atClient.link.remoteAddress).toBe(server.address);
  expect(atServer.link.remoteAddress).toMatch(new RegExp(`^${server.address} peer [0-9a-f]{10}$`));
});

test("over inproc, the end that connects finds out that the other has gone, and finds its successor", async () => {
  const quickly = { heartbeatIntervalMs: 20 };
  const first = await bind("inproc://successor", { end: answering() });
  const client = await connect("inproc://successor", quickly);
  const link = await client.links.next();
  await first.close();
  expect(await link.losses.next()).toBe("the connection broke");
  const second = await bind("inproc://successor", { end: answering() });
  await client.links.next();
  expect(await (await second.links.next()).messages.next()).toBe("hello");
});
