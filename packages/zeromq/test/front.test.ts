import { readdirSync } from "node:fs";
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { Dealer } from "zeromq";
import { zeromq } from "../src/index.ts";
import { prefaceLength } from "../src/front/handshake-watch.ts";
import { WsFrames } from "../src/front/ws-frames.ts";
import { clientOf, secureHost } from "./curve-support.ts";
import { track } from "./support.ts";

const portOf = (address: string): number => Number(/:(\d+)(?:\/.*)?$/.exec(address)![1]);
const openFiles = (): number => readdirSync("/proc/self/fd").length;

/** A connection that says something, and then nothing. */
async function stranger(address: string, says: Uint8Array | string = ""): Promise<Socket> {
  const socket = connect(portOf(address), "127.0.0.1");
  track({ close: () => void socket.destroy() });
  socket.on("error", () => undefined).resume();
  await once(socket, "connect");
  if (says.length > 0) socket.write(says);
  return socket;
}

async function ended(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket, "close");
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(5);
}

const upgrade = [
  "GET / HTTP/1.1",
  "Host: x",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Protocol: ZWS2.0/CURVE",
  "Sec-WebSocket-Version: 13",
  "\r\n",
].join("\r\n");

/** A frame of a client, masked with zeros. */
function frame(first: number, payload: readonly number[], mask = 0x80): Buffer {
  const length =
    payload.length < 126 ? [mask | payload.length] : [mask | 126, payload.length >> 8, payload.length & 0xff];
  return Buffer.from([first, ...length, ...(mask ? [0, 0, 0, 0] : []), ...payload]);
}

const message = frame(
  0x82,
  Array.from({ length: 300 }, () => 7),
);
const ping = frame(0x89, [1, 2]);

/** Frames that libzmq stops reading at without closing the connection. */
const wrongFrames = {
  text: frame(0x81, [1]),
  continuation: frame(0x80, [1]),
  "not the last": frame(0x02, [1]),
  "with a reserved bit": frame(0xc2, [1]),
  unknown: frame(0x83, [1]),
  "not masked": frame(0x82, [1], 0),
  empty: frame(0x82, []),
};

test("frames of WebSockets are followed, however they are cut", () => {
  const whole = Buffer.concat([ping, message, frame(0x88, []), message]);
  for (const size of [1, 2, 3, 7, 100, 306, 1_000]) {
    const frames = new WsFrames();
    let seenAt = -1;
    for (let at = 0; at < whole.length; at += size) {
      expect(frames.accept(whole.subarray(at, at + size))).toBe(true);
      if (frames.hasMessage && seenAt < 0) seenAt = Math.min(whole.length, at + size);
    }
    expect(seenAt).toBeGreaterThanOrEqual(ping.length + message.length);
    expect(seenAt).toBeLessThan(ping.length + message.length + size);
  }
});

test.each(Object.entries(wrongFrames))("a frame that is %s is none of ZeroMQ's, at any place", (_, wrong) => {
  expect(new WsFrames().accept(wrong)).toBe(false);
  const frames = new WsFrames();
  expect(frames.accept(message)).toBe(true);
  expect([...wrong].every((byte) => frames.accept(Uint8Array.of(byte)))).toBe(false);
});

test("control frames are short", () => {
  expect(
    new WsFrames().accept(
      frame(
        0x89,
        Array.from({ length: 126 }, () => 0),
      ),
    ),
  ).toBe(false);
});

test("what a client begins with is bounded", () => {
  expect(prefaceLength("ws", Buffer.from(upgrade))).toBe(upgrade.length);
  expect(prefaceLength("ws", Buffer.concat([Buffer.from(upgrade), message]))).toBe(upgrade.length);
  // What a web page opens would reach addresses of the machine that shows it.
  const ofWebPage = upgrade.replace("\r\n", "\r\norigin: https://example.com\r\n");
  expect(prefaceLength("ws", Buffer.from(ofWebPage))).toBe("wrong");
  expect(prefaceLength("ws", Buffer.from("GET / HTTP/1.1\r\n"))).toBe("more");
  for (const wrong of ["SSH-2.0", "get ", "G ", `GET ${"a".repeat(9_000)}`, `GET ${"a".repeat(8_190)}\r\n\r\n`])
    expect(prefaceLength("ws", Buffer.from(wrong))).toBe("wrong");
  expect(prefaceLength("tcp", Buffer.from([0xff, 0, 0]))).toBe("more");
  expect(prefaceLength("tcp", Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3]))).toBe(10);
  expect(prefaceLength("tcp", Buffer.from("GET"))).toBe("wrong");
});

