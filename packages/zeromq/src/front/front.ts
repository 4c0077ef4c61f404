import type { Server, Socket } from "node:net";
import type { ParsedAddress } from "../address.ts";
import { codeOf } from "../socket.ts";
import { addressOf, listening } from "./net-listen.ts";
import { maxOpenFiles } from "./open-files.ts";
import { Visit, relayGraceMs } from "./visit.ts";
import type { VisitOwner } from "./visit.ts";

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
    this.maxConnections = Math.min(
      maxConnections,
      Math.max(1, Math.floor((maxOpenFiles() ?? Infinity) / shareOfFiles)),
    );
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
  }

  ended(visit: Visit): void {
    this.#visits.delete(visit);
    this.#strangers.delete(visit);
    if (this.#visits.size === 0) this.#gone?.();
  }

  trouble(kind: string, describe: () => string): void {
    this.#trouble(`front: ${kind}`, describe);
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const visit of [...this.#strangers]) visit.end();
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
    this.#visits.add(visit);
    this.#strangers.add(visit);
  }

  #hasRoom(): boolean {
    if (this.#visits.size < this.maxConnections) return true;
    const [oldest] = this.#strangers;
    this.trouble("connections", () => {
      const who = oldest ? "the oldest connection without a finished handshake was cut" : "a connection was refused";
      return `${who}, since there are ${this.maxConnections} already, as many as may; see the option maxConnections, and the limit of open files`;
    });
    oldest?.end();
    return oldest !== undefined;
  }
}
