import type { Metadata, MetadataInit } from "./metadata.ts";
import type { MethodDescriptor } from "./contract.ts";

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

/** The other end of a call. */
export interface Peer {
  /** As far as the transport can tell; for people and logs, never an identity. */
  readonly address: string;
  /** Who the peer proved to be; undefined without authentication. */
  readonly principal?: string | undefined;
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
}
