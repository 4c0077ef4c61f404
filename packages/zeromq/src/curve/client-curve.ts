import { makeKeyPair, readPublicKey, readSecret } from "./keys.ts";
import type { CurveKeyPair, PublicKeySource, SecretKeySource } from "./keys.ts";
import type { LinkAuth } from "@zerobind/core";
import { answerTo } from "./proof.ts";
import { Sealer } from "./seal.ts";
import { checkNames } from "./server-curve.ts";

/** How an end that connects is protected. */
export interface CurveClientOptions {
  /**
   * The public key of the end that is connected to, which proves that it is the right one: `{ file: "server.cert" }`,
   * `{ env: "NAME" }`, or the key itself as text. Where addresses have different keys, an object with one for each.
   */
  readonly serverKey: PublicKeySource | Readonly<Record<string, PublicKeySource>>;
  /**
   * The keys of this end, by which the other knows it: a key pair, `{ file: "client.cert_secret" }`, `{ env: "NAME" }`,
   * or the secret key as text. Default: new ones each time, with which only those let it in who let anybody in.
   */
  readonly keyPair?: SecretKeySource | undefined;
}

/** The protection of ends that connect: what `curveClient` makes. */
export interface ClientCurve {
  readonly kind: "curveClient";
  /** The key that the other end must know, to let this one in. */
  readonly publicKey: string;
}

/**
 * Encrypts what connects with it by CURVE (RFC 26 of ZeroMQ), to an end that has the secret key for `serverKey` and to
 * no other:
 *
 *     new Channel(address, { zeromq: { curve: curveClient({ serverKey, keyPair: { file: "client.cert_secret" } }) } })
 *
 * TypeError for options that cannot be; Error, naming the file, for keys that cannot be read or that others can read.
 */
export function curveClient(options: CurveClientOptions): ClientCurve {
  return new CurveClient(options);
}

/** See `ClientCurve`; with what sockets need of it. */
export class CurveClient implements ClientCurve {
  readonly kind = "curveClient";
  readonly #keys: CurveKeyPair;
  readonly #serverKeys: ReadonlyMap<string, string> | string;

  constructor(options: CurveClientOptions) {
    checkNames("curveClient", options, ["serverKey", "keyPair"]);
    const { serverKey, keyPair } = options;
    this.#serverKeys = serverKeysOf(serverKey);
    this.#keys = keyPair === undefined ? makeKeyPair() : readSecret(keyPair, "option keyPair of curveClient()");
  }

  get publicKey(): string {
    return this.#keys.publicKey;
  }

  /** The key of the end at an address; TypeError if none is known. */
  serverKeyAt(address: string): string {
    const keys = this.#serverKeys;
    if (typeof keys === "string") return keys;
    const key = keys.get(address);
    if (key !== undefined) return key;
    throw new TypeError(
      `curveClient() has no serverKey for ${address}; it has some for ${[...keys.keys()].join(", ")}`,
    );
  }

  /** Options for a socket that connects to an address. */
  socketOptions(address: string): Readonly<Record<string, unknown>> {
    const { publicKey, secretKey } = this.#keys;
    return { curveServerKey: this.serverKeyAt(address), curvePublicKey: publicKey, curveSecretKey: secretKey };
  }

  /** What puts the name of this end on what is for the one at an address. */
  sealer(address: string): Sealer {
    return new Sealer(this.#keys, this.serverKeyAt(address));
  }

  /** Says who this end is, to the one at an address. */
  answer(challenge: Uint8Array, address: string): Partial<LinkAuth> {
    return answerTo(challenge, this.#keys, this.serverKeyAt(address));
  }
}

function serverKeysOf(given: CurveClientOptions["serverKey"]): ReadonlyMap<string, string> | string {
  const what = "option serverKey of curveClient()";
  const isMap = typeof given === "object" && given !== null && Object.keys(given).some((name) => name.includes("://"));
  if (!isMap) return readPublicKey(given as PublicKeySource, what);
  return new Map(
    Object.entries(given as Readonly<Record<string, PublicKeySource>>).map(([address, key]) => [
      address,
      readPublicKey(key, `${what} for ${address}`),
    ]),
  );
}
