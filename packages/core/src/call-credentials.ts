import { kindOf } from "./check.ts";
import type { Check } from "./check.ts";
import { Metadata } from "./metadata.ts";
import type { MetadataInit } from "./metadata.ts";

/** A call that credentials are wanted for. */
export interface CredentialsCall {
  /** `package.Service/Method`. */
  readonly path: string;
  /** Where the call goes to: the address of its channel, or all of them; of a call back, where its caller is. */
  readonly address: string;
  /** When the call must be over, in milliseconds since the epoch; undefined if it may take for ever. */
  readonly deadline: number | undefined;
  /** Aborted when the call is over before the credentials are there. Made when first asked for. */
  readonly signal: AbortSignal;
}

/**
 * What a caller says of itself, as metadata that goes along with its calls: always the same, or from a function that is
 * asked for each attempt of a call. See `CallOptions.callCredentials`.
 */
export type CallCredentials = MetadataInit | ((call: CredentialsCall) => MetadataInit | Promise<MetadataInit>);

/** A token as text, or where to get one. */
export type TokenSource = string | ((call: CredentialsCall) => string | Promise<string>);

/**
 * Credentials of one token: the metadata `authorization: Bearer …`. A function is asked for each attempt of a call, so
 * one that fetches tokens keeps those that are still good. TypeError for what is no token.
 */
export function bearerToken(token: TokenSource): CallCredentials {
  if (typeof token !== "function") return bearer(token);
  return (call) => {
    const given = token(call);
    return typeof given === "string" ? bearer(given) : Promise.resolve(given).then(bearer);
  };
}

/** Errors must not show the token. */
function bearer(token: string): Metadata {
  if (typeof token !== "string" || token === "")
    throw new TypeError(
      `a token must be a text, or a function that gives one, not ${token === "" ? '""' : typeof token}`,
    );
  return new Metadata().set("authorization", `Bearer ${token}`);
}

/** TypeError for what can be no credentials; those that are always the same must be metadata. */
export const areCredentials: Check = (name, value) => {
  if (typeof value === "function") return;
  if (typeof value !== "object" || value === null)
    throw new TypeError(
      `${name} must be metadata, or a function that gives it, such as bearerToken(…), not ${typeof value === "string" ? "a text" : kindOf(value)}`,
    );
  Metadata.from(value as MetadataInit);
};

/** What a call sends along: credentials go before what its caller says under the same keys. */
export function withCredentials(given: Metadata | undefined, credentials: MetadataInit): Metadata | undefined {
  const added = Metadata.from(credentials);
  if (added.size === 0) return given;
  if (!given) return added.clone();
  const all = given.clone();
  for (const [key] of added) all.delete(key);
  for (const [key, value] of added) all.append(key, value);
  return all;
}
