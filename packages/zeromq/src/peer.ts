import type { Link, LinkReceiver, Principal } from "@zerobind/core";
import { delimiter } from "./socket.ts";

/** What a connection needs of the socket it came in by. */
export interface PeerOwner {
  send(frames: Uint8Array[], failed: (error: unknown) => void): boolean;
  /** For people: where the peer at the end of this envelope is. */
  peerName(envelope: readonly Buffer[]): string;
  /** A connection is gone. */
  gone(connection: PeerConnection): void;
}

/** Plain requests of one connection that may wait for their answers at once. */
export const maxWaiting = 1_000;
/**
 * Bytes of plain replies of one connection that this process may keep; smaller replies are bounded by their number.
 * What was sent counts until the collector of garbage has found it, so an honest peer needs more than is on its way.
 */
export const maxKeptBytes: number = 256 * 1024 * 1024;
const largeBytes = 4096;

/** Tells when a reply that was handed to ZeroMQ is out of memory: it is sent, and nothing else keeps it. */
const sent = new FinalizationRegistry<() => void>((done) => done());

/** One connection at a ROUTER, with the peers behind it: one, unless it comes from a device. */
export class PeerConnection {
  readonly owner: PeerOwner;
  /** Whether it may still be there. */
  alive: boolean = true;
  /** By the hops after the first, see `routeKey`. */
  readonly links: Map<string, ListenerLink> = new Map();
  /** How many have said something and are being asked who they are. */
  visitors: number = 0;
  /** Plain requests that wait for their answers. */
  readonly #waiting = new Set<(reason: string) => void>();
  /** Bytes of large plain replies that this process still keeps: ZeroMQ lets go of them when they are sent. */
  #keptBytes = 0;
  /** Called for a message that could not be sent: the connection is gone, or its peer reads nothing. */
  readonly unreachable: () => void = (): void => this.end("the peer cannot be reached any more");
  readonly #forget: (connection: PeerConnection) => void;

  constructor(owner: PeerOwner, forget: (connection: PeerConnection) => void) {
    this.owner = owner;
    this.#forget = forget;
  }

  /** The connection is gone, and every peer behind it. */
  end(reason: string): void {
    if (!this.alive) return;
    this.alive = false;
    this.#forget(this);
    this.owner.gone(this);
    for (const link of [...this.links.values()]) link.lose(reason);
    for (const tell of [...this.#waiting]) tell(reason);
    this.#waiting.clear();
  }

  /** Notes a plain request, to be told if its peer goes. False: this many wait already that it must be refused. */
  admit(tell: (reason: string) => void): boolean {
    if (this.#waiting.size >= maxWaiting) return false;
    this.#waiting.add(tell);
    return true;
  }

  /** A plain request is answered. */
  answered(tell: (reason: string) => void): void {
    this.#waiting.delete(tell);
    this.removed();
  }

  /** Whether a plain reply may be sent; counts it if so. A peer that does not read what it got gets no more. */
  mayReply(frames: readonly Uint8Array[]): boolean {
    for (const frame of frames) {
      const bytes = frame.byteLength;
      if (bytes < largeBytes) continue;
      if (this.#keptBytes + bytes > maxKeptBytes) return false;
      this.#keptBytes += bytes;
      sent.register(frame, () => {
        this.#keptBytes -= bytes;
        this.removed();
      });
    }
    return true;
  }

  /** Ends all links without `lost`. */
  close(): void {
    this.alive = false;
    for (const link of [...this.links.values()]) link.close();
    this.#forget(this);
  }

  /** Called when a link was taken out: without links, visitors and requests there is nothing to remember. */
  removed(): void {
    if (this.links.size === 0 && this.visitors === 0 && this.#waiting.size === 0 && this.#keptBytes === 0)
      this.#forget(this);
  }
}

/** One peer at a ROUTER, reached by the envelope that its messages came with. */
export class ListenerLink implements Link {
  receiver: LinkReceiver | undefined;
  readonly #connection: PeerConnection;
  readonly #route: string;
  readonly #envelope: readonly Buffer[];
  readonly #prefix: readonly Buffer[];
  #open = true;

  readonly principal: Principal | undefined;
  /** The key by which the peer has proved who it is. */
  readonly key: string | undefined;

  constructor(
    connection: PeerConnection,
    route: string,
    envelope: readonly Buffer[],
    principal: Principal | undefined,
    key?: string,
  ) {
    this.principal = principal;
    this.key = key;
    this.#connection = connection;
    this.#route = route;
    this.#envelope = envelope;
    this.#prefix = [...envelope, delimiter];
    connection.links.set(route, this);
  }

  get remoteAddress(): string {
    return this.#connection.owner.peerName(this.#envelope);
  }

  send(frames: readonly Uint8Array[]): boolean {
    // A message without frames would reach the peer as an empty envelope, which is none.
    if (!this.#open || frames.length === 0) return false;
    return this.#connection.owner.send([...this.#prefix, ...frames], this.#connection.unreachable);
  }

  retire(): void {
    // The peer connects, so the successor is its business.
  }

  /** A ROUTER cannot cut one of its connections: the peer is merely forgotten, and new if it goes on. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.receiver = undefined;
    this.#connection.links.delete(this.#route);
    this.#connection.removed();
  }

  lose(reason: string): void {
    const { receiver } = this;
    this.close();
    receiver?.lost(reason);
  }

  /** Its peer may not be served any more. */
  expel(reason: string): void {
    this.receiver?.expel?.(reason);
    if (this.#open) this.lose(reason);
  }
}

/** The hops after the first as one key; lengths keep different hops from making the same text. */
export function routeKey(frames: readonly Buffer[], hops: number): string {
  let key = "";
  for (let index = 1; index < hops; index++) {
    const hop = frames[index]!;
    key += `${hop.length}:${hop.toString("latin1")}`;
  }
  return key;
}
