import type { LinkAuth, Principal } from "@zerobind/core";
import { originOf } from "../front/origins.ts";
import { Troubles } from "../trouble.ts";
import { AllowList } from "./allow-list.ts";
import type { Allow } from "./allow-list.ts";
import { readSecret } from "./keys.ts";
import type { CurveKeyPair, SecretKeySource } from "./keys.ts";
import { principalOf, samePrincipal } from "./principal.ts";
import type { PrincipalInit } from "./principal.ts";
import { provenKey } from "./proof.ts";
import { SealReader, sealKey } from "./seal.ts";
import { zapHandler } from "./zap.ts";
import type { ZapDomain } from "./zap.ts";

/** How an end that binds is protected. Times are in milliseconds. */
export interface ServerCurveOptions {
  /**
   * The secret key of this end: a key pair, `{ file: "server.cert_secret" }`, `{ env: "NAME" }`, or the key itself as
   * text. Clients need the public key that belongs to it.
   */
  readonly secretKey: SecretKeySource;
  /**
   * Who is let in. A directory of public certificates, which may change at any time; a list of public keys; or a
   * function, asked for each connection, that gives the name, or name and roles, of whoever has the key, and undefined
   * for whom it does not know. One that throws, or takes longer than `allowTimeoutMs`, lets nobody in.
   */
  readonly allow: Allow;
  /** How long `allow` may take to decide. Default 3,000. */
  readonly allowTimeoutMs?: number | undefined;
}

/** The protection of ends that bind: what `serverCurve` makes. Keys can be added and revoked while it is in use. */
export interface ServerCurve {
  readonly kind: "serverCurve";
  /** What clients have to know: `curveClient({ serverKey })`. */
  readonly publicKey: string;
  /** Lets a key in from now on, also one that was revoked. TypeError for what is no public key. */
  allow(publicKey: string, principal?: PrincipalInit): void;
  /**
   * Lets a key in no more, whatever the list says, and ends the sessions that it has. Plain clients cannot be told
   * apart by their keys: all that are connected now are refused until they connect again.
   */
  revoke(publicKey: string): void;
  /** Reads the directory again, without waiting until the change is noticed. Never rejects; what is wrong is told. */
  reload(): Promise<void>;
}

/** Those that the connections of some end belong to, to be told what changes. */
export interface CurveUser {
  /**
   * A key is not let in any more. `cameIn`: it may have been, since this end has begun to let somebody in. `isComing`: just
   * now, so that somebody with it may be on the way.
   */
  revoked(key: string, cameIn: boolean, isComing: boolean): void;
  trouble(kind: string, describe: () => string): void;
}

/** Between the decision of letting somebody in and its arrival; a process that is busy takes its time. */
const comingMs = 5_000;
/** Keys whose owners are remembered from the handshake until they say who they are. */
const maxAdmitted = 65_536;
const optionNames: readonly string[] = ["secretKey", "allow", "allowTimeoutMs"];

/**
 * Encrypts what is bound with it by CURVE (RFC 26 of ZeroMQ), and lets in only those whose keys it knows:
 *
 *     new ServiceHost({ zeromq: { curve: serverCurve({ secretKey: { file: "server.cert_secret" }, allow: "./clients" }) } })
 *
 * TypeError for options that cannot be; Error, naming the file, for keys that cannot be read or that others can read.
 */
export function serverCurve(options: ServerCurveOptions): ServerCurve {
  return new CurveServer(options);
}

/** See `ServerCurve`; with what sockets need of it. One may be used by any number of sockets. */
export class CurveServer implements ServerCurve, ZapDomain {
  readonly kind = "serverCurve";
  readonly decideTimeoutMs: number;
  readonly #keys: CurveKeyPair;
  readonly #seals: SealReader;
  readonly #allow: AllowList;
  readonly #users = new Set<CurveUser>();
  readonly #domain = `zerobind-${globalThis.crypto.randomUUID()}`;
  readonly #troubles = new Troubles((problem) => this.#tell(problem));
  /** Of the keys that came in last. */
  readonly #admitted = new Map<string, { readonly principal: Principal; readonly atMs: number }>();
  /** Keys that may have connections: they came in, whatever was decided since. */
  readonly #cameIn = new Set<string>();
  /** There were more of those. */
  #hasForgotten = false;
  #leave: Promise<() => Promise<void>> | undefined;

  constructor(options: ServerCurveOptions) {
    checkNames("serverCurve", options, optionNames);
    const { secretKey, allow, allowTimeoutMs = 3_000 } = options;
    if (!Number.isInteger(allowTimeoutMs) || allowTimeoutMs < 1 || allowTimeoutMs > 60_000)
      throw new TypeError(`option allowTimeoutMs of serverCurve() must be a whole number from 1 to 60000`);
    this.decideTimeoutMs = allowTimeoutMs;
    this.#keys = readSecret(secretKey, "option secretKey of serverCurve()");
    this.#seals = new SealReader(this.#keys);
    this.#allow = new AllowList(allow, "option allow of serverCurve()");
  }

  get publicKey(): string {
    return this.#keys.publicKey;
  }

