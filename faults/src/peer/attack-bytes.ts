import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { Dealer, curveKeyPair } from "zeromq";
import { within } from "./clock.ts";

/** Where something is bound: the scheme, and the port on 127.0.0.1. */
export interface Target {
  readonly scheme: "tcp" | "ws";
  readonly port: number;
  /** Its public key of CURVE. */
  readonly serverKey: string;
}

/** What a connection says before it falls silent. */
export type Beginning = "mute" | "half" | "greeting" | "hello";

const signature = Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f]);
const greeting = Buffer.concat([
  signature,
  Buffer.from([3, 1]),
  Buffer.from("CURVE".padEnd(20, "\0")),
  Buffer.alloc(32),
]);
/** A command of 200 bytes, in a frame of ZMTP or of a WebSocket. */
const helloBytes = { tcp: 202, ws: 209 };

function upgrade(port: number): Buffer {
  const lines = [
    "GET / HTTP/1.1",
    `Host: 127.0.0.1:${port}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: ZWS2.0/CURVE",
    "Sec-WebSocket-Version: 13",
  ];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`);
}

/** The bytes of each beginning. */
export async function beginnings(target: Target): Promise<Record<Beginning, Buffer>> {
  const whole = target.scheme === "ws" ? upgrade(target.port) : greeting;
  return { mute: Buffer.alloc(0), half: whole.subarray(0, 20), greeting: whole, hello: await helloOf(target) };
}

/** What a client of CURVE says up to its HELLO, which ends in the middle of the handshake when it is sent again. */
async function helloOf({ scheme, port, serverKey }: Target): Promise<Buffer> {
  const heard: Buffer[] = [];
  let isWhole = (): void => undefined;
  const whole = new Promise<void>((resolve) => (isWhole = resolve));
  const length = (): number => {
    const all = Buffer.concat(heard);
    const start = scheme === "ws" ? all.indexOf("\r\n\r\n") + 4 : greeting.length;
    return start < 4 ? Infinity : start + helloBytes[scheme];
  };
  const between = createServer((client) => {
    const server = connect(port, "127.0.0.1");
    for (const socket of [client, server]) socket.on("error", () => undefined);
    client.on("data", (bytes) => {
      heard.push(bytes);
      server.write(bytes);
      if (Buffer.concat(heard).length >= length()) isWhole();
    });
    server.pipe(client);
    client.on("close", () => server.destroy());
  }).listen(0, "127.0.0.1");
  await once(between, "listening");
  const client = curveKeyPair();
  const dealer = new Dealer({
    linger: 0,
    curveServerKey: serverKey,
    curvePublicKey: client.publicKey,
    curveSecretKey: client.secretKey,
  });
  dealer.connect(`${scheme}://127.0.0.1:${(between.address() as AddressInfo).port}`);
  await within(5_000, whole, () => {
    throw new Error(`a client of ${scheme} did not begin its handshake`);
  });
  dealer.close();
  between.close();
  return Buffer.concat(heard).subarray(0, length());
}

const controls = Buffer.from("\u001b[2J\u001b]0;owned\u0007\r\nERROR forged line\n\u009b31m");

/** Things that a client of ZeroMQ does not say, with some that a log must not repeat as they are. */
export function rubbish(port: number): Buffer[] {
  const longFrame = Buffer.from([2, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
  return [
    Buffer.from(`GET /${controls.toString("latin1")} HTTP/1.1\r\nHost: x\r\n\r\n`),
    Buffer.from("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"),
    // ClientHello of TLS 1.2, cut.
    Buffer.concat([Buffer.from("16030100c8010000c40303", "hex"), randomBytes(189)]),
    Buffer.from("SSH-2.0-OpenSSH_9.6\r\n"),
    randomBytes(1 + Math.floor(Math.random() * 4_000)),
    controls,
    Buffer.concat([greeting, longFrame, randomBytes(100)]),
    Buffer.concat([greeting, Buffer.from([4, 255]), controls]),
    Buffer.concat([signature, randomBytes(60)]),
    Buffer.concat([signature, Buffer.from([1, 5]), Buffer.alloc(100)]),
    // Version 1 of ZMTP, with a long and an empty identity.
    Buffer.from([1, 0]),
    Buffer.from([0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]),
    Buffer.concat([upgrade(port), Buffer.from([0x82, 0xff]), Buffer.alloc(8, 0x7f), randomBytes(64)]),
    Buffer.concat([upgrade(port), randomBytes(300)]),
    Buffer.concat([upgrade(port).subarray(0, -2), Buffer.from("X: "), Buffer.alloc(30_000, 97)]),
  ];
}
