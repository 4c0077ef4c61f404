import type { CurveKeyPair } from "./keys.ts";
import { bytesOf, sharedSecret } from "./proof.ts";
import { encodeZ85 } from "./z85.ts";

/*
 * A seal says whose some bytes are: it has a public key, and a proof that only the owner of that key and the end that the
 * bytes are for can make: HMAC-SHA256 under the secret that X25519 makes of their permanent keys, over both public keys and
 * the bytes. It stands for no challenge, since the bytes come again by themselves when a connection is made anew. It is
 * a field of Protobuf behind those of the message that it seals, see `EventSeal`.
 */

const label = Buffer.from("zerobind.v1.EventSeal\0");
/** Field 15 of 68 bytes; its fields 1 and 2 of 32 bytes each follow. */
const head = Buffer.of((15 << 3) | 2, 68);
const keyHead = Buffer.of((1 << 3) | 2, 32);
const proofHead = Buffer.of((2 << 3) | 2, 32);
const keyAt = head.length + keyHead.length;
const proofAt = keyAt + 32 + proofHead.length;
const sealBytes = proofAt + 32;
/** Secrets that are kept for keys that seal again. */
const maxSecrets = 4_096;

/** Seals what is for the end that has a key. */
export class Sealer {
  readonly #secret: Buffer;
  readonly #server: Uint8Array;
  readonly #client: Uint8Array;

  /** Throws for a key that is none. */
  constructor(client: CurveKeyPair, serverKey: string) {
    this.#server = bytesOf(serverKey);
    this.#client = bytesOf(client.publicKey);
    this.#secret = sharedSecret(client.secretKey, this.#server);
  }

  /** The bytes with their seal. */
  seal(bytes: Uint8Array): Buffer {
    const proof = proofOf(this.#secret, this.#server, this.#client, bytes);
    return Buffer.concat([bytes, head, keyHead, this.#client, proofHead, proof]);
  }
}

/** The key that some bytes say they are sealed with; undefined if they have no seal. */
export function sealKey(bytes: Buffer): string | undefined {
  const seal = sealOf(bytes);
  return seal && encodeZ85(seal.subarray(keyAt, keyAt + 32));
}

/** Looks whether seals are those of the keys that they have. */
export class SealReader {
  readonly #own: CurveKeyPair;
  readonly #server: Uint8Array;
  readonly #secrets = new Map<string, Buffer>();

  constructor(own: CurveKeyPair) {
    this.#own = own;
    this.#server = bytesOf(own.publicKey);
  }

  isValid(bytes: Buffer): boolean {
    const seal = sealOf(bytes);
    if (!seal) return false;
    const { timingSafeEqual } = process.getBuiltinModule("node:crypto");
    const client = seal.subarray(keyAt, keyAt + 32);
    try {
      const expected = proofOf(this.#secret(client), this.#server, client, bytes.subarray(0, -sealBytes));
      return timingSafeEqual(expected, seal.subarray(proofAt));
    } catch {
      // Some keys are none.
      return false;
    }
  }

  #secret(client: Buffer): Buffer {
    const key = client.toString("latin1");
    const known = this.#secrets.get(key);
    if (known) return known;
    const secret = sharedSecret(this.#own.secretKey, client);
    const [oldest] = this.#secrets.size >= maxSecrets ? this.#secrets.keys() : [];
    if (oldest !== undefined) this.#secrets.delete(oldest);
    this.#secrets.set(key, secret);
    return secret;
  }
}

function sealOf(bytes: Buffer): Buffer | undefined {
  if (bytes.length < sealBytes) return undefined;
  const seal = bytes.subarray(bytes.length - sealBytes);
  const isSeal =
    head.compare(seal, 0, head.length) === 0 &&
    keyHead.compare(seal, head.length, keyAt) === 0 &&
    proofHead.compare(seal, keyAt + 32, proofAt) === 0;
  return isSeal ? seal : undefined;
}

function proofOf(secret: Buffer, server: Uint8Array, client: Uint8Array, bytes: Uint8Array): Buffer {
  const { createHmac } = process.getBuiltinModule("node:crypto");
  return createHmac("sha256", secret).update(label).update(server).update(client).update(bytes).digest();
}
