import type { RpcError } from "./rpc-error.ts";
import type { Principal } from "./context.ts";
import type { Metadata } from "./metadata.ts";

/**
 * One connection to one peer, as a transport shows it: whole messages of frames, both ways, in order.
 *
 * Failure rules. A message arrives whole or not at all, at most once, in the order of `send`. What was handed over
 * shortly before a loss may or may not have arrived. A link that is lost never comes back: the transport that connects
 * makes another one by itself and announces it as a new link.
 */
export interface Link {
  /** Where the peer is, as far as the transport can tell; for people and logs, never an identity. */
  readonly remoteAddress: string;
  /** Who the peer has proved to be, before the link was announced; undefined if the transport knows no proofs. */
  readonly principal?: Principal | undefined;
  /**
   * Hands one message to the transport. False: the link is known to be over and nothing was sent. Never throws, never
   * waits; a transport that learns only later that the message could not be sent ends the link with `lost`. The frames
   * belong to the transport from then on and must not be changed.
   */
  send(frames: readonly Uint8Array[]): boolean;
  /**
   * On the connecting side: looks for a successor from now on, while this link may still be used until `close`.
   * On the binding side it does nothing. Used when the peer said that it will go away.
   */
  retire(): void;
  /**
   * Ends the link: nothing more is received from it, and `lost` is not called. On the connecting side the transport
   * then connects anew (after its reconnect delay, unless `retire` already did). Idempotent.
   */
  close(): void;
}

/** What happens on a link. None of these may throw. */
export interface LinkReceiver {
  /** One message. Its frames must be treated as read-only; whoever keeps a small part of one should copy it. */
  receive(frames: readonly Uint8Array[]): void;
  /** The connection is gone; called at most once and never after `close`. `reason` is for people. */
  lost(reason: string): void;
  /** The peer may not be served any more: it is told why, and the link is closed. Not called by transports without proofs. */
  expel?(reason: string): void;
}

/** A unary request that came outside of any link: the plain profile, and later other gateways. */
export interface PlainRequest {
  /** `package.Service/Method`, not yet looked up. */
  readonly path: string;
  /** Encoded request message; read-only. */
  readonly body: Uint8Array;
  /** How long the caller waits; 0 if it does not say. */
  readonly timeoutMs: number;
  readonly metadata: Metadata | undefined;
  readonly remoteAddress: string;
  /** Who the caller is, where the endpoint itself says so; undefined otherwise. */
  readonly principal?: Principal | undefined;
  /**
   * Told at most once, if it turns out before the answer that the caller is gone and waits for none. `reason` is for
   * people. A transport that cannot know never tells.
   */
  onGone(listener: (reason: string) => void): void;
  /** Answers with an encoded message. False: the caller is not there any more. Either answer is called once at most. */
  reply(body: Uint8Array, header: Metadata | undefined, trailer: Metadata | undefined): boolean;
  /** Answers with a status. */
  fail(error: RpcError): boolean;
  /**
   * Only where the caller can get no answer, so that the call is one-way whatever its method: told that the call is
   * over, and how, unless `fail` has refused it.
   */
  over?(error: RpcError | undefined): void;
}

/** What the owner of an attachment is told. None of these may throw. */
export interface AttachmentListener {
  /** A peer is there: called before its first message, which the returned receiver gets. */
  accept(link: Link): LinkReceiver;
  /** A request without a link; a listener without this method gets only links. */
  acceptPlain?(request: PlainRequest): void;
  /**
   * Something stands in the way (connection refused, handshake failed, a message that belongs to nobody was dropped).
   * The transport goes on trying; the text is for error messages and logs. Wire text in it is escaped. `isRefusal`: the
   * other end does not let this one in, or is not the one that it should be, so that the same will happen again.
   */
  trouble(problem: string, isRefusal?: boolean): void;
}

/** How a transport attaches to an address. */
export interface AttachOptions {
  /** The two sides of a connection are not the two roles of a call: either end may bind. */
  readonly mode: "bind" | "connect";
  /** First message of every connection that this side makes, one frame; only in mode `connect`. */
  readonly greeting?: Uint8Array;
  /** Larger frames are refused by the transport where it can; the connection may then be lost. */
  readonly maxFrameBytes: number;
}

/** A transport attached to one address. */
export interface Attachment {
  /** The real address, with the port that a wildcard stood for. */
  readonly address: string;
  /**
   * Detaches: all links end without `lost`, sockets and timers are freed, queued messages get up to `lingerMs` to
   * leave. Resolves when all that is done. Idempotent, never rejects.
   */
  close(lingerMs: number): Promise<void>;
}

/**
 * Moves frames and knows nothing of calls.
 *
 * `attach` in mode `bind` rejects with an error that names the address when it cannot be bound; in mode `connect` it
 * does not wait for a peer: an absent peer is no error, links come when it appears, in whatever order both start.
 * Both reject with the TypeError that `check` throws.
 */
export interface Transport {
  /** For messages: `zeromq`, `memory`. */
  readonly name: string;
  /** Throws a TypeError, with a hint, for an address that it does not understand or may not use. */
  check(address: string, mode: AttachOptions["mode"]): void;
  attach(address: string, options: AttachOptions, listener: AttachmentListener): Promise<Attachment>;
}
