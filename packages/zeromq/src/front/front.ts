import type { Server, Socket } from "node:net";
import type { ParsedAddress } from "../address.ts";
import { codeOf } from "../socket.ts";
import { addressOf, listening } from "./net-listen.ts";
import { maxOpenFiles } from "./open-files.ts";
import { Visit, relayGraceMs } from "./visit.ts";
import type { VisitOwner } from "./visit.ts";

/** All connections that have come in by any front, and those of them that have not finished their handshake. */
const all: { count: number; readonly strangers: Set<Visit> } = { count: 0, strangers: new Set() };

/** Connections of a ws address unless the option `maxConnections` says otherwise. */
const defaultMaxConnections = 10_000;
/** Of all files that the process may have open, one part in so many is for connections, each of which takes three. */
const shareOfFiles = 4;

/** What a front needs to know, and whom it tells of troubles. */
export interface FrontUse {
  readonly handshakeTimeoutMs: number;
  readonly maxConnections: number | undefined;
  trouble(kind: string, describe: () => string): void;
}

/** Whether an address is to be bound behind a front. */
export function needsFront({ scheme }: ParsedAddress, maxConnections: number | undefined): boolean {
  return scheme === "ws" || (scheme === "tcp" && maxConnections !== undefined);
}

/**
 * What stands before a socket that is bound, and accepts connections in its place: ZeroMQ cuts no connection of ws that
 * is silent, has no limit for connections, and without open files left tries to accept one again and again. Each
 * connection is led on, byte by byte, to an address of this machine where ZeroMQ listens, once its first bytes are what
 * they have to be. If there are too many, the oldest that has not finished its handshake makes room.
 */
export class Front implements VisitOwner {
  readonly scheme: "ws" | "tcp";
  readonly handshakeTimeoutMs: number;
  readonly maxConnections: number;
  innerPort = 0;
  readonly #maxOfAll: number;
  readonly #server: Server;
  readonly #visits = new Set<Visit>();
  readonly #strangers = new Set<Visit>();
  readonly #trouble: FrontUse["trouble"];
  #gone: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    { scheme }: ParsedAddress,
    { handshakeTimeoutMs, maxConnections = defaultMaxConnections, ...use }: FrontUse,
  ) {
    this.scheme = scheme === "ws" ? "ws" : "tcp";
    this.handshakeTimeoutMs = handshakeTimeoutMs;
    this.maxConnections = maxConnections;
    this.#maxOfAll = Math.max(1, Math.floor((maxOpenFiles() ?? Infinity) / shareOfFiles));
    this.#trouble = (kind, describe) => use.trouble(kind, describe);
    this.#server = process.getBuiltinModule("node:net").createServer((socket) => this.#connected(socket));
  }

  /** Accepts connections at an address, for what listens at another one; resolves with the real address. */
  async open(target: ParsedAddress, innerEndpoint: string): Promise<string> {
    this.innerPort = Number(/:(\d+)(?:\/.*)?$/.exec(innerEndpoint)?.[1]);
    await listening(this.#server, target);
    this.#server.on("error", (error) =>
      this.trouble("accept", () => `a connection could not be accepted (${codeOf(error)})`),
    );
    return addressOf(this.#server, target);
  }

  /** Frees the address. What ZeroMQ has still sent gets a moment to leave. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  agreed(visit: Visit): void {
    this.#strangers.delete(visit);
    all.strangers.delete(visit);
  }

  ended(visit: Visit): void {
    this.#visits.delete(visit);
    this.agreed(visit);
    all.count -= 1;
    if (this.#visits.size === 0) this.#gone?.();
  }

  trouble(kind: string, describe: () => string): void {
    this.#trouble(`front: ${kind}`, describe);
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const visit of [...this.#strangers]) visit.end(true);
    if (this.#visits.size > 0) {
      const timer = setTimeout(() => [...this.#visits].forEach((visit) => visit.end()), relayGraceMs);
      await new Promise<void>((resolve) => (this.#gone = resolve));
      clearTimeout(timer);
    }
    await closed;
  }

  #connected(socket: Socket): void {
    if (this.#closing || !this.#hasRoom()) {
      socket.on("error", () => undefined);
      socket.destroy();
      return;
    }
    const visit = new Visit(socket, this);
    all.count += 1;
    for (const set of [this.#visits, this.#strangers, all.strangers]) set.add(visit);
  }

  #hasRoom(): boolean {
    const isFull = this.#visits.size >= this.maxConnections;
    if (!isFull && all.count < this.#maxOfAll) return true;
    const [oldest] = isFull ? this.#strangers : all.strangers;
    this.trouble("connections", () => {
      const who = oldest ? "the oldest connection without a finished handshake was cut" : "a connection was refused";
      return isFull
        ? `${who}, since there are ${this.maxConnections} already, as many as the option maxConnections allows`
        : `${who}, since there are ${this.#maxOfAll} already, for which the limit of open files suffices; raise it`;
    });
    oldest?.end(true);
    return oldest !== undefined;
  }
}
