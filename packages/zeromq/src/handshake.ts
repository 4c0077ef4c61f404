import type { CurveClient } from "./curve/client-curve.ts";
import type { Mechanism } from "./curve/mechanism-probe.ts";

/** Whether a failure is one that would come again; what is merely likely may also be an end that just goes away. */
export type Refusal = "no" | "likely" | "sure";

/** Why an end that connected did not get in, in words for its user, by the binding's event for it. */
export function handshakeFailure(
  type: string,
  code: string,
  client: CurveClient | undefined,
): { describe: () => string; refusal: Refusal } {
  const isMismatch = code === "ERR_ZMTP_MECHANISM_MISMATCH";
  if (type === "handshake:error:auth") return { describe: () => refusedText(code, client), refusal: "sure" };
  if (isMismatch) return { describe: () => mismatchText(client), refusal: "sure" };
  const isCut = type === "handshake:error:other" && code !== "EAGAIN";
  return {
    describe: () =>
      isCut
        ? `the other end hung up in the middle of the handshake (${code}); trying again`
        : `the other end does not speak ZeroMQ as this one does (${code}); trying again`,
    refusal: isCut || code === "ERR_ZMTP_CRYPTOGRAPHIC" ? "likely" : "no",
  };
}

/** The same for an end that hangs up again and again, now that it is known what it wants; undefined if it should not. */
export function cutText(wanted: Mechanism | undefined, client: CurveClient | undefined): string | undefined {
  if (wanted === undefined || wanted === "PLAIN") return undefined;
  if ((wanted === "CURVE") !== (client !== undefined)) return mismatchText(client);
  return (
    client && "the other end hangs up, as one does whose key is not the serverKey that this end has; compare the two"
  );
}

function refusedText(code: string, client: CurveClient | undefined): string {
  if (code === "500") return "the other end could not decide whether to let this one in (500); trying again later";
  const key = client ? `: the public key ${client.publicKey} is not among those that it allows` : "";
  return `the other end does not let this one in (${code})${key}; trying again later`;
}

function mismatchText(client: CurveClient | undefined): string {
  return client
    ? "the other end does not use CURVE, so that nothing would be encrypted: it needs curve: serverCurve({ secretKey, allow })"
    : "the other end is encrypted: this one needs curve: curveClient({ serverKey, keyPair })";
}

/** Why somebody who came to an end that is bound did not get in. */
export function turnedAway(type: string, code: string, isEncrypted: boolean): string {
  if (type === "handshake:error:auth") return `a peer was not let in, since its key is not allowed (${code})`;
  if (code === "ERR_ZMTP_MECHANISM_MISMATCH" && isEncrypted)
    return "a peer was not let in, since it does not use CURVE";
  if (code === "ERR_ZMTP_CRYPTOGRAPHIC") return "a peer was not let in: it takes this end for one with another key";
  return `a peer that connected does not speak ZeroMQ as this end does (${code})`;
}
