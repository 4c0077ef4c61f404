import { tidyEndpoint } from "../address.ts";
import type { ParsedAddress } from "../address.ts";
import { bindError, checkIpcPathFree, ipcPathRemover } from "../guard.ts";
import type { ZeromqSettings } from "../options.ts";
import { codeOf, ZmqSocket } from "../socket.ts";
import type { SocketEvents, SocketKind } from "../socket.ts";

/** A socket for events, and what its address turned out to be. */
export interface EventSocket {
  readonly socket: ZmqSocket;
  readonly address: string;
  /** Removes what the socket leaves behind in the file system; to be called before it is closed. */
  release(): void;
}

/** What a socket for events is made from. */
export interface EventSocketPlan {
  readonly kind: SocketKind & ("xpub" | "sub");
  readonly attach: "bind" | "connect";
  readonly parsed: ParsedAddress;
  readonly settings: ZeromqSettings;
  /** Largest frame that may come. */
  readonly maxFrameBytes: number;
  /** Options of the binding. */
  readonly own: Readonly<Record<string, unknown>>;
}

/** Binds, or connects, which goes on trying by itself. Rejects with an error that says why an address cannot be bound. */
export async function openEventSocket(plan: EventSocketPlan, events: SocketEvents): Promise<EventSocket> {
  const { attach, kind, parsed, settings } = plan;
  const hasEvents = parsed.scheme !== "inproc";
  const { maxFrameBytes } = plan;
  const own = {
    reconnectInterval: settings.reconnectMinMs,
    reconnectMaxInterval: settings.reconnectMaxMs,
    ...plan.own,
  };
  const common = { ...settings, maxFrameBytes, ipv6: parsed.ipv6, hasEvents, lossNotice: Buffer.alloc(0), own };
  if (attach === "connect") {
    const socket = ZmqSocket.connect(parsed.endpoint, common, events, kind);
    return { socket, address: parsed.endpoint, release: () => undefined };
  }
  await checkIpcPathFree(parsed);
  try {
    const [socket, endpoint] = await ZmqSocket.bind(parsed.endpoint, common, events, kind);
    return { socket, address: tidyEndpoint(endpoint, parsed), release: ipcPathRemover(parsed) };
  } catch (cause) {
    throw bindError(parsed.endpoint, codeOf(cause), cause);
  }
}
