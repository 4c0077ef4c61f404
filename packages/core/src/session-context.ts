import { ContextItems } from "./context.ts";
import type { Peer, Principal, SessionContext } from "./context.ts";
import type { Contract } from "./contract.ts";
import { HandlerSignal } from "./handler-signal.ts";
import { RpcError } from "./rpc-error.ts";
import { Status } from "./status.ts";

/** A name for a session, for logs. */
export function sessionId(): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The other end of a link or plain request, as handlers see it. */
export function peerOf(source: { readonly remoteAddress: string; readonly principal?: Principal | undefined }): Peer {
  const { remoteAddress: address, principal } = source;
  return principal ? { address, principal: principal.name, roles: principal.roles } : { address };
}

/** What a handler knows of the session that its call came over; what the session does not use is never made. */
export class SessionScope implements SessionContext {
  readonly peer: Peer;
  readonly id: string;
  /** Why the session has ended; undefined while it lasts. */
  ended: string | undefined;
  readonly #client: (contract: Contract, scope: SessionScope) => unknown;
  readonly #signal = new HandlerSignal();
  #clients: Map<string, unknown> | undefined;
  #items: ContextItems | undefined;

  /** `client` makes a client that calls the other end of the session. */
  constructor(id: string, peer: Peer, client: (contract: Contract, scope: SessionScope) => unknown) {
    this.id = id;
    this.peer = peer;
    this.#client = client;
  }

  get items(): ContextItems {
    return (this.#items ??= new ContextItems());
  }

  get signal(): AbortSignal {
    return this.#signal.signal;
  }

  callback<Client>(contract: Contract<Client>): Client {
    this.#clients ??= new Map();
    let client = this.#clients.get(contract.typeName);
    if (client === undefined) this.#clients.set(contract.typeName, (client = this.#client(contract, this)));
    return client as Client;
  }

  /** The session has ended. */
  end(reason: string): void {
    this.ended = reason;
    this.#signal.abort(new RpcError(Status.CANCELLED, `the session has ended: ${reason}`));
  }
}
