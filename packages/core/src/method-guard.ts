import { detached } from "./ambient.ts";
import type { AuthorizationCall, AuthorizationDecision, AuthorizationRule, Authorize } from "./authorization.ts";
import type { Authenticate } from "./authorization.ts";
import { kindOf } from "./check.ts";
import type { Peer } from "./context.ts";
import type { HandlerFailure } from "./handler-failure.ts";
import { toPrincipal } from "./principal.ts";
import type { PrincipalInit } from "./principal.ts";
import { RpcError, isRpcError } from "./rpc-error.ts";
import { Status } from "./status.ts";
import { isPromiseLike } from "./stream.ts";

/** A call that waits for the decision. */
export interface GuardedCall extends AuthorizationCall {
  /** Whom the caller is taken for; the guard's to change. */
  peer: Peer;
  /** Nobody waits for the decision any more. */
  readonly ended: boolean;
}

/** Whom the caller of an allowed call is taken for; an error is the answer to one that is not allowed. */
export type Verdict = Peer | RpcError;

/** Stands before a method. */
export interface Guard {
  /** Neither throws nor rejects. Nothing comes of the decision about a call that has ended. */
  decide(call: GuardedCall): Verdict | Promise<Verdict>;
  /** A one-way call was refused, which its caller will not hear. */
  dropped(path: string, error: RpcError): void;
}

/** What the guards of an end have in common. */
export interface GuardParts {
  readonly authenticate: Authenticate | undefined;
  /** Asked last of all, about every call of a method that is served. */
  readonly authorize: Authorize | undefined;
  /** Takes note of a decision. Never throws. */
  decided(decision: AuthorizationDecision): void;
  /** Takes what a function threw; returns the id that leads to it, if it was told. Never throws. */
  failed(error: unknown, path: string, step: HandlerFailure["step"]): string | undefined;
  dropped(path: string, error: RpcError): void;
}

/** What is asked of the callers of one method. */
export interface GuardRules {
  /** Roles of the contract. */
  readonly requires: readonly string[];
  /** Of the method, or else of its service. */
  readonly rule: AuthorizationRule | undefined;
  /** Whether a method without any rule is open to all. */
  readonly isOpen: boolean;
}

/** The end of a call that nobody waits for; it is told to nobody. */
const over = new RpcError(Status.CANCELLED, "the call has ended");

/** Decides about the calls of one method: who makes them, then what the contract, the rule and the host say. */
export class MethodGuard implements Guard {
  readonly #parts: GuardParts;
  readonly #rules: GuardRules;
  readonly #roles: readonly string[];
  /** The functions to ask, in their order. */
  readonly #asked: { readonly who: string; readonly allows: Authorize }[] = [];

  constructor(parts: GuardParts, rules: GuardRules) {
    this.#parts = parts;
    this.#rules = rules;
    const { rule, requires } = rules;
    this.#roles = typeof rule === "object" ? [...new Set([...requires, ...rule])] : requires;
    if (typeof rule === "function") this.#asked.push({ who: "the authorize function of the method", allows: rule });
    if (parts.authorize) this.#asked.push({ who: "the authorize function of the host", allows: parts.authorize });
  }

  decide(call: GuardedCall): Verdict | Promise<Verdict> {
    const { authenticate } = this.#parts;
    if (!authenticate) return this.#check(call);
    try {
      const given = detached(() => authenticate(call));
      if (!isPromiseLike(given)) return this.#identified(call, given);
      return Promise.resolve(given)
        .then((settled) => this.#identified(call, settled))
        .catch((thrown: unknown) => this.#unidentified(call, thrown));
    } catch (thrown) {
      return this.#unidentified(call, thrown);
    }
  }

  dropped(path: string, error: RpcError): void {
    this.#parts.dropped(path, error);
  }

  #identified(call: GuardedCall, given: PrincipalInit | undefined): Verdict | Promise<Verdict> {
    if (call.ended) return over;
    if (given !== undefined) {
      const { name, roles } = toPrincipal("authenticate", given);
      call.peer = { address: call.peer.address, principal: name, roles };
    }
    return this.#check(call);
  }

  #unidentified(call: GuardedCall, thrown: unknown): Verdict {
    if (call.ended) return over;
    if (isRpcError(thrown))
      return this.#refuse(call, thrown, "unauthenticated", `authenticate threw ${textOf(thrown)}`);
    const id = this.#parts.failed(thrown, call.path, "authenticate");
    const text = `${call.path}: what the caller says of itself could not be checked${leadingTo(id)}`;
    const error = new RpcError(Status.UNAUTHENTICATED, text);
    return this.#refuse(call, error, "unauthenticated", `authenticate threw ${textOf(thrown)}`);
  }