test.each(["", "GET / HT", upgrade])(
  "a ws connection that says only %j is cut in time, and its file closed",
  async (says) => {
    const host = await secureHost({}, { handshakeTimeoutMs: 200 }, "ws://127.0.0.1:*");
    const { client } = clientOf(host, host.alice);
    await client.echo({ text: "before" });
    const before = openFiles();
    await Promise.all(Array.from({ length: 20 }, async () => ended(await stranger(host.address, says))));
    await until(() => openFiles() <= before);
    expect(await client.echo({ text: "after" })).toMatchObject({ text: "after" });
    expect(host.troubles.join()).toContain("was cut, since it did not finish its handshake within 200 ms");
  },
);

test.each(Object.entries(wrongFrames))(
  "a ws connection with a frame that is %s leaves no file open",
  async (_, wrong) => {
    const host = await secureHost({}, {}, "ws://127.0.0.1:*");
    const before = openFiles();
    const socket = await stranger(host.address, Buffer.concat([Buffer.from(upgrade), wrong]));
    await ended(socket);
    await until(() => openFiles() <= before);
    expect(host.troubles.join()).toContain("sent a frame that is none of ZeroMQ's");
  },
);

test.each(["tcp://127.0.0.1:*", "ws://127.0.0.1:*"])("at %s strangers make room, and clients do not", async (at) => {
  const host = await secureHost({}, { maxConnections: 3, handshakeTimeoutMs: 30_000 }, at);
  const first = clientOf(host, host.alice);
  await first.client.echo({ text: "first" });
  const strangers = [await stranger(host.address), await stranger(host.address)];
  const second = clientOf(host, host.alice);
  await second.client.echo({ text: "second" });
  await ended(strangers[0]!);
  expect(strangers[1]!.closed).toBe(false);
  await clientOf(host, host.alice).client.echo({ text: "third" });
  await ended(strangers[1]!);
  await ended(await stranger(host.address));
  expect(host.troubles.join()).toContain("as many as the option maxConnections allows");
  for (const { client } of [first, second]) await client.echo({ text: "still there" });
  await first.channel.close();
  await clientOf(host, host.alice).client.echo({ text: "fourth" }, { waitForReady: true });
});

test("a client over ws is known by the address that it comes from", async () => {
  const seen: string[] = [];
  const host = await secureHost(
    { allow: (_, { address }) => Promise.resolve(`number ${seen.push(address)}`) },
    {},
    "ws://127.0.0.1:*",
  );
  await clientOf(host, host.alice).client.echo({ text: "x" });
  expect(new Set(seen)).toEqual(new Set(["127.0.0.1"]));
});

test("a ws address in use is refused, and leaves nothing behind", async () => {
  const { address } = await secureHost({}, {}, "ws://127.0.0.1:*");
  const before = openFiles();
  await expect(secureHost({}, {}, address)).rejects.toThrow("it is in use by another process");
  await until(() => openFiles() <= before);
});

test("a ws address with a path, and one of a name, work", async () => {
  for (const at of ["ws://127.0.0.1:*/rpc", "ws://localhost:0", "ws://lo:0"]) {
    const host = await secureHost({}, {}, at);
    expect(host.address).toMatch(at.endsWith("rpc") ? /^ws:\/\/127\.0\.0\.1:\d+\/rpc$/ : /^ws:\/\/127\.0\.0\.1:\d+$/);
    await clientOf(host, host.alice).client.echo({ text: "x" });
  }
});

test("large messages pass a front whole, both ways", async () => {
  const host = await secureHost({}, { maxConnections: 10 }, "ws://127.0.0.1:*");
  const text = "0123456789".repeat(200_000);
  expect(await clientOf(host, host.alice).client.echo({ text })).toMatchObject({ text });
});

test("maxConnections is a number of connections", () => {
  for (const wrong of [0, -1, 1.5, "5", NaN])
    expect(() => zeromq({ maxConnections: wrong as number })).toThrow("option maxConnections of zeromq() must be");
});

test("what is not proved yet is bounded by its bytes, and hops by their length", async () => {
  const host = await secureHost({ allowTimeoutMs: 1_000 }, { handshakeTimeoutMs: 20_000 });
  const { alice, serverKeys } = host;
  const dealer = new Dealer({
    linger: 0,
    curveServerKey: serverKeys.publicKey,
    curvePublicKey: alice.publicKey,
    curveSecretKey: alice.secretKey,
  });
  track({ close: () => dealer.close() });
  dealer.connect(host.address);
  const greeting = Buffer.alloc(60_000);
  greeting.set([0xc5, 1, 1, 0]);
  for (let visit = 0; visit < 20; visit++) await dealer.send([`visit ${visit}`, "", greeting]);
  await until(() => host.troubles.some((text) => text.includes("one too many who have not said who they are")));
  await dealer.send([Buffer.alloc(256, 1), "", greeting]);
  await until(() => host.troubles.some((text) => text.includes("has a hop of more than 255 bytes")));
  await clientOf(host, alice).client.echo({ text: "polite" });
});
