import { nativeMark, PlainLink } from "@zerobind/core";
import type { PlainGateway, PlainPeer } from "@zerobind/core";
import type { Attempt, ConnectionOwner } from "./connection.ts";
import { handshakeFailure } from "./handshake.ts";
import type { Refusal } from "./handshake.ts";
import type { ZeromqSettings } from "./options.ts";
import { codeOf, delimiter, makeLossNotice, ZmqSocket } from "./socket.ts";
import type { SocketEvents } from "./socket.ts";

/** Where a DEALER connects, and who is there. */
export interface PlainTarget {
  readonly endpoint: string;
  readonly ipv6: boolean;
  /** For people: the peer, which may be elsewhere than the endpoint. */
  readonly remoteAddress: string;
  /** What encrypts the connection, by the binding's names; nothing where it is not encrypted. */
  readonly curveOptions: Readonly<Record<string, unknown>>;
}

/** What keeps a connection needs of it; links go to the gateway. */
export type PlainConnectionOwner = Pick<ConnectionOwner, "linked" | "trouble" | "ended">;

/** Bytes of the hop that names a request; REP gives it back as it came. */
const hopBytes = 4;

/**
 * One DEALER with one REP at its other end, as a link. REP says nothing before it is asked, so ZeroMQ's handshake has
 * to do as the sign that it is there, and ZeroMQ's heartbeats as the sign that it still is.
 */
export class PlainConnection implements Attempt, PlainPeer, SocketEvents {
  readonly #target: PlainTarget;
  readonly #settings: ZeromqSettings;
  readonly #owner: PlainConnectionOwner;
  readonly #link: PlainLink;
  readonly #maxFrameBytes: number;
  readonly #lossNotice = makeLossNotice();
  #socket: ZmqSocket | undefined;
  #state: "waiting" | "open" | "over" = "waiting";
  #timer: NodeJS.Timeout | undefined;
  #linkedAt = 0;
  readonly #sendFailed = (): void => this.#lose("the connection broke");

  constructor(
    target: PlainTarget,
    settings: ZeromqSettings,
    gateway: PlainGateway,
    maxFrameBytes: number,
    owner: PlainConnectionOwner,
  ) {
    this.#target = target;
    this.#settings = settings;
    this.#maxFrameBytes = maxFrameBytes;
    this.#owner = owner;
    this.#link = new PlainLink(gateway, this);
  }

  get remoteAddress(): string {
    return this.#target.remoteAddress;
  }

  get linkedMs(): number {
    return this.#linkedAt === 0 ? 0 : performance.now() - this.#linkedAt;
  }

  open(): void {
    const { endpoint, ipv6, curveOptions } = this.#target;
    const own = { maxFrameBytes: this.#maxFrameBytes, ipv6, hasEvents: true, lossNotice: this.#lossNotice };
    try {
      this.#socket = ZmqSocket.connect(endpoint, { ...this.#settings, ...own, own: curveOptions }, this);
    } catch (error) {
      return this.#fail("connect", () => `cannot make a socket (${codeOf(error)}); trying again`);
    }
    const { answerTimeoutMs } = this.#settings;
    const late = (): void => this.#fail("connect", () => `nobody answered within ${answerTimeoutMs} ms; trying again`);
    this.#timer = setTimeout(late, answerTimeoutMs);
  }

  send(id: number, frames: Uint8Array[]): boolean {
    if (this.#state !== "open" || !this.#socket) return false;
    const hop = Buffer.alloc(hopBytes);
    hop.writeUInt32BE(id);
    return this.#socket.send([hop, delimiter, ...frames], this.#sendFailed);
  }

  async shut(lingerMs: number): Promise<void> {
    clearTimeout(this.#timer);
    await this.#link.close(lingerMs);
    this.#state = "over";
    await this.#socket?.close(lingerMs);
  }

  /** `[hop][empty][status][message][header]?` */
  message(frames: Buffer[]): void {
    if (frames.length === 1 && frames[0]!.equals(this.#lossNotice)) return this.#lose("the connection was lost");
    const [hop, empty, ...body] = frames;
    if (hop?.length === hopBytes && empty?.length === 0) this.#link.answer(hop.readUInt32BE(0), body);
    // It would never answer. REP sockets cannot say anything of their own.
    else if (frames.at(-1)?.[0] === nativeMark)
      this.#lose("the other end speaks the native profile, and is no REP socket");
    else
      this.#owner.trouble(
        "drop",
        () => `a message of ${frames.length} frames was dropped, which has not the envelope of a request`,
      );
  }

  event(type: string, code: string): void {
    if (type === "handshake") this.#accept();
    else if (type.startsWith("handshake:error")) this.#refused(type, code);
    else if (type === "connect:retry")
      this.#fail("connect", () => "connection refused, nobody is listening or the host cannot be found; trying again");
    else if (type === "disconnect") this.#disconnected();
    else if (type === "receive:error") this.#lose(`cannot receive any more (${code})`);
  }

  #refused(type: string, code: string): void {
    const { describe, refusal } = handshakeFailure(type, code, this.#settings.curve.client);
    const unlike = (): string =>
      `the other end is no REP socket, or does not speak ZeroMQ as this one does (${code}); trying again`;
    this.#fail(type, refusal === "sure" ? describe : unlike, refusal);
  }

  #accept(): void {
    if (this.#state !== "waiting") return;
    clearTimeout(this.#timer);
    this.#state = "open";
    this.#linkedAt = performance.now();
    this.#owner.linked();
    this.#link.open();
  }

  #disconnected(): void {
    if (this.#socket?.hasLossNotice === false) this.#lose("the connection was lost");
    else this.#fail("disconnect", () => "the other end hung up, perhaps since it is no REP socket; trying again");
  }

  /** The attempt came to nothing. An open link goes by its loss notice instead, which comes after its last message. */
  #fail(kind: string, describe: () => string, refusal?: Refusal): void {
    if (this.#state !== "waiting") return;
    this.#owner.trouble(kind, describe, refusal);
    this.#end();
  }

  #lose(reason: string): void {
    if (this.#state === "open") this.#link.lose(reason);
    if (this.#state === "waiting") this.#fail("disconnect", () => `${reason} before the handshake; trying again`);
    else this.#end();
  }

  #end(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    clearTimeout(this.#timer);
    void this.#link.close(0);
    this.#owner.ended(this, this.#socket?.close(0) ?? Promise.resolve());
  }
}
