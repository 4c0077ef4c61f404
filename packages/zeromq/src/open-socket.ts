import { tidyEndpoint } from "./address.ts";
import type { AddressMode, ParsedAddress } from "./address.ts";
import { mechanismAt } from "./curve/mechanism-probe.ts";
import { bindSecured, connectSecured } from "./curve/secured.ts";
import type { CurveUser } from "./curve/server-curve.ts";
import { bindError, checkIpcPathFree, ipcPathRemover } from "./guard.ts";
import type { ZeromqSettings } from "./options.ts";
import { cutText, handshakeFailure, turnedAway } from "./handshake.ts";
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

/** Events of an `OpenSocket` that have words for people. */
export const socketTroubles: ReadonlySet<string> = new Set(["refused", "turned-away", "stranger", "curve"]);

/** Pauses before another attempt: after a refusal, and while an address is not free again. */
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
 * revoked, its connections cannot be told from others. In both cases another socket takes the place of the first.
 *
 * Its owner gets events of its own beside those of the binding, with words for people in place of a code: `refused`, the
 * other end does not let this one in; `turned-away`, this end did not let somebody in; `stranger`, a handshake has
 * failed in another way; `curve`, there is a trouble with keys; `lost`, the connections are gone, with what was queued;
 * `renewed`, there is another socket, and what was subscribed has to be subscribed again.
 */
export class OpenSocket implements CurveUser, SocketEvents {
  readonly #plan: SocketPlan;
  readonly #events: SocketEvents;
  #address: string;
  #socket: ZmqSocket | undefined;
  #removeFile: () => void = () => undefined;
  /** Attempts in a row that the other end refused, and those that look so. */
  #refusals = 0;
  #suspicions = 0;
  #timer: NodeJS.Timeout | undefined;
  /** The last socket on its way out. */
  #leaving: Promise<void> = Promise.resolve();
  /** Told when there is a socket again, or never will be. */
  #waiting: (() => void)[] = [];
  #opening: Promise<void> = Promise.resolve();
  #isAway = false;
  #isOpening = false;
  #again = false;
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
    this.#isOpening = true;
    try {
      await this.#open();
    } finally {
      this.#isOpening = false;
    }
    // Once the owner has this; whoever was revoked may have come in before.
    if (this.#again) setImmediate(() => void (this.#isOver() || this.#renew()));
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

  /** PUSH: as the socket's own, and waits for another one while this one is being replaced. */
  async sendWhenRoom(frames: Uint8Array[]): Promise<boolean> {
    for (;;) {
      if (await this.socket.sendWhenRoom(frames)) return true;
      if (this.#closed || !this.#isAway) return false;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Frees address and socket; what is queued gets up to `lingerMs` to leave. */
  async close(lingerMs: number): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#tellWaiting();
    await this.#shut(lingerMs);
    // One that was under way ends after that, and with it its socket.
    await this.#opening;
    await this.#shut(0);
  }

  message(frames: Buffer[]): void | Promise<void> {
    return this.#events.message(frames);
  }

  event(type: string, code: string): void {
    if (type === "handshake") this.#refusals = this.#suspicions = 0;
    if (type.startsWith("handshake:error")) this.#failed(type, code);
    else this.#events.event(type, code);
  }

  revoked(_key: string, cameIn: boolean): void {
    if (this.#plan.mode !== "bind" || !cameIn) return;
    if (this.#isOpening) this.#again = true;
    else void this.#renew();
  }

  trouble(_kind: string, describe: () => string): void {
    this.#events.event("curve", describe());
  }

  #failed(type: string, code: string): void {
    const { mode, settings } = this.#plan;
    const { server, client } = settings.curve;
    if (mode === "bind") return this.#events.event("turned-away", turnedAway(type, code, server !== undefined));
    const { describe, refusal } = handshakeFailure(type, code, client);
    if (refusal === "sure") return this.#refused(describe());
    this.#events.event("stranger", describe());
    this.#suspicions = refusal === "likely" ? this.#suspicions + 1 : 0;
    if (this.#suspicions > 1) void this.#findOut();
  }

  /** The other end hangs up again and again, without a word why. */
  async #findOut(): Promise<void> {
    const { parsed, settings } = this.#plan;
    const why = cutText(await mechanismAt(parsed), settings.curve.client);
    if (why !== undefined && this.#suspicions > 1 && !this.#isAway && !this.#closed) this.#refused(why);
  }

  #refused(why: string): void {
    if (this.#isAway || this.#closed) return;
    this.#leave();
    this.#events.event("refused", why);
    const { reconnectMaxMs } = this.#plan.settings;
    const pauseMs = Math.min(
      Math.max(refusedMaxMs, reconnectMaxMs),
      reconnectMaxMs * 2 ** Math.min(this.#refusals++, 20),
    );
    this.#timer = setTimeout(() => void this.#renew(), pauseMs * (0.5 + Math.random() / 2));
  }

  async #renew(): Promise<void> {
    clearTimeout(this.#timer);
    this.#leave();
    this.#isOpening = true;
    this.#again = false;
    const opening = this.#leaving.then(() => (this.#closed ? undefined : this.#open()));
    this.#opening = opening.catch(() => undefined);
    try {
      await opening;
    } catch (error) {
      this.#events.event("curve", `it cannot be opened again yet: ${String(error)}`);
      this.#isOpening = false;
      if (!this.#isOver()) this.#timer = setTimeout(() => void this.#renew(), rebindMs);
      return;
    }
    this.#isOpening = false;
    if (this.#isOver()) return this.#shut(0);
    // Whoever was revoked while it was being opened may have come in.
    if (this.#mustAgain()) return this.#renew();
    this.#isAway = false;
    this.#suspicions = 0;
    this.#events.event("renewed", "");
    this.#tellWaiting();
  }

  /** The socket goes, and all of its connections. */
  #leave(): void {
    void this.#shut(0);
    if (this.#isAway) return;
    this.#isAway = true;
    this.#events.event("lost", "");
  }

  #isOver(): boolean {
    return this.#closed;
  }

  #mustAgain(): boolean {
    return this.#again;
  }

  #tellWaiting(): void {
    for (const tell of this.#waiting.splice(0)) tell();
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
