import { tidyEndpoint } from "./address.ts";
import type { AddressMode, ParsedAddress } from "./address.ts";
import { bindError, checkIpcPathFree, ipcPathRemover } from "./guard.ts";
import type { ZeromqSettings } from "./options.ts";
import { codeOf, ZmqSocket } from "./socket.ts";
import type { SocketEvents, SocketKind } from "./socket.ts";

/** A socket of a kind that connects again by itself. */
export interface SocketPlan {
  readonly kind: SocketKind;
  readonly mode: AddressMode;
  readonly parsed: ParsedAddress;
  readonly settings: ZeromqSettings;
  /** Largest frame that may come. */
  readonly maxFrameBytes: number;
  /** Options of the binding. */
  readonly own: Readonly<Record<string, unknown>>;
}

/** An open socket. */
export interface OpenSocket {
  readonly socket: ZmqSocket;
  /** The real address. */
  readonly address: string;
  /** Frees address and socket; what is queued gets up to `lingerMs` to leave. */
  close(lingerMs: number): Promise<void>;
}

/**
 * Options of sockets that stop receiving when there is too much: ZeroMQ's heartbeats would wait behind what is not
 * read, and cut a connection that is well. TCP's own signs of life do not.
 */
export const unheardOptions: Readonly<Record<string, unknown>> = {
  heartbeatInterval: 0,
  heartbeatTimeout: 0,
  heartbeatTimeToLive: 0,
  tcpKeepalive: 1,
  tcpKeepaliveIdle: 20,
  tcpKeepaliveInterval: 5,
  tcpKeepaliveCount: 4,
};

/** Binds, or connects, which goes on trying by itself. Rejects with an error that says why an address cannot be bound. */
export async function openSocket(plan: SocketPlan, events: SocketEvents): Promise<OpenSocket> {
  const { kind, mode, parsed, settings, maxFrameBytes } = plan;
  const hasEvents = parsed.scheme !== "inproc";
  const own = {
    reconnectInterval: settings.reconnectMinMs,
    reconnectMaxInterval: settings.reconnectMaxMs,
    ...plan.own,
  };
  const common = { ...settings, maxFrameBytes, ipv6: parsed.ipv6, hasEvents, lossNotice: Buffer.alloc(0), own };
  if (mode === "connect") {
    const socket = ZmqSocket.connect(parsed.endpoint, common, events, kind);
    return { socket, address: parsed.endpoint, close: (lingerMs) => socket.close(lingerMs) };
  }
  await checkIpcPathFree(parsed);
  try {
    const [socket, endpoint] = await ZmqSocket.bind(parsed.endpoint, common, events, kind);
    const release = ipcPathRemover(parsed);
    return {
      socket,
      address: tidyEndpoint(endpoint, parsed),
      close: (lingerMs) => released(release, socket, lingerMs),
    };
  } catch (cause) {
    throw bindError(parsed.endpoint, codeOf(cause), cause);
  }
}

function released(release: () => void, socket: ZmqSocket, lingerMs: number): Promise<void> {
  try {
    release();
  } catch {
    // Whoever owns the directory now may forbid it; a file that stays is no hindrance.
  }
  return socket.close(lingerMs);
}
