import type { LinkAuth } from "@zerobind/core";
import type { CurveKeyPair } from "./keys.ts";
import { decodeZ85, encodeZ85 } from "./z85.ts";

/*
 * That a connection is encrypted for a key, libzmq tells nobody above it. So whoever connects says its key again, with
 * a proof that only it and the end that it is connected to can make: HMAC-SHA256 under the secret that X25519 makes of
 * the two permanent keys, over the challenge of that end and both public keys.
 */

const label = Buffer.from("zerobind.v1.Auth\0");
/** What stands before the 32 bytes of X25519 keys in the formats that Node reads: PKCS #8 and SPKI, RFC 8410. */
const pkcs8 = Buffer.from("302e020100300506032b656e04220420", "hex");
const spki = Buffer.from("302a300506032b656e032100", "hex");
export const challengeBytes = 32;

/** The answer to a challenge: the key of the client, and the proof that it is its own. */
export function answerTo(challenge: Uint8Array, client: CurveKeyPair, serverKey: string): Partial<LinkAuth> {
  const publicKey = bytesOf(client.publicKey);
  const server = bytesOf(serverKey);
  return { publicKey, proof: proofOf(client.secretKey, server, challenge, server, publicKey) };
}

/** The key that an answer proves; undefined if it proves none. */
export function provenKey(
  { publicKey, proof }: LinkAuth,
  challenge: Uint8Array,
  own: CurveKeyPair,
): string | undefined {
  if (publicKey.byteLength !== 32 || proof.byteLength !== 32) return undefined;
  const { timingSafeEqual } = process.getBuiltinModule("node:crypto");
  try {
    const expected = proofOf(own.secretKey, publicKey, challenge, bytesOf(own.publicKey), publicKey);
    return timingSafeEqual(expected, proof) ? encodeZ85(publicKey) : undefined;
  } catch {
    // Some keys are none: they lead to the same secret with everybody.
    return undefined;
  }
}

function proofOf(
  secretKey: string,
  peer: Uint8Array,
  challenge: Uint8Array,
  server: Uint8Array,
  client: Uint8Array,
): Buffer {
  const { createHmac } = process.getBuiltinModule("node:crypto");
  const secret = sharedSecret(secretKey, peer);
  return createHmac("sha256", secret).update(label).update(challenge).update(server).update(client).digest();
}

/** What only the owners of the two keys can know, from the secret one of one and the public one of the other. Throws for keys that are none. */
export function sharedSecret(secretKey: string, peer: Uint8Array): Buffer {
  const { createPrivateKey, createPublicKey, diffieHellman } = process.getBuiltinModule("node:crypto");
  const privateKey = createPrivateKey({
    key: Buffer.concat([pkcs8, bytesOf(secretKey)]),
    format: "der",
    type: "pkcs8",
  });
  const publicKey = createPublicKey({ key: Buffer.concat([spki, peer]), format: "der", type: "spki" });
  return diffieHellman({ privateKey, publicKey });
}

/** A key that has been checked. */
export function bytesOf(key: string): Uint8Array {
  return decodeZ85(key) ?? new Uint8Array(32);
}
