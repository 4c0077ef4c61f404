import type { Socket } from "node:net";
import type { ParsedAddress } from "../address.ts";

/** How ZeroMQ protects a connection. */
export type Mechanism = "NULL" | "PLAIN" | "CURVE";

const probeMs = 1_000;
const mechanismStart = 12;
const mechanismEnd = 32;
/** Signature and version, RFC 37 of ZeroMQ: enough for the other end to say its mechanism, and too little to be cut off. */
const greeting = Buffer.of(0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1);

/**
 * Which protection the end at an address wants; undefined if nobody there says so. An end that cuts a connection in the
 * middle of the handshake does not say why: one that wants another protection does so, but so does a proxy before a
 * server that is down.
 */
export async function mechanismAt(address: ParsedAddress): Promise<Mechanism | undefined> {
  if (address.scheme === "ws") return (await upgrades(address, "CURVE")) ? "CURVE" : undefined;
  const said = await exchange(address, greeting, (bytes) => bytes.length >= mechanismEnd);
  if (!said || said[0] !== 0xff) return undefined;
  const name = said.subarray(mechanismStart, mechanismEnd).toString("latin1").replace(/\0+$/, "");
  return name === "NULL" || name === "PLAIN" || name === "CURVE" ? name : undefined;
}

/** Over WebSockets the mechanism is part of the subprotocol, RFC 45. */
async function upgrades(address: ParsedAddress, mechanism: Mechanism): Promise<boolean> {
  const { host, pathname } = new URL(address.endpoint.replace(/^ws/, "http"));
  const lines = [
    `GET ${pathname} HTTP/1.1`,
    `Host: ${host}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: emVyb2JpbmQgcHJvYmUuLg==",
    `Sec-WebSocket-Protocol: ZWS2.0/${mechanism}`,
    "Sec-WebSocket-Version: 13",
  ];
  const said = await exchange(address, Buffer.from(`${lines.join("\r\n")}\r\n\r\n`), (bytes) => bytes.includes("\r\n"));
  return said?.toString("latin1").startsWith("HTTP/1.1 101") ?? false;
}

/** What is said at once; undefined if it does not come to enough. */
async function exchange(
  { scheme, endpoint, path }: ParsedAddress,
  bytes: Buffer,
  isEnough: (said: Buffer) => boolean,
): Promise<Buffer | undefined> {
  const { connect } = await import("node:net");
  const { hostname, port } = path === undefined ? new URL(endpoint.replace(new RegExp(`^${scheme}`), "http")) : {};
  const name = scheme === "ipc" ? endpoint.slice("ipc://".length).replace(/^@/, "\0") : undefined;
  return new Promise((resolve) => {
    const socket: Socket =
      name === undefined
        ? connect({ host: (hostname ?? "").replace(/^\[|\]$/g, ""), port: Number(port) || 80 })
        : connect({ path: name });
    let said = Buffer.alloc(0);
    const done = (): void => {
      socket.destroy();
      resolve(isEnough(said) ? said : undefined);
    };
    socket.setTimeout(probeMs, done).on("error", done).on("close", done);
    socket.on("data", (chunk: Buffer) => {
      said = Buffer.concat([said, chunk.subarray(0, 256)]);
      if (isEnough(said) || said.length > 1_024) done();
    });
    socket.write(bytes);
  });
}
