import type { AddressMode, ParsedAddress } from "../address.ts";
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

/** Settings of a socket with those of its transport. */
interface SecuredSettings extends SocketSettings {
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

/** A socket that binds, encrypted if there are keys; `user` is told of those that are revoked. */
export async function bindSecured(
  { endpoint, scheme }: ParsedAddress,
  settings: SecuredSettings,
  events: SocketEvents,
  user: CurveUser,
  kind?: SocketKind,
): Promise<[ZmqSocket, address: string]> {
  const { server } = settings.curve;
  if (scheme === "inproc" || !server) return ZmqSocket.bind(endpoint, settings, events, kind);
  const release = await server.enter(user);
  try {
    const own = { ...settings.own, ...server.socketOptions };
    return await ZmqSocket.bind(endpoint, { ...settings, own }, events, kind, release);
  } catch (error) {
    await release();
    throw error;
  }
}
