import { kindOf } from "@zerobind/core";
import { CertificateError, parseCertificate } from "./certificate.ts";
import type { Certificate } from "./certificate.ts";
import { readKeyFile } from "./key-file.ts";
import { decodeZ85, encodeZ85 } from "./z85.ts";

/** A key pair of CURVE: each key is 40 characters of Z85. Whoever has the secret key is who the public key says. */
export interface CurveKeyPair {
  readonly publicKey: string;
  readonly secretKey: string;
}

/** A file that has a key: a certificate of CZMQ's format, or nothing but the key. */
export interface KeyFile {
  readonly file: string;
}

/** An environment variable that has a key, or the text of a certificate. */
export interface KeyVariable {
  readonly env: string;
}

/** A secret key, and where from. A string is the key itself, never a path. */
export type SecretKeySource = CurveKeyPair | KeyFile | KeyVariable | string;

/** A public key, and where from. A string is the key itself, never a path. */
export type PublicKeySource = KeyFile | KeyVariable | string;

/** New keys, which nobody else has. */
export function makeKeyPair(): CurveKeyPair {
  const { generateKeyPairSync } = process.getBuiltinModule("node:crypto");
  const { publicKey, privateKey } = generateKeyPairSync("x25519", {
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "der" },
  });
  return { publicKey: encodeZ85(publicKey.subarray(-keyBytes)), secretKey: encodeZ85(privateKey.subarray(-keyBytes)) };
}

/** The public key that belongs to a secret one. TypeError for what is no secret key. */
export function publicKeyOf(secretKey: string): string {
  const { createPrivateKey, createPublicKey } = process.getBuiltinModule("node:crypto");
  const bytes = bytesOf(secretKey, "the secret key");
  const key = createPrivateKey({ key: Buffer.concat([pkcs8, bytes]), format: "der", type: "pkcs8" });
  return encodeZ85(createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-keyBytes));
}

/**
 * The key pair of a certificate's secret file, as `zerobind keygen` makes it: `NAME.cert_secret`. Throws Error, naming
 * the file and what to do, if it cannot be read, if others than its owner may read it, or if its keys are none or do not
 * belong together. No error shows any of a secret.
 */
export function loadKeyPair(file: string): CurveKeyPair {
  return readSecret({ file }, "loadKeyPair");
}

/** The public key of a certificate's file, `NAME.cert` or `NAME.cert_secret`. Throws Error as `loadKeyPair` does. */
export function loadPublicKey(file: string): string {
  return readPublicKey({ file }, "loadPublicKey");
}

/**
 * The key pair that a source gives. Throws TypeError for what is no source or no key, Error for files and variables
 * that give none; both begin with `what`, name the file or variable, and show nothing of what is in it.
 */
export function readSecret(given: SecretKeySource, what: string): CurveKeyPair {
  if (typeof given === "string") return pairOf(given, undefined, what, textHint(given));
  if (isPair(given)) return pairOf(given.secretKey, given.publicKey, what);
  const { text, origin } = textOf(given, what, true);
  const { publicKey, secretKey } = keysOf(text, what, origin);
  if (secretKey !== undefined) return pairOf(secretKey, publicKey, `${what}: ${origin}`);
  throw new Error(
    `${what}: ${origin} is a public certificate, and has no secret key; the secret one is ${secretName(given)}`,
  );
}

/** The public key that a source gives. A secret certificate will do: its secret key is not looked at. Throws as `readSecret`. */
export function readPublicKey(given: PublicKeySource, what: string): string {
  if (typeof given === "string") return checkPublicKey(given, what, textHint(given));
  if (isPair(given)) throw new TypeError(`${what} takes a public key alone: give the publicKey of the pair`);
  const { text, origin } = textOf(given, what, false);
  const { publicKey, secretKey } = keysOf(text, what, origin);
  return checkPublicKey(publicKey ?? secretKey, `${what}: ${origin}`);
}

/** TypeError, beginning with `what`, unless it is a public key that CURVE can use; gives it back. */
export function checkPublicKey(key: unknown, what: string, hint = ""): string {
  const bytes = bytesOf(key, `${what}: the public key`, hint);
  const { createPrivateKey, createPublicKey, diffieHellman } = process.getBuiltinModule("node:crypto");
  try {
    diffieHellman({
      privateKey: createPrivateKey({ key: Buffer.concat([pkcs8, probe]), format: "der", type: "pkcs8" }),
      publicKey: createPublicKey({ key: Buffer.concat([spki, bytes]), format: "der", type: "spki" }),
    });
  } catch (cause) {
    throw new TypeError(`${what}: the public key is one of the few that give no secrecy; make new keys`, { cause });
  }
  return key as string;
}