  /** What needs no function to be asked. */
  #check(call: GuardedCall): Verdict | Promise<Verdict> {
    const { rule, isOpen } = this.#rules;
    const { principal, roles } = call;
    const lacking = this.#roles.filter((role) => !roles.includes(role));
    if (principal === undefined && (rule === "authenticated" || this.#roles.length > 0))
      return this.#deny(call, this.#roles.length > 0 ? `it needs ${this.#roles.join(", ")}` : "it needs a principal");
    if (lacking.length > 0)
      return this.#deny(call, `it needs ${this.#roles.join(", ")} and lacks ${lacking.join(", ")}`);
    const isRuled = rule !== undefined || this.#roles.length > 0 || this.#asked.length > 0;
    if (!isRuled && !isOpen) return this.#deny(call, "nothing is said of the method, and there are rules for others");
    return this.#ask(call, 0);
  }

  #ask(call: GuardedCall, first: number): Verdict | Promise<Verdict> {
    for (let index = first; index < this.#asked.length; index++) {
      const { who, allows } = this.#asked[index]!;
      try {
        const answer = detached(() => allows(call));
        if (isPromiseLike(answer))
          return Promise.resolve(answer).then(
            (settled) => (call.ended ? over : (this.#answered(call, who, settled) ?? this.#ask(call, index + 1))),
            (thrown: unknown) => this.#unanswered(call, who, thrown),
          );
        const refusal = this.#answered(call, who, answer);
        if (refusal) return refusal;
      } catch (thrown) {
        return this.#unanswered(call, who, thrown);
      }
    }
    return this.#allow(call);
  }

  /** The refusal, if the answer was no. */
  #answered(call: GuardedCall, who: string, answer: unknown): Verdict | undefined {
    if (answer === true) return undefined;
    if (answer === false) return this.#deny(call, `${who} said no`);
    return this.#unanswered(call, who, new TypeError(`${who} must answer true or false, not ${kindOf(answer)}`));
  }

  #unanswered(call: GuardedCall, who: string, thrown: unknown): Verdict {
    if (call.ended) return over;
    const reason = `${who} threw ${textOf(thrown)}`;
    if (isRpcError(thrown)) return this.#refuse(call, thrown, "denied", reason);
    const id = this.#parts.failed(thrown, call.path, "authorize");
    const text = `${call.path}: not permitted, since whether it is could not be found out${leadingTo(id)}`;
    return this.#refuse(call, new RpcError(Status.PERMISSION_DENIED, text), "denied", reason);
  }

  #allow(call: GuardedCall): Verdict {
    const { rule, isOpen } = this.#rules;
    const by = [
      ...(typeof rule === "string" ? [`rule "${rule}"`] : []),
      ...(this.#roles.length > 0 ? [`it holds ${this.#roles.join(", ")}`] : []),
      ...this.#asked.map(({ who }) => `${who} said yes`),
    ];
    const reason = by.length === 0 && isOpen ? "there are no rules" : by.join("; ");
    this.#tell(call, "allowed", reason);
    return call.peer;
  }

  #deny(call: GuardedCall, reason: string): Verdict {
    const { path, principal } = call;
    if (principal !== undefined)
      return this.#refuse(call, new RpcError(Status.PERMISSION_DENIED, `${path}: not permitted`), "denied", reason);
    const hint =
      "by a key that the server knows (the transport's option curve), or a token (the option callCredentials)";
    const error = new RpcError(Status.UNAUTHENTICATED, `${path}: the caller has to say who it is, ${hint}`);
    return this.#refuse(call, error, "unauthenticated", reason);
  }

  #refuse(call: GuardedCall, error: RpcError, decision: "denied" | "unauthenticated", reason: string): Verdict {
    this.#tell(call, decision, reason);
    return error;
  }

  #tell({ path, peer, principal, roles }: GuardedCall, decision: AuthorizationDecision["decision"], reason: string) {
    this.#parts.decided({ path, peer, principal, roles, decision, reason });
  }
}

function leadingTo(id: string | undefined): string {
  return id === undefined ? "" : `; the server's log has the reason under error id ${id}`;
}

function textOf(thrown: unknown): string {
  const { codeName, message } = RpcError.from(thrown);
  return isRpcError(thrown) ? `${codeName}: ${message}` : message;
}
