import { authBatch, nativeMark, readAuth } from "@zerobind/core";
import type { AttachOptions, Link, LinkReceiver, Principal } from "@zerobind/core";
import type { ParsedAddress } from "./address.ts";
import type { CurveClient } from "./curve/client-curve.ts";
import { challengeBytes } from "./curve/proof.ts";
import { connectSecured } from "./curve/secured.ts";
import { handshakeFailure } from "./handshake.ts";
import type { Refusal } from "./handshake.ts";
import type { ZeromqSettings } from "./options.ts";
import { codeOf, delimiter, makeLossNotice, probe } from "./socket.ts";
import type { SocketEvents, ZmqSocket } from "./socket.ts";
import { escapeBytes } from "./trouble.ts";

/** After `close`, what was just sent (the reason of closing, for one) gets this time to leave. */
const lastWordsMs = 1_000;

/** The reason why an attempt failed comes by another way than the news that it did. */
const reasonGraceMs = 50;

/** One attempt to connect and the connection that comes of it, as the connector sees it. */
export interface Attempt {
  /** How long it has been a link, in milliseconds; 0 if it never was one. */
  readonly linkedMs: number;
  /** Connects. A failure comes as `trouble` and `ended`, perhaps within this call. */
  open(): void;
  /** Ends it for good; resolves when its socket is gone. */
  shut(lingerMs: number): Promise<void>;
}

/** What a connection tells the connector that keeps it. */
export interface ConnectionOwner {
  /** The other end has shown that it is there. */
  linked(): void;
  /** The first message is here: the connection is a link. */
  accept(link: Link): LinkReceiver;
  /** `refusal`: whether the other end does not want this one, or is another than it should be. */
  trouble(kind: string, describe: () => string, refusal?: Refusal): void;
  /** The user of the link asks for a successor. */
  retired(connection: Attempt): void;
  /** Nothing comes of it any more; called once, unless `shut` came first. `gone` resolves with the last of its socket. */
  ended(connection: Attempt, gone: Promise<void>): void;
}

/**
 * One DEALER, one connection, one link at most: waiting for the first message, then open, then over. It waits for that
 * message since only the answer to its greeting shows that somebody is there: ZeroMQ completes handshakes with peers
 * that never read.
 */
export class Connection implements Attempt, Link, SocketEvents {
  readonly #target: ParsedAddress;
  readonly #settings: ZeromqSettings;
  readonly #options: AttachOptions;
  readonly #owner: ConnectionOwner;
  readonly #lossNotice = makeLossNotice();
  #socket: ZmqSocket | undefined;
  #state: "waiting" | "open" | "over" = "waiting";
  #receiver: LinkReceiver | undefined;
  #answerTimer: NodeJS.Timeout | undefined;
  #probeTimer: NodeJS.Timeout | undefined;
  #handshaken = false;
  #hasProved = false;
  #linkedAt = 0;
  readonly #sendFailed = (): void => this.#lose("the connection broke");

  constructor(target: ParsedAddress, settings: ZeromqSettings, options: AttachOptions, owner: ConnectionOwner) {
    this.#target = target;
    this.#settings = settings;
    this.#options = options;
    this.#owner = owner;
  }

  get remoteAddress(): string {
    return this.#target.endpoint;
  }

  /** CURVE has shown that the other end has the secret key for the public one that this end was given. */
  get principal(): Principal | undefined {
    const key = this.#client?.serverKeyAt(this.#target.address);
    return key === undefined ? undefined : { name: key, roles: [] };
  }

  get linkedMs(): number {
    return this.#linkedAt === 0 ? 0 : performance.now() - this.#linkedAt;
  }