const keyBytes = 32;
/** What stands before the 32 bytes of X25519 keys in the formats that Node reads. */
const pkcs8 = Uint8Array.from([48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 110, 4, 34, 4, 32]);
const spki = Uint8Array.from([48, 42, 48, 5, 6, 3, 43, 101, 110, 3, 33, 0]);
/** Any secret key does, to see whether a public one leads anywhere. */
const probe = new Uint8Array(keyBytes).fill(1);

function isPair(given: object): given is CurveKeyPair {
  return typeof given === "object" && given !== null && "secretKey" in given;
}

function pairOf(secretKey: unknown, publicKey: unknown, what: string, hint = ""): CurveKeyPair {
  bytesOf(secretKey, `${what}: the secret key`, hint);
  const own = publicKeyOf(secretKey as string);
  if (publicKey !== undefined && checkPublicKey(publicKey, what) !== own)
    throw new TypeError(`${what}: the public key does not belong to the secret key; take both from the same pair`);
  return Object.freeze({ publicKey: own, secretKey: secretKey as string });
}

/** TypeError unless it is the text of a key; the message shows nothing of it. */
function bytesOf(key: unknown, what: string, hint = ""): Uint8Array {
  if (typeof key !== "string")
    throw new TypeError(`${what} must be text of 40 characters in Z85, not ${typeof key}${hint}`);
  if (key.length !== 40)
    throw new TypeError(`${what} must be 40 characters in Z85; there are ${key.length}${hint || shellHint}`);
  const bytes = decodeZ85(key);
  if (bytes === undefined) throw new TypeError(`${what} is 40 characters, but not in Z85${hint}`);
  if (bytes.every((byte) => byte === 0)) throw new TypeError(`${what} is all zeros, which stands for no key`);
  return bytes;
}

const shellHint = "; keys have characters that shells and .env files take for their own, unless in single quotes";

/** What those mean who give text that is no key. */
function textHint(text: string): string {
  return text.length !== 40 && /^[\w./\\:~ -]*(\/|\\|\.(cert|key|txt))[\w./\\~ -]*$/.test(text)
    ? '. Text is the key itself; a file is { file: "…" }, an environment variable { env: "…" }'
    : "";
}

function textOf(given: KeyFile | KeyVariable, what: string, secret: boolean): { text: string; origin: string } {
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new TypeError(
      `${what} must be a key as text, { file } or { env }${secret ? " or { publicKey, secretKey }" : ""}, not ${kindOf(given)}`,
    );
  const [name, ...others] = Object.keys(given);
  const value: unknown = (given as unknown as Record<string, unknown>)[name ?? ""];
  if ((name !== "file" && name !== "env") || others.length > 0)
    throw new TypeError(`${what} must have file or env, and nothing else`);
  if (typeof value !== "string" || value === "") throw new TypeError(`${what}: ${name} must be a name`);
  if (name === "file") return { text: readKeyFile(value, what, secret), origin: value };
  const text = process.env[value];
  if (text === undefined && !/^[A-Za-z_]\w*$/.test(value))
    throw new TypeError(
      `${what}: env must be the name of an environment variable, and what was given is none; it is not shown, since it may be a key, which goes without { env }`,
    );
  const origin = `environment variable ${value}`;
  if (text === undefined || text === "") throw new Error(`${what}: ${origin} is not set`);
  return { text, origin };
}

/** The keys in a text that is a certificate, or nothing but one key, which is then both for all one can tell. */
function keysOf(
  text: string,
  what: string,
  origin: string,
): { publicKey?: string | undefined; secretKey?: string | undefined } {
  const trimmed = text.trim();
  if (!/\s/.test(trimmed)) return { secretKey: trimmed };
  let certificate: Certificate;
  try {
    certificate = parseCertificate(text);
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    throw new Error(`${what}: ${origin} ${error.message}; zerobind keygen makes certificates`, { cause: error });
  }
  // CZMQ writes one of zeros where it knows none.
  const { publicKey, secretKey } = certificate;
  return { publicKey, secretKey: secretKey === "0".repeat(40) ? undefined : secretKey };
}

function secretName(given: object): string {
  const file = "file" in given ? String(given.file) : "";
  return /\.(cert|key|txt)$/.test(file) ? `${file}_secret` : "NAME.cert_secret";
}
