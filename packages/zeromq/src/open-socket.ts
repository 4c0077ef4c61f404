import { tidyEndpoint } from "./address.ts";
import type { AddressMode, ParsedAddress } from "./address.ts";
import { bindSecured, connectSecured } from "./curve/secured.ts";
import type { CurveUser } from "./curve/server-curve.ts";
import { bindError, checkIpcPathFree, ipcPathRemover } from "./guard.ts";
import type { ZeromqSettings } from "./options.ts";
import { isFinal } from "./handshake.ts";
import { codeOf } from "./socket.ts";
import type { SocketEvents, SocketKind, ZmqSocket } from "./socket.ts";

/** A socket of a kind that connects again by itself. */
export interface SocketPlan {
  readonly kind: SocketKind;
  readonly mode: AddressMode;
  readonly parsed: ParsedAddress;
  readonly settings: ZeromqSettings;
  /** Largest frame that may come. */
  readonly maxFrameBytes: number;
  /** Options of the binding. */
  readonly own: Readonly<Record<string, unknown>>;
}

/**
 * Options of sockets that stop receiving when there is too much: ZeroMQ's heartbeats would wait behind what is not
 * read, and cut a connection that is well. TCP's own signs of life do not.
 */
export const unheardOptions: Readonly<Record<string, unknown>> = {
  heartbeatInterval: 0,
  heartbeatTimeout: 0,
  heartbeatTimeToLive: 0,
  tcpKeepalive: 1,
  tcpKeepaliveIdle: 20,
  tcpKeepaliveInterval: 5,
  tcpKeepaliveCount: 4,
};

/** Pauses before another attempt: after a refusal, and while an address is not free again. */
const refusedMinMs = 5_000;
const refusedMaxMs = 60_000;
const rebindMs = 50;

/** Binds, or connects, which goes on trying by itself. Rejects with an error that says why an address cannot be bound. */
export async function openSocket(plan: SocketPlan, events: SocketEvents): Promise<OpenSocket> {
  const opened = new OpenSocket(plan, events);
  await opened.open();
  return opened;
}

/**
 * A socket that stays. Where the other end refuses the keys of this one, ZeroMQ does not try again; and where a key was
 * revoked, its connections cannot be told from others. In both cases another socket takes the place of the first, and
 * the owner gets the event `renewed`: what was queued is lost, and what was subscribed is not any more. The event
 * `curve` has a trouble with keys as its code.
 */
export class OpenSocket implements CurveUser, SocketEvents {
  readonly #plan: SocketPlan;
  readonly #events: SocketEvents;
  #address: string;
  #socket: ZmqSocket | undefined;
  #removeFile: () => void = () => undefined;
  #refusals = 0;
  #timer: NodeJS.Timeout | undefined;
  /** A key was revoked, or is refused, since the socket of now was made. */
  #isStale = false;
  #renewal: Promise<void> | undefined;
  /** The last socket on its way out. */
  #leaving: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(plan: SocketPlan, events: SocketEvents) {
    this.#plan = plan;
    this.#events = events;
    this.#address = plan.parsed.endpoint;
  }

  /** The real address. */
  get address(): string {
    return this.#address;
  }

  /** The socket of now, which is closed while it is being replaced. */
  get socket(): ZmqSocket {
    if (!this.#socket) throw new Error("the socket is not open yet");
    return this.#socket;
  }

  async open(): Promise<void> {
    await this.#open();
    if (this.#isStale) this.#renew();
  }

  async #open(): Promise<void> {
    const { kind, mode, parsed, settings, maxFrameBytes } = this.#plan;
    const own = {
      reconnectInterval: settings.reconnectMinMs,
      reconnectMaxInterval: settings.reconnectMaxMs,
      ...this.#plan.own,
    };
    const hasEvents = parsed.scheme !== "inproc";
    const all = { ...settings, maxFrameBytes, ipv6: parsed.ipv6, hasEvents, lossNotice: Buffer.alloc(0), own };
    if (mode === "connect") {
      this.#socket = connectSecured(parsed, all, this, kind);
      return;
    }
    await checkIpcPathFree(parsed);
    try {
      const [socket, endpoint] = await bindSecured({ ...parsed, endpoint: this.#address }, all, this, this, kind);
      this.#socket = socket;
      this.#removeFile = ipcPathRemover(parsed);
      this.#address = tidyEndpoint(endpoint, parsed);
    } catch (cause) {
      throw bindError(parsed.endpoint, codeOf(cause), cause);
    }
  }

  /** Frees address and socket; what is queued gets up to `lingerMs` to leave. */
  async close(lingerMs: number): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#shut(lingerMs);
    await this.#renewal;
  }

  message(frames: Buffer[]): void | Promise<void> {
    return this.#events.message(frames);
  }

  event(type: string, code: string): void {
    if (type === "handshake") this.#refusals = 0;
    this.#events.event(type, code);
    if (this.#plan.mode === "connect" && isFinal(type, code)) this.#renewLater();
  }

  revoked(): void {
    if (this.#plan.mode === "bind") this.#renew();
  }

  trouble(_kind: string, describe: () => string): void {
    this.#events.event("curve", describe());
  }

  #renewLater(): void {
    clearTimeout(this.#timer);
    const pauseMs = Math.min(refusedMaxMs, refusedMinMs * 2 ** Math.min(this.#refusals++, 10));
    this.#timer = setTimeout(() => this.#renew(), pauseMs * (0.5 + Math.random() / 2));
  }

  /** One at a time: many keys may be revoked at once, and two sockets cannot be bound to one address. */
  #renew(): void {
    this.#isStale = true;
    // One that is being opened for the first time is renewed after that.
    if (this.#socket && !this.#closed) this.#renewal ??= this.#renewWhileStale();
  }

  async #renewWhileStale(): Promise<void> {
    while (this.#isStale && !this.#closed) {
      clearTimeout(this.#timer);
      await this.#shut(0);
      this.#isStale = false;
      if (!this.#closed) await this.#reopen();
    }
    this.#renewal = undefined;
  }

  async #reopen(): Promise<void> {
    try {
      await this.#open();
      if (this.#closed) await this.#shut(0);
      else this.#events.event("renewed", "");
    } catch (error) {
      this.#events.event("curve", `it cannot be opened again yet: ${String(error)}`);
      if (!this.#closed) this.#timer = setTimeout(() => this.#renew(), rebindMs);
    }
  }

  #shut(lingerMs: number): Promise<void> {
    try {
      this.#removeFile();
    } catch {
      // Whoever owns the directory now may forbid it; a file that stays is no hindrance.
    }
    this.#removeFile = () => undefined;
    this.#leaving = Promise.all([this.#leaving, this.#socket?.close(lingerMs)]).then(() => undefined);
    return this.#leaving;
  }
}
