import { isFunction, kindOf } from "./check.ts";
import type { Check, Checks } from "./check.ts";
import type { Peer, SessionContext } from "./context.ts";
import type { MethodDescriptor } from "./contract.ts";
import type { Metadata } from "./metadata.ts";
import type { PrincipalInit } from "./principal.ts";

/** A call whose caller is to be found out, before anything of its request is decoded. */
export interface AuthenticationAttempt {
  /** `package.Service/Method`; what is no name of a method served here is escaped and cut. */
  readonly path: string;
  /** As its contract describes it; of a method that is not served here only the name is right. */
  readonly method: MethodDescriptor;
  /** What the caller sent along: the place of a token. */
  readonly metadata: Metadata;
  /** The other end, with the principal that its connection has proved, if any. */
  readonly peer: Peer;
  /** The session that the call came over, whose `items` may keep what was found out; undefined for plain requests. */
  readonly session: SessionContext | undefined;
  /** When the caller stops waiting, in milliseconds since the epoch; undefined if it waits for ever. */
  readonly deadline: number | undefined;
  /** Aborted when the call is over before there is an answer: its caller cancelled, its deadline passed, the host closes. */
  readonly signal: AbortSignal;
}

/** A call that is to be allowed or not, before anything of its request is decoded. */
export interface AuthorizationCall extends AuthenticationAttempt {
  /** The other end, with the principal of the connection or the one that `authenticate` gave in its place. */
  readonly peer: Peer;
  /** Name of the principal; undefined for a caller that has proved nothing. */
  readonly principal: string | undefined;
  /** Roles of the principal; none without one. */
  readonly roles: readonly string[];
}

/** Whether a call may be carried out; only `true` allows it. A promise is waited for within the call's deadline. */
export type Authorize = (call: AuthorizationCall) => boolean | Promise<boolean>;

/**
 * Who may call a method: `"anyone"`; `"authenticated"`, whoever has a principal; the roles that a principal must hold,
 * all of them; or a function that decides. What the contract `requires` of a method must hold as well.
 */
export type AuthorizationRule = "anyone" | "authenticated" | readonly string[] | Authorize;

/** Finds out who makes a call. See `ServiceHostOptions.authenticate`. */
export type Authenticate = (
  attempt: AuthenticationAttempt,
) => PrincipalInit | undefined | Promise<PrincipalInit | undefined>;

/** What was decided about one call, in full; callers learn less. */
export interface AuthorizationDecision {
  /** `package.Service/Method`; what is no name of a method served here is escaped and cut. */
  readonly path: string;
  readonly peer: Peer;
  readonly principal: string | undefined;
  readonly roles: readonly string[];
  /** `unauthenticated`: refused, and there is no principal; `denied`: refused all the same. */
  readonly decision: "allowed" | "denied" | "unauthenticated";
  /** For people: the rule, role or function that has decided. */
  readonly reason: string;
}

/** What an end says of all of its calls. */
export interface AccessOptions {
  readonly authenticate?: Authenticate | undefined;
  readonly authorize?: Authorize | undefined;
  readonly onAuthorization?: ((decision: AuthorizationDecision) => void) | undefined;
}

export const accessChecks: Checks = {
  authenticate: isFunction,
  authorize: isFunction,
  onAuthorization: isFunction,
};

/** TypeError for what is no rule. An empty list of roles could be meant either way. */
export const isRule: Check = (name, value) => {
  if (value === "anyone" || value === "authenticated" || typeof value === "function") return;
  const isList = Array.isArray(value);
  if (isList && value.length > 0 && value.every((role) => typeof role === "string" && role !== "")) return;
  const given = isList ? "an array without any or with something else" : kindOf(value);
  throw new TypeError(
    `${name} must be "anyone", "authenticated", an array of roles (texts, one at least), or a function, not ${given}`,
  );
};
