import { setImmediate as nextTurn } from "node:timers/promises";
import { setDelivery } from "./draft-options.ts";
import { makeSocket } from "./socket-kinds.ts";
import type { AnySocket, SocketKind, SocketSettings } from "./socket-kinds.ts";
export type { SocketKind, SocketSettings } from "./socket-kinds.ts";

/**
 * How this file uses ZeroMQ, and why. Each rule answers a way to lose messages or to hang.
 *
 * - One receive loop per socket, from bind or connect to close, and nothing else reads: a second reader throws, and an
 *   idle socket handles neither connects nor disconnects. It starts after bind and connect, which swallow wake-ups.
 * - A send never waits (`sendTimeout` 0): a waiting send can hang itself and the receive. Memory is bounded by the
 *   credit of the protocol above, and, for peers that keep to none, by a high-water mark far above what credit allows.
 *   Only PUSH, which receives nothing, may wait (`sendWhenRoom`).
 * - `readable` and `writable` are never read while a receive is pending: that takes away the wake-up it is waiting for.
 * - A receive that fails with EAGAIN is made again: XPUB swallows parts of what no honest peer sends.
 * - `receiveHighWaterMark` as far away: a full receive queue stops heartbeats and cuts healthy connections.
 * - Sent buffers are never reused: above 128 bytes ZeroMQ sends from the very memory, some time later.
 * - `linger` is 0 until closing says otherwise: unsent messages keep a process from ending.
 * - Errors of the binding come from another realm under test: only their `code` is looked at.
 */

/** Longest run of messages before the event loop gets its turn, in milliseconds. */
const sliceMs = 5;
/** The end of a closed socket is told by an event; in case it gets lost, nobody waits longer than this. */
const endGraceMs = 2_000;
/** The empty frame between envelope and body. */
export const delimiter: Buffer = Buffer.alloc(0);

/** A message that says nothing, and is ignored: whether it can be sent shows whether there is a peer. */
export const probe: Buffer = Buffer.of(0);

/** What a socket tells its owner. None of these may throw. */
export interface SocketEvents {
  /** A whole message; read-only. Nothing more is received until a promise that it returns is settled. */
  message(frames: Buffer[]): void | Promise<void>;
  /** An event by the binding's name for it, or `receive:error`, with an error code if there is one. */
  event(type: string, code: string): void;
}

/** One ZeroMQ socket, used as it is safe. Its owner keeps it until `close`; an open one keeps the process alive. */
export class ZmqSocket {
  /** Whether losses are told by `lossNotice`; otherwise by the event `disconnect` at most. */
  readonly hasLossNotice: boolean;
  readonly #socket: AnySocket;
  readonly #events: SocketEvents;
  readonly #observed: boolean;
  readonly #ended: Promise<void>;
  readonly #release: (() => Promise<void>) | undefined;
  #end: () => void = () => undefined;
  #closed = false;

  private constructor(
    socket: AnySocket,
    hasLossNotice: boolean,
    observed: boolean,
    events: SocketEvents,
    release?: () => Promise<void>,
  ) {
    this.#socket = socket;
    this.#release = release;
    this.hasLossNotice = hasLossNotice;
    this.#observed = observed;
    this.#events = events;
    this.#ended = new Promise((resolve) => (this.#end = resolve));
    if (observed) void this.#watch();
  }

