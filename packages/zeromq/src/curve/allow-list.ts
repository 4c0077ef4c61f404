import { kindOf } from "@zerobind/core";
import type { Principal } from "@zerobind/core";
import { CertificateDirectory } from "./certificate-directory.ts";
import { checkPublicKey } from "./keys.ts";
import { principalOf, samePrincipal } from "./principal.ts";
import type { PrincipalInit } from "./principal.ts";

/** A public key that is admitted, and who it stands for: without a name, the key is the name. */
export interface AllowedKey {
  readonly key: string;
  readonly name?: string | undefined;
  readonly roles?: readonly string[] | undefined;
}

/** Where a client that wants to come in is. */
export interface KeyHolder {
  /** Its network address, for logs. */
  readonly address: string;
  readonly domain: string;
}

/**
 * Who a public key stands for, or undefined to refuse it. The holder has proven that it has the secret key. What it
 * throws, and anything else that it gives, refuses too.
 */
export type AllowFunction = (
  key: string,
  peer: KeyHolder,
) => PrincipalInit | undefined | Promise<PrincipalInit | undefined>;

/**
 * Which keys are admitted: the path of a directory that has their public certificates (`*.cert`, `*.key`, `*.pub`,
 * `*.txt`), the keys themselves, or a function that is asked each time.
 */
export type Allow = string | Iterable<string | AllowedKey> | AllowFunction;

/** One answer to who may come in, whatever was given as `allow`. Keys can be added and revoked at any time. */
export class AllowList {
  readonly #what: string;
  /** Given as keys, or added later; they count before what the directory or the function says. */
  readonly #given = new Map<string, Principal>();
  /** Stays over anything that the directory or the function says. */
  readonly #revoked = new Set<string>();
  readonly #directory: CertificateDirectory | undefined;
  readonly #ask: AllowFunction | undefined;
  #onRevoked: ((key: string) => void) | undefined;

  /** TypeError, beginning with `what`, for what cannot be. A directory is looked at when the list is opened. */
  constructor(allow: Allow, what: string) {
    this.#what = what;
    if (typeof allow === "function") this.#ask = allow;
    else if (typeof allow === "string" && allow !== "") this.#directory = new CertificateDirectory(allow, what);
    else if (typeof allow === "object" && allow !== null && Symbol.iterator in allow) this.#take(allow);
    else
      throw new TypeError(
        `${what} must be a directory of certificates, an array of public keys or a function, not ${kindOf(allow)}`,
      );
  }

  /**
   * Begins to notice what changes in a directory. `onRevoked` is told of keys that are admitted no longer, or stand for
   * somebody else now: what their holders have open must end. Rejects if the directory cannot be read. Warnings are of
   * certificates that do not count. A list that was closed can be opened again.
   */
  async open(
    onRevoked: (key: string) => void,
    onWarning: (warning: string) => void = (warning) => process.emitWarning(warning, { code: "ZEROBIND_CURVE" }),
  ): Promise<void> {
    if (this.#onRevoked) throw new Error(`${this.#what} is open already`);
    this.#onRevoked = onRevoked;
    try {
      await this.#directory?.open({ changed: (keys) => this.#changed(keys), warn: onWarning });
    } catch (error) {
      this.#onRevoked = undefined;
      throw error;
    }
  }

  /**
   * Who the key stands for, undefined if it is not admitted. A directory is admitting nobody while the list is not
   * open; one that does not have the key is read again first, five times a second at most. Throws and rejects as the
   * function does, and if it gives anything but a principal or undefined: that refuses the key too.
   */
  decide(key: string, peer: KeyHolder): Principal | undefined | Promise<Principal | undefined> {
    const known = this.#known(key);
    if (known !== undefined || this.#revoked.has(key)) return known;
    if (this.#directory) return this.#directory.lookAgain().then(() => this.#known(key));
    return this.#ask && this.#answer(this.#ask, key, peer);
  }

  /** What a decision comes to when it is used: the key may have been revoked in between. */
  confirm(key: string, decided: Principal | undefined): Principal | undefined {
    return this.#directory || this.#revoked.has(key) ? this.#known(key) : decided;
  }

  /**
   * Admits a key, also one that was revoked. Without a principal it stands for who the list has it for already, or else
   * for itself: its name is the key. TypeError for what is no key or no principal.
   */
  allow(key: string, principal?: PrincipalInit): void {
    checkPublicKey(key, "allow()");
    const init = principal === undefined ? undefined : principalOf(principal, "allow()");
    const before = this.#known(key);
    this.#revoked.delete(key);
    if (init) this.#given.set(key, init);
    else if (!this.#known(key)) this.#given.set(key, principalOf(key, "allow()"));
    if (before && !samePrincipal(before, this.#known(key))) this.#onRevoked?.(key);
  }

  /** Admits a key no more, whatever the directory or the function says, until it is allowed again. TypeError for what is no key. */
  revoke(key: string): void {
    checkPublicKey(key, "revoke()");
    this.#given.delete(key);
    this.#revoked.add(key);
    this.#onRevoked?.(key);
  }

  /** Reads a directory again now, instead of when it is noticed that something changed. Never rejects. */
  async reload(): Promise<void> {
    if (this.#onRevoked) await this.#directory?.reload();
  }

  /** Notices changes no more. What was allowed and revoked by functions stays. */
  close(): void {
    this.#onRevoked = undefined;
    this.#directory?.close();
  }

  #known(key: string): Principal | undefined {
    if (this.#revoked.has(key)) return undefined;
    return this.#given.get(key) ?? this.#directory?.principal(key);
  }

  async #answer(ask: AllowFunction, key: string, peer: KeyHolder): Promise<Principal | undefined> {
    const answer = await ask(key, peer);
    const principal = answer === undefined ? undefined : principalOf(answer, `${this.#what}: what the function gave`);
    // It may have been revoked or added in the meantime.
    return this.#revoked.has(key) ? undefined : (this.#given.get(key) ?? principal);
  }

  #changed(keys: readonly string[]): void {
    for (const key of keys) if (!this.#revoked.has(key) && !this.#given.has(key)) this.#onRevoked?.(key);
  }

  #take(keys: Iterable<string | AllowedKey>): void {
    let index = 0;
    for (const each of keys) {
      const what = `${this.#what}[${index++}]`;
      const { key, name, ...who }: AllowedKey = typeof each === "string" ? { key: each } : objectOf(each, what);
      checkPublicKey(key, what);
      if (this.#given.has(key)) throw new TypeError(`${what} is there twice: ${key}`);
      this.#given.set(key, principalOf({ ...who, name: name ?? key }, what));
    }
  }
}

function objectOf(each: unknown, what: string): AllowedKey {
  if (typeof each === "object" && each !== null && !Array.isArray(each)) return each as AllowedKey;
  throw new TypeError(`${what} must be a public key or { key, name, roles }, not ${kindOf(each)}`);
}
