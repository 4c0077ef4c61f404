import type { ZeromqSettings } from "../options.ts";
import type { ParsedAddress } from "../address.ts";
import type { SocketEvents } from "../socket.ts";
import { openSocket, socketTroubles } from "../open-socket.ts";
import type { OpenSocket } from "../open-socket.ts";
import { isControlTopic } from "./event-wire.ts";

/** What a source tells its subscriber. */
export interface SourceOwner {
  /** A message on a topic of events. */
  message(frames: Buffer[]): void;
  /** A message on a topic of the protocol. */
  control(frames: Buffer[]): void;
  /** A connection was made, or lost. */
  connected(): void;
  disconnected(): void;
  /** The other end does not let this one in; or does now. */
  refused(why: string | undefined): void;
  /** What is subscribed now. */
  readonly prefixes: readonly Buffer[];
  trouble(kind: string, describe: () => string): void;
}

/** A SUB at one address, and what is subscribed there. */
export class EventSource implements SocketEvents {
  readonly parsed: ParsedAddress;
  readonly attach: "bind" | "connect";
  readonly #owner: SourceOwner;
  readonly #settings: ZeromqSettings;
  readonly #maxFrameBytes: number;
  #opened: OpenSocket | undefined;
  /** Connections that there are; always 1 where they have no events. */
  #connections = 0;
  /** Connections that came to nothing, whose loss is still to be told. */
  #strangers = 0;
  #closed = false;

  constructor(
    owner: SourceOwner,
    parsed: ParsedAddress,
    attach: "bind" | "connect",
    settings: ZeromqSettings,
    maxFrameBytes: number,
  ) {
    this.#owner = owner;
    this.parsed = parsed;
    this.attach = attach;
    this.#settings = settings;
    this.#maxFrameBytes = maxFrameBytes;
  }

  get address(): string {
    return this.#opened?.address ?? this.parsed.endpoint;
  }

  /** Whether somebody is connected, as far as one can know. */
  get linked(): boolean {
    return this.#connections > 0 || this.parsed.scheme === "inproc";
  }

  /** What its owner wants by the time that it is open is subscribed then. */
  async open(): Promise<void> {
    const { parsed, attach } = this;
    const plan = {
      kind: "sub",
      mode: attach,
      parsed,
      settings: this.#settings,
      maxFrameBytes: this.#maxFrameBytes,
    } as const;
    const opened = await openSocket({ ...plan, own: {} }, this);
    this.#opened = opened;
    if (this.#closed) return this.close();
    for (const prefix of this.#owner.prefixes) opened.socket.subscribe(prefix);
  }

  subscribe(prefix: Buffer): void {
    this.#opened?.socket.subscribe(prefix);
  }

  unsubscribe(prefix: Buffer): void {
    this.#opened?.socket.unsubscribe(prefix);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const opened = this.#opened;
    this.#opened = undefined;
    await opened?.close(0);
  }

  event(type: string, code: string): void {
    if (type === "handshake") {
      this.#connections = this.attach === "connect" ? 1 : this.#connections + 1;
      this.#owner.refused(undefined);
      this.#owner.connected();
    } else if (type === "disconnect") {
      if (this.#strangers > 0) this.#strangers -= 1;
      else this.#connections = Math.max(this.#connections - 1, 0);
      this.#owner.disconnected();
    } else if (type === "lost") {
      this.#connections = this.#strangers = 0;
      this.#owner.disconnected();
    } else if (type === "renewed") {
      for (const prefix of this.#owner.prefixes) this.subscribe(prefix);
      // What was subscribed to meanwhile, to find out who is there, is lost.
      if (this.attach === "bind") this.#owner.disconnected();
    } else if (socketTroubles.has(type)) {
      if (type === "turned-away") this.#strangers += 1;
      this.#owner.trouble(type, () => `${this.address}: ${code}`);
      if (type === "refused") this.#owner.refused(`${this.address}: ${code}`);
    } else if (type === "receive:error") {
      this.#owner.trouble(type, () => `${this.address}: cannot receive any more (${code}); close it and open it again`);
    }
  }

  message(frames: Buffer[]): void {
    if (isControlTopic(frames[0]!)) this.#owner.control(frames);
    else this.#owner.message(frames);
  }
}
