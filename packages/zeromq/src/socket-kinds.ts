import { context, Dealer, Publisher, Pull, Push, Router, Subscriber, XPublisher, XSubscriber } from "zeromq";
import { setArrivalNotice, setDisconnectNotice, setLossNotice, setSubscriptionQueue } from "./draft-options.ts";
import { refuseInMortalThread } from "./thread-guard.ts";

/** A DEALER must not connect a second time (see `ZmqSocket.connect`); it waits longer than it lives. About 12 days. */
const neverMs = 2 ** 30;
/**
 * Messages that may wait in the queues of one connection. Honest peers stay far below, so whoever reaches it floods:
 * a ROUTER then takes a peer that does not read for lost, and stops reading from one that writes faster than it reads.
 */
const maxQueuedMessages = 65_536;
/** Room for what stands around a frame of the permitted size. */
const frameSlackBytes = 1024;
/** Each socket takes three places of the context, one of its own and two for its events; ZeroMQ's default is 1,023. */
const maxSockets = 16_384;
const defaultMaxSockets = 1_023;

/** What all kinds of sockets need to know. */
export interface SocketSettings {
  readonly draftOptions: boolean;
  readonly handshakeTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly heartbeatTimeoutMs: number;
  readonly maxFrameBytes: number;
  /** IPv6 has to be switched on; names then stand for IPv6 addresses. */
  readonly ipv6: boolean;
  /**
   * Whether connections have events, which those of inproc have not. A DEALER that still waits for its inproc name
   * to be bound when it is closed does not end until then, so nothing may wait for its last event.
   */
  readonly hasEvents: boolean;
  /** What the socket itself delivers when a connection is lost; unguessable, since a peer could send it too. */
  readonly lossNotice: Buffer;
  /** Options of this one socket, by the binding's names for them; they go before those of its kind. */
  readonly own?: Readonly<Record<string, unknown>>;
}

/** A socket of any of the kinds that are used here. */
export type AnySocket = Dealer | Router | XPublisher | Publisher | XSubscriber | Subscriber | Push | Pull;

/** The kinds of sockets by ZeroMQ's names for them. */
export type SocketKind = "dealer" | "router" | "xpub" | "pub" | "xsub" | "sub" | "push" | "pull";

const kinds: Readonly<Record<SocketKind, new (options: object) => AnySocket>> = {
  dealer: Dealer,
  router: Router,
  xpub: XPublisher,
  pub: Publisher,
  xsub: XSubscriber,
  sub: Subscriber,
  push: Push,
  pull: Pull,
};
/** An option that a kind does not have makes the binding throw. */
const sends = { linger: 0, sendTimeout: 0, sendHighWaterMark: 0 };
const receives = { linger: 0, receiveHighWaterMark: maxQueuedMessages };
const directions: Readonly<Record<SocketKind, object>> = {
  dealer: { ...sends, ...receives },
  router: { ...sends, ...receives },
  xpub: { ...sends, ...receives },
  pub: sends,
  xsub: { ...sends, ...receives },
  sub: receives,
  push: sends,
  pull: receives,
};

/*
 * High-water marks are never changed once a socket has peers: libzmq tells the other end of each pipe, which may just
 * be gone, and the process then dies in one of its threads.
 */

/** Makes a socket that neither waits nor loses anything by itself. `noticed`: it will tell of losses by the notice. */
export function makeSocket(kind: SocketKind, settings: SocketSettings): { socket: AnySocket; noticed: boolean } {
  refuseInMortalThread();
  raiseSocketLimit();
  const options = { ...directions[kind], ...commonOptions(settings), ...ownOptions(kind, settings), ...settings.own };
  const socket = new kinds[kind](options);
  if (kind === "sub") setSubscriptionQueue(socket);
  if (
    kind === "router" &&
    settings.own?.["curveServer"] === true &&
    !(settings.draftOptions && setArrivalNotice(socket))
  ) {
    socket.close();
    throw new TypeError(
      "CURVE needs the draft options of libzmq, to tell connections apart: leave draftOptions as it is",
    );
  }
  if (!settings.draftOptions) return { socket, noticed: false };
  const { lossNotice } = settings;
  if (kind === "router") return { socket, noticed: setDisconnectNotice(socket, lossNotice) };
  return { socket, noticed: kind === "dealer" && setLossNotice(socket, lossNotice) };
}

function ownOptions(kind: SocketKind, settings: SocketSettings): object {
  if (kind === "router") return { sendHighWaterMark: maxQueuedMessages, mandatory: true, backlog: 4096 };
  if (kind === "dealer") return { connectTimeout: settings.handshakeTimeoutMs, reconnectInterval: neverMs };
  return {};
}

function commonOptions(settings: SocketSettings): object {
  return {
    maxMessageSize: settings.maxFrameBytes + frameSlackBytes,
    handshakeInterval: settings.handshakeTimeoutMs,
    heartbeatInterval: settings.heartbeatIntervalMs,
    heartbeatTimeout: settings.heartbeatTimeoutMs,
    heartbeatTimeToLive: settings.heartbeatTimeoutMs,
    ipv6: settings.ipv6,
  };
}

/** Takes effect if this is the first socket of the process, and only if nobody else set the limit. */
function raiseSocketLimit(): void {
  if (context.maxSockets === defaultMaxSockets) context.maxSockets = maxSockets;
}