  allow(publicKey: string, principal?: PrincipalInit): void {
    this.#allow.allow(publicKey, principal);
    // The list has told of whom it knew itself, but not of whom a function let in.
    const admitted = this.#admitted.get(publicKey)?.principal;
    if (principal !== undefined && admitted && !samePrincipal(admitted, principalOf(principal, "allow()")))
      this.#revoked(publicKey);
  }

  revoke(publicKey: string): void {
    this.#allow.revoke(publicKey);
    this.#admitted.delete(publicKey);
  }

  reload(): Promise<void> {
    return this.#allow.reload();
  }

  /** Options for a socket of this end. */
  get socketOptions(): Readonly<Record<string, unknown>> {
    const { publicKey, secretKey } = this.#keys;
    return {
      curveServer: true,
      curvePublicKey: publicKey,
      curveSecretKey: secretKey,
      zapDomain: this.#domain,
      zapEnforceDomain: true,
    };
  }

  /** To be awaited before a socket is bound; the function that it resolves to is for when that has closed. */
  async enter(user: CurveUser): Promise<() => Promise<void>> {
    this.#users.add(user);
    this.#leave ??= this.#open();
    try {
      await this.#leave;
    } catch (error) {
      this.#users.delete(user);
      this.#leave = undefined;
      throw error;
    }
    return () => this.#exit(user);
  }

  decide(key: string, peerAddress: string): Principal | undefined | Promise<Principal | undefined> {
    const decision = this.#allow.decide(key, { address: originOf(peerAddress), domain: this.#domain });
    return decision instanceof Promise
      ? decision.then((principal) => this.#admit(key, this.#allow.confirm(key, principal)))
      : this.#admit(key, decision);
  }

  /** Who has answered a challenge; undefined if nobody that may come in. Rejects if that cannot be decided. */
  async whoIs(auth: LinkAuth, challenge: Uint8Array, peerAddress: string): Promise<[string, Principal] | undefined> {
    const key = provenKey(auth, challenge, this.#keys);
    if (key === undefined) return undefined;
    // Somebody behind a proxy has another key than the connection.
    const principal = this.#admitted.get(key)?.principal ?? (await this.decide(key, peerAddress));
    return principal && [key, principal];
  }

  /** The key that has sealed some bytes; undefined if there is no valid seal of a key that has come in. */
  openSeal(bytes: Buffer): { readonly key: string; readonly principal: Principal } | undefined {
    const key = sealKey(bytes);
    const principal = key === undefined ? undefined : this.#admitted.get(key)?.principal;
    if (key === undefined || !principal || !this.#seals.isValid(bytes)) return undefined;
    return { key, principal };
  }

  /** Whether a key has come in and was not revoked since. */
  isAdmitted(key: string): boolean {
    return this.#admitted.has(key);
  }

  trouble(kind: string, describe: () => string): void {
    this.#troubles.report(kind, describe);
  }

  async #open(): Promise<() => Promise<void>> {
    const warn = (warning: string): void => this.trouble("allow", () => warning);
    try {
      await this.#allow.open((key) => this.#revoked(key), warn);
    } catch (cause) {
      // Without its code, which would be taken for one of the address.
      throw new Error((cause as Error).message, { cause });
    }
    try {
      return await zapHandler().enter(this.#domain, this);
    } catch (error) {
      this.#allow.close();
      throw error;
    }
  }

  async #exit(user: CurveUser): Promise<void> {
    if (!this.#users.delete(user) || this.#users.size > 0) return;
    const leave = this.#leave;
    this.#leave = undefined;
    this.#allow.close();
    this.#admitted.clear();
    this.#cameIn.clear();
    this.#hasForgotten = false;
    await (
      await leave
    )?.();
  }

  #admit(key: string, principal: Principal | undefined): Principal | undefined {
    this.#admitted.delete(key);
    if (!principal) return undefined;
    this.#admitted.set(key, { principal, atMs: performance.now() });
    const [oldest] = this.#admitted.size > maxAdmitted ? this.#admitted.keys() : [];
    if (oldest !== undefined) this.#admitted.delete(oldest);
    if (this.#cameIn.size < maxAdmitted) this.#cameIn.add(key);
    else this.#hasForgotten ||= !this.#cameIn.has(key);
    return principal;
  }

  #revoked(key: string): void {
    const { atMs = -Infinity } = this.#admitted.get(key) ?? {};
    this.#admitted.delete(key);
    const cameIn = this.#cameIn.delete(key) || this.#hasForgotten;
    const isComing = performance.now() < atMs + comingMs;
    for (const user of this.#users) user.revoked(key, cameIn, isComing);
  }

  #tell(problem: string): void {
    for (const user of this.#users) user.trouble("curve", () => problem);
  }
}

/** TypeError for what is no object of the known options. */
export function checkNames(what: string, options: unknown, names: readonly string[]): void {
  if (typeof options !== "object" || options === null)
    throw new TypeError(`${what}() takes an object with ${names.join(", ")}`);
  for (const name of Object.keys(options))
    if (!names.includes(name)) throw new TypeError(`${what}() has no option "${name}"; it has ${names.join(", ")}`);
}
