import { nativeMark, RpcError, sessionTag, Status } from "@zerobind/core";
import type { AttachOptions, Attachment, AttachmentListener, Principal } from "@zerobind/core";
import { tidyEndpoint } from "./address.ts";
import type { ParsedAddress } from "./address.ts";
import { Doorkeeper } from "./curve/doorkeeper.ts";
import type { DoorOwner, Sender } from "./curve/doorkeeper.ts";
import { bindSecured } from "./curve/secured.ts";
import type { CurveUser } from "./curve/server-curve.ts";
import { bindError, checkIpcPathFree, ipcPathRemover } from "./guard.ts";
import { turnedAway } from "./handshake.ts";
import type { ZeromqSettings } from "./options.ts";
import { ListenerLink, PeerConnection, maxKeptBytes, maxWaiting, routeKey } from "./peer.ts";
import type { PeerOwner } from "./peer.ts";
import { encodePlainError, PlainExchange, readPlainCall } from "./plain.ts";
import { codeOf, delimiter, makeLossNotice, probe } from "./socket.ts";
import type { SocketEvents, ZmqSocket } from "./socket.ts";
import { escapeBytes, Troubles } from "./trouble.ts";

/** Devices between the peer and here. More would be a loop, or somebody filling memory, as are longer ids than ZeroMQ has. */
const maxHops = 16;
const maxHopBytes = 255;
/** Peers that may be reached through one connection. */
const maxLinksPerConnection = 65_536;

/** Binds a ROUTER. Rejects with an error that names the address and says why it cannot be bound. */
export async function listen(
  address: ParsedAddress,
  settings: ZeromqSettings,
  options: AttachOptions,
  listener: AttachmentListener,
): Promise<Attachment> {
  await checkIpcPathFree(address);
  const bound = new Listener(address, settings, listener);
  const { maxFrameBytes } = options;
  try {
    const socketSettings = {
      ...settings,
      maxFrameBytes,
      ipv6: address.ipv6,
      hasEvents: true,
      lossNotice: bound.lossNotice,
    };
    const [socket, endpoint] = await bindSecured(address, socketSettings, bound, bound);
    bound.open(socket, tidyEndpoint(endpoint, address), ipcPathRemover(address));
    return bound;
  } catch (cause) {
    throw bindError(address.endpoint, codeOf(cause), cause);
  }
}

/** A ROUTER: many peers on one socket, told apart by the envelope of their messages. */
class Listener implements Attachment, PeerOwner, SocketEvents, DoorOwner, CurveUser {
  readonly lossNotice: Buffer = makeLossNotice();
  readonly #settings: ZeromqSettings;
  readonly #listener: AttachmentListener;
  readonly #troubles: Troubles;
  /** By routing id, as latin1. */
  readonly #connections = new Map<string, PeerConnection>();
  /** Where connections are encrypted. */
  readonly #door: Doorkeeper | undefined;
  /** Routing ids of all connections, and of those that were there when a key was revoked; only with a doorkeeper. */
  readonly #present = new Set<string>();
  readonly #doubtful = new Set<string>();
  /** Until then, those who arrive may have been let in by a key that was revoked since. */
  #doubtsEndMs = -Infinity;
  #address = "";
  #socket: ZmqSocket | undefined;
  #release: () => void = () => undefined;
  #closing: Promise<void> | undefined;

  constructor({ scheme }: ParsedAddress, settings: ZeromqSettings, listener: AttachmentListener) {
    this.#settings = settings;
    this.#listener = listener;
    this.#troubles = new Troubles((problem) => listener.trouble(`${this.#address}: ${problem}`));
    const { curve, handshakeTimeoutMs } = settings;
    if (curve.server && scheme !== "inproc") this.#door = new Doorkeeper(curve.server, handshakeTimeoutMs, this);
  }

  get address(): string {
    return this.#address;
  }

  open(socket: ZmqSocket, address: string, release: () => void): void {
    this.#socket = socket;
    this.#address = address;
    this.#release = release;
  }