  open(): void {
    const { greeting, maxFrameBytes } = this.#options;
    const { ipv6, scheme } = this.#target;
    const hasEvents = scheme !== "inproc";
    const settings = { ...this.#settings, maxFrameBytes, ipv6, hasEvents, lossNotice: this.#lossNotice };
    try {
      this.#socket = connectSecured(this.#target, settings, this);
    } catch (error) {
      return this.#fail("connect", () => `cannot make a socket (${codeOf(error)}); trying again`);
    }
    if (greeting === undefined) return;
    // It is the first message of the connection, since nothing else can be sent before the link is there.
    this.#socket.send([delimiter, greeting], this.#sendFailed);
    this.#awaitAnswer();
  }

  send(frames: readonly Uint8Array[]): boolean {
    if (this.#state !== "open" || !this.#socket) return false;
    return this.#socket.send([delimiter, ...frames], this.#sendFailed);
  }

  retire(): void {
    if (this.#state === "open") this.#owner.retired(this);
  }

  close(): void {
    this.#end(lastWordsMs);
  }

  shut(lingerMs: number): Promise<void> {
    this.#over();
    return this.#socket?.close(lingerMs) ?? Promise.resolve();
  }

  message(frames: Buffer[]): void {
    if (frames.length === 1 && frames[0]!.equals(this.#lossNotice)) return this.#lose("the connection was lost");
    // Whoever answers does so to an envelope that has nothing before the delimiter.
    const body =
      frames[0]!.length === 0 ? frames.slice(1) : frames.slice(frames.findIndex((frame) => frame.length === 0) + 1);
    if (body.length === frames.length || body[0]?.[0] !== nativeMark) return this.#drop(frames);
    if (this.#state === "waiting") {
      if (this.#prove(body)) return;
      this.#accept();
    }
    this.#receiver?.receive(body);
  }

  event(type: string, code: string): void {
    if (type === "handshake") this.#handshaken = true;
    else if (type.startsWith("handshake:error")) {
      const { describe, refusal } = handshakeFailure(type, code, this.#client);
      this.#fail(type, describe, refusal);
    } else if (type === "connect:retry") this.#fail("connect", () => this.#whyNot());
    else if (type === "disconnect") this.#disconnected();
    else if (type === "receive:error") this.#lose(`cannot receive any more (${code})`);
  }

  /** The keys of this end, where the connection is encrypted. */
  get #client(): CurveClient | undefined {
    return this.#target.scheme === "inproc" ? undefined : this.#settings.curve.client;
  }

  /** Answers the question who this is, which comes at most once, before anything else. */
  #prove(body: Buffer[]): boolean {
    const client = this.#client;
    const auth = client && !this.#hasProved ? readAuth(body) : undefined;
    if (!client || auth?.challenge.length !== challengeBytes) return false;
    this.#hasProved = true;
    const answer = authBatch(client.answer(auth.challenge, this.#target.address));
    this.#socket?.send([delimiter, answer], this.#sendFailed);
    return true;
  }

  #accept(): void {
    clearTimeout(this.#answerTimer);
    this.#state = "open";
    this.#linkedAt = performance.now();
    this.#owner.linked();
    const receiver = this.#owner.accept(this);
    // `accept` may have closed the link already.
    if (this.#isOpen()) this.#receiver = receiver;
    if (this.#isOpen() && this.#target.scheme === "inproc") this.#probe();
  }

  /** Over inproc nothing tells that the other end is gone, but to send to nobody fails. */
  #probe(): void {
    const send = (): void => void this.#socket?.send([probe], this.#sendFailed);
    this.#probeTimer = setInterval(send, this.#settings.heartbeatIntervalMs);
  }

  #isOpen(): boolean {
    return this.#state === "open";
  }

  /** The attempt came to nothing. An open link goes by its loss notice instead, which comes after its last message. */
  #fail(kind: string, describe: () => string, refusal?: Refusal): void {
    if (this.#state !== "waiting") return;
    this.#owner.trouble(kind, describe, refusal);
    this.#end(0);
  }

  #disconnected(): void {
    if (this.#socket?.hasLossNotice === false) this.#lose("the connection was lost");
    else this.#fail("disconnect", () => "the other end hung up before it answered; trying again");
  }

  #awaitAnswer(): void {
    this.#answerTimer = setTimeout(() => this.#unanswered(), this.#settings.answerTimeoutMs);
  }

  #unanswered(): void {
    if (this.#target.scheme === "inproc") {
      // A new DEALER would wait for the name to be bound just as this one may do, and the old one could not end. But
      // if it was bound and is no more, this fails.
      this.#socket?.send([probe], this.#sendFailed);
      return this.#awaitAnswer();
    }
    const { answerTimeoutMs } = this.#settings;
    const where = this.#handshaken ? "connected, but the other end did not answer" : "nobody answered";
    this.#fail("connect", () => `${where} within ${answerTimeoutMs} ms; trying again`);
  }

  #whyNot(): string {
    const { scheme } = this.#target;
    if (scheme === "ipc") return "nobody listens at this path; trying again";
    return "connection refused, nobody is listening or the host cannot be found; trying again";
  }

  #drop(frames: Buffer[]): void {
    this.#owner.trouble("drop", () => {
      const last = frames.at(-1);
      return `a message of ${frames.length} frames that is no native one was dropped; it ends in ${last ? escapeBytes(last) : "nothing"}`;
    });
  }

  #lose(reason: string): void {
    if (this.#state === "waiting") return this.#giveUp(reason);
    const receiver = this.#receiver;
    this.#end(0);
    receiver?.lost(reason);
  }

  /** An event that says why may still be on its way, and ends the attempt then. */
  #giveUp(reason: string): void {
    clearTimeout(this.#answerTimer);
    const fail = (): void => this.#fail("disconnect", () => `${reason} before the other end answered; trying again`);
    this.#answerTimer = setTimeout(fail, reasonGraceMs);
  }

  #end(lingerMs: number): void {
    if (this.#state === "over") return;
    this.#over();
    this.#owner.ended(this, this.#socket?.close(lingerMs) ?? Promise.resolve());
  }

  #over(): void {
    this.#state = "over";
    this.#receiver = undefined;
    clearTimeout(this.#answerTimer);
    clearInterval(this.#probeTimer);
  }
}
