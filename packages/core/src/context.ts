import type { Metadata, MetadataInit } from "./metadata.ts";
import type { Contract, MethodDescriptor } from "./contract.ts";

/** A typed name under which interceptors and handlers keep something for the length of one call. */
export class ContextKey<T> {
  readonly description: string;
  /** What `get` gives while nothing was set. */
  readonly defaultValue: T;

  constructor(description: string, defaultValue: T) {
    this.description = description;
    this.defaultValue = defaultValue;
  }
}

/** Values by typed key, local to this process. */
export class ContextItems {
  readonly #values = new Map<ContextKey<never>, unknown>();

  get<T>(key: ContextKey<T>): T {
    return this.#values.has(key as ContextKey<never>)
      ? (this.#values.get(key as ContextKey<never>) as T)
      : key.defaultValue;
  }

  set<T>(key: ContextKey<T>, value: T): this {
    this.#values.set(key as ContextKey<never>, value);
    return this;
  }
}

/** Who a peer proved to be: by its key, or by credentials that the host has checked. */
export interface Principal {
  readonly name: string;
  /** What it may act as, by the names that contracts use in `requires`. */
  readonly roles: readonly string[];
}

/** The other end of a call. */
export interface Peer {
  /** As far as the transport can tell; for people and logs, never an identity. */
  readonly address: string;
  /** Name of who the peer proved to be; undefined without authentication. Nothing that the peer merely says sets it. */
  readonly principal?: string | undefined;
  /** Roles of the principal; none without authentication. */
  readonly roles?: readonly string[] | undefined;
}

/** One connection's conversation, as handlers see it: it lasts from the peer's greeting until the connection is gone. */
export interface SessionContext {
  /** Random, for logs. It proves nothing about the peer. */
  readonly id: string;
  readonly peer: Peer;
  /** Values that are kept for as long as the session lasts. */
  readonly items: ContextItems;
  /** Aborted when the session has ended. */
  readonly signal: AbortSignal;
  /**
   * A client that calls the peer back over this session, for a contract that it serves (`channel.serve`). It may be
   * kept and used for as long as the session lasts; calls made afterwards end UNAVAILABLE. Calls made in a handler
   * inherit its deadline and its cancellation.
   */
  callback<Client>(contract: Contract<Client>): Client;
}

/** What a handler knows of the call it answers, beside the request. It is valid until the call ends. */
export interface OperationContext {
  readonly method: MethodDescriptor;
  /** `package.Service/Method`. */
  readonly path: string;
  /** What the caller sent along. */
  readonly metadata: Metadata;
  /**
   * Aborted when nobody waits for the answer any more: the caller cancelled, its deadline passed, its connection was
   * lost, or the host closes. The reason is an RpcError. Made when first asked for.
   */
  readonly signal: AbortSignal;
  /** When the caller stops waiting, in milliseconds since the epoch; undefined if it waits for ever. */
  readonly deadline: number | undefined;
  /** Milliseconds until the deadline, by the monotonic clock; Infinity without one, 0 when it has passed. */
  timeRemainingMs(): number;
  readonly peer: Peer;
  /** The session that the call came over; undefined for plain requests, which have none. */
  readonly session: SessionContext | undefined;
  /**
   * A client that calls the caller back over the session of this call, for the contract that the service names in
   * `option (zerobind.v1.service) = { callback: "..." }`. See `SessionContext.callback`. Throws TypeError for a
   * contract that the service does not name, and RpcError UNIMPLEMENTED for a plain request, which has no session.
   */
  callback<Client>(contract: Contract<Client>): Client;
  /** Values that interceptors add for the handler. */
  readonly items: ContextItems;
  /**
   * Sets the header block, which reaches the caller before the first message. Throws once that was sent, and RangeError
   * if it is larger than the caller accepts.
   */
  setHeader(header: MetadataInit): void;
  /** Sends the header block now, without waiting for the first message. */
  sendHeader(): void;
  /** Sets the trailer block, which reaches the caller with the status. */
  setTrailer(trailer: MetadataInit): void;
  /**
   * Says whether the messages that are sent from now on in this call are to be compressed: `false` never, as where
   * secrets and text of others stand side by side; `true` also below the threshold; `undefined`, as it is from the
   * beginning, as the binding says. Without effect where binding or caller have no compression in common, and in
   * handlers of worker threads.
   */
  setCompression(compress: boolean | undefined): void;
}