  close(lingerMs: number): Promise<void> {
    this.#closing ??= this.#close(lingerMs);
    return this.#closing;
  }

  async #close(lingerMs: number): Promise<void> {
    this.#door?.close();
    for (const connection of [...this.#connections.values()]) connection.close();
    try {
      this.#release();
    } catch {
      // Whoever owns the directory now may forbid it; a file that stays is no hindrance.
    }
    await this.#socket?.close(lingerMs);
  }

  /** Sends to one peer; its connection is forgotten if it turns out to be gone. */
  send(frames: Uint8Array[], failed: (error: unknown) => void): boolean {
    return this.#socket?.send(frames, failed) ?? false;
  }

  event(type: string, code: string): void {
    if (type === "accept:error" || code === "EMFILE") {
      this.#troubles.report(
        "accept:error",
        () => `a peer could not be let in (${code}); if there are too many connections, raise the limit of open files`,
      );
    } else if (type.startsWith("handshake:error")) {
      this.#troubles.report(type, () => turnedAway(type, code, this.#door !== undefined));
    } else if (type === "receive:error") {
      this.#troubles.report(type, () => `cannot receive any more (${code}); close this end and open it again`);
    }
  }

  /** `[routing id][other hops …][empty][body …]`, or without the empty frame `[routing id][hops …][native]`. */
  message(frames: Buffer[]): void {
    let end = 1;
    while (end < frames.length && frames[end]!.length > 0) end++;
    const delimited = end < frames.length;
    if (!delimited) {
      if (frames.length === 2 && frames[1]!.equals(probe)) return;
      if (frames.length === 2 && frames[1]!.equals(this.lossNotice)) return this.#lost(frames[0]!.toString("latin1"));
      end = frames.length - 1;
      if (end < 1 || frames[end]![0] !== nativeMark)
        return this.#drop("delimiter", "has no empty frame between envelope and body", frames);
    }
    if (this.#door && frames.length === 2 && delimited) return this.#arrived(frames[0]!.toString("latin1"));
    if (end > maxHops) return this.#drop("hops", `went through more than ${maxHops} devices`, frames);
    for (let hop = 1; hop < end; hop++)
      if (frames[hop]!.length > maxHopBytes)
        return this.#drop("hops", `has a hop of more than ${maxHopBytes} bytes`, frames);
    const body = frames.slice(delimited ? end + 1 : end);
    if (body[0]?.[0] === nativeMark) this.#native(frames, end, body);
    else this.#plain(frames.slice(0, end), body);
  }

  #native(frames: Buffer[], hops: number, body: Buffer[]): void {
    const connection = this.#connection(frames[0]!);
    const route = hops === 1 ? "" : routeKey(frames, hops);
    const link = connection.links.get(route);
    // Whoever begins anew behind a proxy need not be the same as before.
    if (link && this.#door && sessionTag(body[0]!) === 0) {
      link.lose("the peer begins anew");
      // With its last link the connection may have been forgotten.
      return this.#native(frames, hops, body);
    }
    if (link) return link.receiver?.receive(body);
    if (connection.links.size >= maxLinksPerConnection)
      return this.#drop("links", "comes from one peer too many behind one connection", frames);
    const sender = { connection, route, envelope: frames.slice(0, hops) };
    if (!this.#door) return this.#accept(sender, body, this.#settings.principal);
    this.#door.message(sender, body);
  }

  admit(sender: Sender, key: string, principal: Principal, greeting: readonly Buffer[]): void {
    this.#accept(sender, greeting, principal, key);
  }

  answer({ connection, envelope }: Sender, batch: Uint8Array): void {
    this.send([...envelope, delimiter, batch], connection.unreachable);
  }

  trouble(kind: string, describe: () => string): void {
    this.#troubles.report(kind, describe);
  }

  gone(connection: PeerConnection): void {
    this.#door?.gone(connection);
  }

  /** A key is not let in any more: its links end. Which plain peers have it is not known, so all have to come again. */
  revoked(key: string, _cameIn: boolean, isComing: boolean): void {
    if (isComing) this.#doubtsEndMs = performance.now() + this.#settings.handshakeTimeoutMs;
    for (const id of this.#present) this.#doubtful.add(id);
    for (const connection of [...this.#connections.values()])
      for (const link of [...connection.links.values()])
        if (link.key === key) link.expel("its key is not allowed here any more");
  }

  #arrived(id: string): void {
    this.#present.add(id);
    if (performance.now() < this.#doubtsEndMs) this.#doubtful.add(id);
  }

  #lost(id: string): void {
    this.#present.delete(id);
    this.#doubtful.delete(id);
    this.#connections.get(id)?.end("the peer disconnected");
  }

  #accept({ connection, route, envelope }: Sender, body: readonly Buffer[], principal?: Principal, key?: string): void {
    const link = new ListenerLink(connection, route, envelope, principal, key);
    const receiver = this.#listener.accept(link);
    // `accept` may have closed the link already.
    if (connection.links.get(route) === link) link.receiver = receiver;
    link.receiver?.receive(body);
  }

  #plain(envelope: Buffer[], body: Buffer[]): void {
    const connection = this.#connection(envelope[0]!);
    const send = (frames: Uint8Array[]): boolean =>
      connection.alive && this.send([...envelope, delimiter, ...frames], connection.unreachable);
    const answer = (frames: Uint8Array[]): boolean =>
      send(connection.mayReply(frames) ? frames : encodePlainError(unread()));
    const request = this.#readPlain(envelope, body, answer);
    if (!(request instanceof PlainExchange)) answer(encodePlainError(request));
    else if (request.await(connection)) this.#listener.acceptPlain?.(request);
    else request.fail(tooManyWaiting());
    connection.removed();
  }

  /** The request, or the error that answers it: a REQ peer waits for ever for an answer that does not come. */
  #readPlain(envelope: Buffer[], body: Buffer[], answer: (frames: Uint8Array[]) => boolean): PlainExchange | RpcError {
    try {
      if (!this.#listener.acceptPlain) throw new RpcError(Status.UNIMPLEMENTED, "plain requests are not served here");
      if (this.#doubtful.has(envelope[0]!.toString("latin1")))
        throw new RpcError(Status.UNAUTHENTICATED, "a key was revoked; connect again, to show that it was another's");
      const { maxMetadataBytes, principal } = this.#settings;
      return new PlainExchange(readPlainCall(body, maxMetadataBytes), this.peerName(envelope), answer, principal);
    } catch (thrown) {
      const error = RpcError.from(thrown);
      this.#troubles.report("plain", () => `a plain request was refused: ${error.message}`);
      return error;
    }
  }

  /** What is known of a peer: the name that it goes by at this socket. It can choose that name, so it proves nothing. */
  peerName(envelope: readonly Buffer[]): string {
    return `${this.#address} peer ${envelope.map((hop) => hop.toString("hex")).join("/")}`;
  }

  #connection(routingId: Buffer): PeerConnection {
    const key = routingId.toString("latin1");
    const known = this.#connections.get(key);
    if (known) return known;
    const connection = new PeerConnection(this, (gone) => {
      if (this.#connections.get(key) === gone) this.#connections.delete(key);
    });
    this.#connections.set(key, connection);
    return connection;
  }

  #drop(kind: string, problem: string, frames: Buffer[]): void {
    this.#troubles.report(kind, () => {
      const first = frames[1] ? `, whose first frame is ${escapeBytes(frames[1])},` : "";
      return `a message of ${frames.length - 1} frames${first} was dropped because it ${problem}`;
    });
  }
}

function tooManyWaiting(): RpcError {
  return new RpcError(
    Status.RESOURCE_EXHAUSTED,
    `${maxWaiting} plain requests of this connection wait for their answers, as many as may`,
  );
}

function unread(): RpcError {
  return new RpcError(
    Status.RESOURCE_EXHAUSTED,
    `replies of nearly ${maxKeptBytes} bytes are on their way to this connection, as many as may; read them first`,
  );
}
