import type { AddressMode, ParsedAddress } from "../address.ts";
import { Front, needsFront } from "../front/front.ts";
import { ZmqSocket } from "../socket.ts";
import type { SocketEvents, SocketKind, SocketSettings } from "../socket.ts";
import { CurveClient } from "./client-curve.ts";
import type { ClientCurve } from "./client-curve.ts";
import { CurveServer } from "./server-curve.ts";
import type { CurveUser, ServerCurve } from "./server-curve.ts";

/** What protects the addresses of a transport: one for those that are bound, one for those that are connected to. */
export type CurveOption = ServerCurve | ClientCurve | readonly (ServerCurve | ClientCurve)[];

/** The same, taken apart. */
export interface CurveSettings {
  readonly server: CurveServer | undefined;
  readonly client: CurveClient | undefined;
}

/** TypeError for what is no protection, or protects the same side twice. */
export function curveSettings(given: CurveOption | undefined): CurveSettings {
  const settings: { server: CurveServer | undefined; client: CurveClient | undefined } = {
    server: undefined,
    client: undefined,
  };
  for (const each of given === undefined ? [] : [given].flat()) {
    const side = each instanceof CurveServer ? "server" : "client";
    if (!(each instanceof CurveServer) && !(each instanceof CurveClient))
      throw new TypeError(
        "option curve of zeromq() must be serverCurve({ secretKey, allow }) for addresses that are bound, " +
          "curveClient({ serverKey, keyPair }) for those that are connected to, or an array of both",
      );
    if (settings[side]) throw new TypeError(`option curve of zeromq() has two for the same side; give one of each`);
    settings[side] = each as never;
  }
  return settings;
}

/** Whether what travels to and from an address is encrypted; within the process nothing is. TypeError for the wrong side. */
export function isEncrypted({ address, scheme }: ParsedAddress, curve: CurveSettings, mode: AddressMode): boolean {
  const { server, client } = curve;
  if (scheme === "inproc" || (!server && !client)) return false;
  if (mode === "bind" && !server)
    throw new TypeError(
      `${address} is bound, and curveClient() is for ends that connect: this end needs curve: serverCurve({ secretKey, allow })`,
    );
  if (mode === "connect") {
    if (!client)
      throw new TypeError(
        `${address} is connected to, and serverCurve() is for ends that bind: this end needs curve: curveClient({ serverKey, keyPair })`,
      );
    client.serverKeyAt(address);
  }
  return true;
}

/** TypeError where subscriptions would not arrive: libzmq forgets over ws, once it has encrypted them, what they are. */
export function checkSubscriptions(parsed: ParsedAddress, curve: CurveSettings, mode: AddressMode): void {
  if (parsed.scheme !== "ws" || !isEncrypted(parsed, curve, mode)) return;
  throw new TypeError(`${parsed.address}: ZeroMQ does not carry subscriptions over ws with CURVE; use tcp or ipc`);
}

/** Settings of a socket with those of its transport. */
interface SecuredSettings extends SocketSettings {
  readonly maxConnections: number | undefined;
  readonly curve: CurveSettings;
}

/** A socket that connects, encrypted if there are keys. `address` as the user gave it. */
export function connectSecured(
  { address, endpoint, scheme }: ParsedAddress,
  settings: SecuredSettings,
  events: SocketEvents,
  kind?: SocketKind,
): ZmqSocket {
  const { client } = settings.curve;
  if (scheme === "inproc" || !client) return ZmqSocket.connect(endpoint, settings, events, kind);
  const own = { ...settings.own, ...client.socketOptions(address) };
  return ZmqSocket.connect(endpoint, { ...settings, own }, events, kind);
}

/**
 * A socket that binds, encrypted if there are keys, behind a front if it needs one; `user` is told of keys that are
 * revoked, and of troubles.
 */
export async function bindSecured(
  parsed: ParsedAddress,
  settings: SecuredSettings,
  events: SocketEvents,
  user: CurveUser,
  kind?: SocketKind,
): Promise<[ZmqSocket, address: string]> {
  const server = parsed.scheme === "inproc" ? undefined : settings.curve.server;
  const front = needsFront(parsed, settings.maxConnections) ? frontOf(parsed, settings, user) : undefined;
  const leave = await server?.enter(user);
  const release = async (): Promise<void> => {
    await front?.close();
    await leave?.();
  };
  try {
    const own = { ...settings.own, ...server?.socketOptions };
    const all = { ...settings, own, ipv6: front ? false : settings.ipv6 };
    const inner = front ? `${parsed.scheme}://127.0.0.1:*` : parsed.endpoint;
    const [socket, endpoint] = await ZmqSocket.bind(inner, all, events, kind, release);
    if (!front) return [socket, endpoint];
    try {
      return [socket, await front.open(parsed, endpoint)];
    } catch (error) {
      await socket.close(0);
      throw error;
    }
  } catch (error) {
    await release();
    throw error;
  }
}

function frontOf(
  parsed: ParsedAddress,
  { handshakeTimeoutMs, maxConnections }: SecuredSettings,
  user: CurveUser,
): Front {
  const trouble = (kind: string, describe: () => string): void => user.trouble(kind, describe);
  return new Front(parsed, { handshakeTimeoutMs, maxConnections, trouble });
}
