import { Channel, ServiceHost, Status, binding, partial } from "@zerobind/core";
import type { ClientOf, OperationContext, Peer, RpcError } from "@zerobind/core";
import { curveClient, serverCurve, zeromq } from "@zerobind/zeromq";
import type { ServerCurve, ServerCurveOptions, ZeromqOptions } from "@zerobind/zeromq";
import { Behavior } from "../../core/test/gen/test/v1/behavior.rpc.ts";
import { makeKeyPair } from "../src/curve/keys.ts";
import type { CurveKeyPair } from "../src/curve/keys.ts";
import { track } from "./support.ts";

export const quick: ZeromqOptions = { reconnectMinMs: 20, reconnectMaxMs: 200, handshakeTimeoutMs: 1_000 };
export const zeroKey: string = "0".repeat(40);

/** A host behind CURVE, and what has reached its handler. */
export interface SecureHost {
  readonly curve: ServerCurve;
  readonly serverKeys: CurveKeyPair;
  /** Keys that it allows from the beginning, in the name of "alice". */
  readonly alice: CurveKeyPair;
  readonly host: ServiceHost;
  readonly address: string;
  readonly troubles: readonly string[];
  /** Texts of the calls of Echo, with the peers that they came from. */
  readonly calls: { readonly text: string; readonly peer: Peer }[];
}

export async function secureHost(
  options: Partial<ServerCurveOptions> = {},
  zeromqOptions: ZeromqOptions = {},
  at = "tcp://127.0.0.1:*",
): Promise<SecureHost> {
  const [serverKeys, alice] = [makeKeyPair(), makeKeyPair()];
  const allow = [{ key: alice.publicKey, name: "alice", roles: ["admin", "buyer"] }];
  const curve = serverCurve({ secretKey: serverKeys, allow, ...options });
  const [troubles, calls]: [string[], SecureHost["calls"]] = [[], []];
  const host = track(
    new ServiceHost({
      binding: binding(zeromq({ ...quick, ...zeromqOptions, curve })),
      onTrouble: (problem) => void troubles.push(problem),
    }),
  );
  const echo = ({ text }: { text: string }, { peer }: OperationContext): { text: string } => {
    calls.push({ text, peer });
    return { text };
  };
  await host.serve(Behavior, partial(Behavior, { echo })).open(at);
  return { curve, serverKeys, alice, host, address: host.address, troubles, calls };
}

/** A client that comes with keys, or with none. */
export function clientOf(
  { address, serverKeys }: Pick<SecureHost, "address" | "serverKeys">,
  keyPair?: CurveKeyPair,
): { channel: Channel; client: ClientOf<typeof Behavior> } {
  const curve = keyPair && curveClient({ serverKey: serverKeys.publicKey, keyPair });
  const channel = track(new Channel(address, { binding: binding(zeromq({ ...quick, curve })) }));
  return { channel, client: channel.client(Behavior) };
}

/** The error of a call that has to fail. */
export async function failure(call: Promise<unknown>): Promise<RpcError> {
  try {
    await call;
  } catch (error) {
    return error as RpcError;
  }
  throw new Error("the call was answered");
}

/** The error of a client that must not get in, which has to come soon, and from elsewhere than its deadline. */
export async function refused(host: SecureHost, client: ClientOf<typeof Behavior>): Promise<RpcError> {
  const before = host.calls.length;
  const error = await failure(client.echo({ text: "intruder" }, { timeoutMs: 8_000 }));
  if (host.calls.length > before) throw new Error("something has reached the handler");
  if (error.code !== Status.UNAUTHENTICATED) throw error;
  return error;
}
