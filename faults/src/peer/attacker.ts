import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { randomBytes } from "node:crypto";
import { Dealer, curveKeyPair } from "zeromq";
import { beginnings, rubbish } from "./attack-bytes.ts";
import type { Beginning, Target } from "./attack-bytes.ts";
import { pause, sharedMs } from "./clock.ts";

/** What became of connections that fell silent. */
export interface Held {
  opened: number;
  /** Those that the other end closed. */
  cut: number;
  /** How long the last of them was open. */
  slowestMs: number;
}

export interface KeyPair {
  readonly publicKey: string;
  readonly secretKey: string;
}

/** Sets options as bytes, which the types of the binding leave out. */
interface RawOptions {
  setStringOption(option: number, value: Buffer): void;
}

const routingIdOption = 5;

/** Connections that are opened at once: the queue of the system is no longer. */
const atOnce = 200;
/** What is not cut by then is not cut at all. */
const heldLimitMs = 20_000;
const chunk = Buffer.alloc(65_536, 0x41);
const emptyFrame = Buffer.alloc(0);
/** Batches of one record, HELLO and AUTH, without a session. AUTH proves nothing. */
const hello = batchOf(1, Buffer.alloc(0));
const wrongAuth = batchOf(
  3,
  Buffer.concat([Buffer.from([0x12, 32]), randomBytes(32), Buffer.from([0x1a, 32]), randomBytes(32)]),
);

/** What a hostile process does to an address that is bound. Everything ends by itself. */
export class Attacker {
  readonly #beginnings = new Map<number, ReturnType<typeof beginnings>>();