  /**
   * A socket that connects, by default a DEALER, which does so once: when its connection is lost, or cannot be made, it
   * is of no further use. ZeroMQ would reconnect by itself, but then what is sent before the loss is noticed would
   * reach the next connection, where it means something else. Messages sent before the connection is there wait for it.
   */
  static connect(
    address: string,
    settings: SocketSettings,
    events: SocketEvents,
    kind: SocketKind = "dealer",
  ): ZmqSocket {
    const { socket, noticed } = makeSocket(kind, settings);
    try {
      const wrapped = new ZmqSocket(socket, noticed, settings.hasEvents, events);
      socket.connect(address);
      void wrapped.#receive();
      return wrapped;
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /**
   * A socket, by default a ROUTER, bound to an address. Rejects with the error of the binding, whose `code` says why.
   * `release` is called when it has ended, and closing waits for that.
   */
  static async bind(
    address: string,
    settings: SocketSettings,
    events: SocketEvents,
    kind: SocketKind = "router",
    release?: () => Promise<void>,
  ): Promise<[ZmqSocket, address: string]> {
    const { socket, noticed } = makeSocket(kind, settings);
    try {
      const wrapped = new ZmqSocket(socket, noticed, true, events, release);
      await socket.bind(address);
      const realAddress = socket.lastEndpoint ?? address;
      void wrapped.#receive();
      return [wrapped, realAddress];
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /**
   * Hands a message over without waiting. False: the socket is closed. That the peer cannot be reached turns out only
   * afterwards, and is then told by `failed`: the binding tells it by a promise even when it knows at once.
   */
  send(frames: Uint8Array[], failed: (error: unknown) => void): boolean {
    const socket = this.#socket;
    if (this.#closed || !("send" in socket)) return false;
    try {
      // With the second argument, no rejection is left unhandled.
      socket.send(frames as Buffer[]).then(undefined, failed);
      return true;
    } catch {
      return false;
    }
  }

  /**
   * PUSH with its own `sendTimeout` of -1: hands a message over as soon as some peer has room for it. False: the socket
   * was closed before. Only one may wait at a time.
   */
  async sendWhenRoom(frames: Uint8Array[]): Promise<boolean> {
    const socket = this.#socket;
    if (this.#closed || !("send" in socket)) return false;
    try {
      await socket.send(frames);
      return true;
    } catch {
      return false;
    }
  }

  /** SUB: what to receive, by the first bytes of messages. */
  subscribe(...prefixes: Uint8Array[]): void {
    if (!this.#closed && "subscribe" in this.#socket) this.#socket.subscribe(...(prefixes as Buffer[]));
  }

  /** SUB: ends what `subscribe` began; each as often as it was subscribed. */
  unsubscribe(...prefixes: Uint8Array[]): void {
    if (!this.#closed && "unsubscribe" in this.#socket) this.#socket.unsubscribe(...(prefixes as Buffer[]));
  }

  /**
   * XPUB with `manual`, while `message` runs: who sent the message gets what begins with a prefix, or gets it no more.
   * Nobody does if the connection is gone. After a message that is no subscription it may be another connection that
   * is meant, until `isDrained`: ZeroMQ mixes them up.
   */
  deliver(prefix: Uint8Array, isOn: boolean): void {
    if (!this.#closed) setDelivery(this.#socket, prefix, isOn);
  }

  /** Whether nothing more has come. Only while `message` runs; afterwards `deliver` must not be called any more. */
  get isDrained(): boolean {
    return !this.#closed && "readable" in this.#socket && !this.#socket.readable;
  }

  /**
   * Closes; what is queued gets up to `lingerMs` to leave. Resolves when the address is free again. Idempotent: a
   * later call waits for the same end.
   */
  close(lingerMs: number): Promise<void> {
    if (this.#closed) return this.#released();
    this.#closed = true;
    this.#socket.linger = lingerMs;
    this.#socket.close();
    if (!this.#observed) this.#end();
    const timer = setTimeout(this.#end, lingerMs + endGraceMs);
    void this.#ended.then(() => clearTimeout(timer));
    return this.#released();
  }

  async #released(): Promise<void> {
    await this.#ended;
    await this.#release?.();
  }

  async #receive(): Promise<void> {
    const socket = this.#socket;
    if (!("receive" in socket)) return;
    for (;;) {
      try {
        await this.#receiveFrom(socket);
        return;
      } catch (error) {
        // Closing rejects the pending receive.
        if (this.#closed) return;
        const code = codeOf(error);
        if (code !== "EAGAIN") {
          this.#events.event("receive:error", code);
          return;
        }
        await nextTurn();
        if (this.#closed) return;
      }
    }
  }

  async #receiveFrom(socket: { receive(): Promise<Buffer[]> }): Promise<void> {
    let sliceEnd = performance.now() + sliceMs;
    for (;;) {
      const next = socket.receive();
      const isFirst = await isPending(next);
      const frames = await next;
      if (this.#closed) return;
      const full = this.#deliver(frames);
      if (full) await full;
      if (isFirst) {
        // To ask for the next message takes several system calls: after a pause, what answers the first one leaves
        // before. The answers to a run of messages leave together.
        await endOfTurn();
        sliceEnd = performance.now() + sliceMs;
      }
      if (this.#closed) return;
      if (performance.now() < sliceEnd) continue;
      // A receive that need not wait resolves at once, so a busy peer would keep everything else from running.
      await nextTurn();
      if (this.#closed) return;
      sliceEnd = performance.now() + sliceMs;
    }
  }

  #deliver(frames: Buffer[]): void | Promise<void> {
    try {
      return this.#events.message(frames);
    } catch (error) {
      // A bug above must show, but not make the socket deaf.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  /** Tells the events of connections until the socket has ended, which is the last of them. */
  async #watch(): Promise<void> {
    // Not `events.on`: its emitter stops working where modules are loaded more than once, as under jest.
    const { events } = this.#socket;
    let sliceEnd = performance.now() + sliceMs;
    try {
      while (!events.closed) {
        const event = await events.receive();
        if (event.type === "end") break;
        if (!this.#closed) this.#events.event(event.type, "error" in event ? codeOf(event.error) : "");
        // Without open files left, ZeroMQ fails to accept a connection, and says so, 100,000 times a second. It must
        // be read all the same: ZeroMQ's own thread waits for whoever does not read what it tells.
        if (performance.now() < sliceEnd) continue;
        await nextTurn();
        sliceEnd = performance.now() + sliceMs;
      }
    } catch {
      // The observer is gone, and its socket with it.
    }
    this.#end();
  }
}

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let pending = true;
  const settled = (): void => void (pending = false);
  promise.then(settled, settled);
  await Promise.resolve();
  return pending;
}

/** Resolves when everything that this turn of the event loop had to send is sent. */
function endOfTurn(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

/** A token that no peer can guess and that is no native message. */
export function makeLossNotice(): Buffer {
  const token = globalThis.crypto.getRandomValues(Buffer.alloc(24));
  token[0] = 0x00;
  return token;
}

/** The code of an error of the binding, or what comes closest. */
export function codeOf(error: unknown): string {
  const { code, status } = (error ?? {}) as { code?: unknown; status?: unknown };
  return typeof code === "string" ? code : typeof status === "number" ? String(status) : "unknown";
}