  /** Opens connections that say the beginning of something and no more, and waits until all are cut. */
  async hold(target: Target, beginning: Beginning, count: number): Promise<Held> {
    const bytes = (await this.#beginningsOf(target))[beginning];
    const held: Held = { opened: 0, cut: 0, slowestMs: 0 };
    const sockets = await inTurns(count, () => open(target.port));
    const ends = sockets
      .filter((socket) => socket !== undefined)
      .map(async (socket) => {
        const startedMs = sharedMs();
        held.opened += 1;
        if (bytes.length > 0) socket.write(bytes);
        const limit = new AbortController();
        const timer = setTimeout(() => limit.abort(), heldLimitMs);
        try {
          if (!socket.destroyed) await once(socket, "close", { signal: limit.signal });
          held.cut += 1;
          held.slowestMs = Math.max(held.slowestMs, sharedMs() - startedMs);
        } catch {
          socket.destroy();
        }
        clearTimeout(timer);
      });
    await Promise.all(ends);
    return held;
  }

  /** Sends a request for a WebSocket byte by byte, or a greeting; resolves with how long the connections lived. */
  async drip(target: Target, count: number): Promise<Held> {
    const bytes = (await this.#beginningsOf(target)).greeting;
    const held: Held = { opened: 0, cut: 0, slowestMs: 0 };
    const one = async (): Promise<void> => {
      const socket = await open(target.port);
      if (!socket) return;
      held.opened += 1;
      const startedMs = sharedMs();
      let endedMs = Infinity;
      socket.once("close", () => (endedMs = sharedMs()));
      for (let at = 0; at < bytes.length && !socket.destroyed && sharedMs() - startedMs < heldLimitMs; at++) {
        socket.write(bytes.subarray(at, at + 1));
        await pause(150);
      }
      if (endedMs === Infinity) return void socket.destroy();
      held.cut += 1;
      held.slowestMs = Math.max(held.slowestMs, endedMs - startedMs);
    };
    await Promise.all(Array.from({ length: count }, one));
    return held;
  }

  /** Connects and hangs up, as quickly as it can; resolves with how often. */
  async flood(target: Target, forMs: number): Promise<number> {
    return await forSome(forMs, 100, async () => (await open(target.port))?.resetAndDestroy());
  }

  /** Says what nobody should understand, some of it without end. */
  async garbage(target: Target, forMs: number): Promise<number> {
    const kinds = rubbish(target.port);
    return await forSome(forMs, 20, async (turn) => {
      const socket = await open(target.port);
      if (!socket) return;
      socket.write(kinds[turn % kinds.length]!);
      for (let sent = 0; sent < 20 && turn % 5 === 0 && !socket.destroyed; sent++) {
        socket.write(chunk);
        await pause(1);
      }
      await Promise.race([once(socket, "close").catch(() => undefined), pause(20)]);
      socket.destroy();
    });
  }

  /** Clients of CURVE with keys that nobody knows, which also claim the names that the server gives next. */
  async hammer({ scheme, port, serverKey }: Target, forMs: number): Promise<number> {
    return await forSome(forMs, 20, async (turn) => {
      const dealer = new Dealer({ linger: 0, reconnectInterval: 50, ...curve(curveKeyPair(), serverKey) });
      (dealer as unknown as RawOptions).setStringOption(routingIdOption, nextId(turn));
      dealer.connect(`${scheme}://127.0.0.1:${port}`);
      const refused = (async () => {
        for (;;) {
          const { type } = await dealer.events.receive();
          if (type.startsWith("handshake:error") || type === "disconnect" || type === "end") return;
        }
      })();
      await Promise.race([refused.catch(() => undefined), pause(1_000)]);
      dealer.close();
    });
  }

  /** Says HELLO by many ways at once, as a client that is let in, and proves nothing of what it is asked. */
  async insider({ scheme, port, serverKey }: Target, keys: KeyPair, visits: number): Promise<number> {
    const dealer = new Dealer({ linger: 0, sendHighWaterMark: 0, receiveHighWaterMark: 0, ...curve(keys, serverKey) });
    dealer.connect(`${scheme}://127.0.0.1:${port}`);
    let answers = 0;
    const listening = (async () => {
      for await (const frames of dealer) answers += frames.length > 0 ? 1 : 0;
    })();
    for (let visit = 0; visit < visits; visit++) {
      const hop = Buffer.alloc(visit % 7 === 0 ? 4_000 : 4);
      hop.writeUInt32LE(visit + 1);
      await dealer.send([hop, emptyFrame, hello]);
      if (visit % 3 === 0) await dealer.send([hop, emptyFrame, wrongAuth]);
      if (visit % 500 === 0) await pause(5);
    }
    await pause(500);
    dealer.close();
    await listening;
    return answers;
  }

  #beginningsOf(target: Target): ReturnType<typeof beginnings> {
    const known = this.#beginnings.get(target.port) ?? beginnings(target);
    this.#beginnings.set(target.port, known);
    return known;
  }
}

/** Ids that a server that has just started gives its first clients, as far as they are known. */
function nextId(turn: number): Buffer {
  const id = Buffer.alloc(5);
  id.writeUInt32BE((turn % 2 === 0 ? 0x6b8b4567 : 0xe43c9869) + (turn % 64), 1);
  return id;
}

function curve({ publicKey, secretKey }: KeyPair, serverKey: string): object {
  return { curveServerKey: serverKey, curvePublicKey: publicKey, curveSecretKey: secretKey };
}

function batchOf(type: number, meta: Buffer): Buffer {
  const header = Buffer.from([0xc5, 1, 1, 0, 0, 0, 0, 0]);
  const record = Buffer.alloc(16);
  record.writeUInt32LE(meta.length, 0);
  record[4] = type;
  record.writeUInt16LE(meta.length, 6);
  return Buffer.concat([header, record, meta]);
}

/** Undefined: it was refused, or there are no more files. */
async function open(port: number): Promise<Socket | undefined> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.resume();
  try {
    await once(socket, "connect");
    return socket;
  } catch {
    return undefined;
  }
}

async function inTurns<T>(count: number, make: () => Promise<T>): Promise<T[]> {
  const made: T[] = [];
  while (made.length < count)
    made.push(...(await Promise.all(Array.from({ length: Math.min(atOnce, count - made.length) }, make))));
  return made;
}

/** Does something again and again for so long, some at once; gives how often. */
async function forSome(forMs: number, some: number, work: (turn: number) => Promise<unknown>): Promise<number> {
  const endMs = sharedMs() + forMs;
  let turn = 0;
  const repeat = async (): Promise<void> => {
    while (sharedMs() < endMs) await work(turn++);
  };
  await Promise.all(Array.from({ length: some }, repeat));
  return turn;
}
