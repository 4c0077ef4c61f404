import type { StackParts } from "./binding.ts";
import type { ClientCall } from "./caller.ts";
import { ClientSession, helloBatch } from "./client-session.ts";
import type { ClientSessionOwner } from "./client-session.ts";
import { callMethods } from "./contract.ts";
import type { Contract } from "./contract.ts";
import { endInfo } from "./end.ts";
import type { IncomingOwner } from "./incoming-calls.ts";
import { maxFrameBytes, sessionParts } from "./session-parts.ts";
import type { RpcError } from "./rpc-error.ts";
import { checkNeeds, needsOf } from "./service-check.ts";
import type { EndSettings, SessionSettings } from "./session.ts";
import { Status } from "./status.ts";
import type { StatusCode } from "./status.ts";
import type { Attachment, AttachmentListener, Link, LinkReceiver } from "./transport.ts";

/** What a channel is told by the ends of its addresses. */
export interface CallingEndOwner {
  /** Some session has room for calls. */
  roomy(): void;
  /** Connecting cannot succeed as things are; whoever waits should be told. */
  hopeless(): void;
  /** Something changed that a channel that closes waits for. */
  changed(): void;
  onTrouble(problem: string): void;
}

/** The calling side of one address: the sessions that its links have become. */
export class CallingEnd implements AttachmentListener, ClientSessionOwner {
  readonly address: string;
  /** Why there was no connection when one was last tried; undefined while there is one. */
  problem: string | undefined;
  /** The last that was heard there was a server that refused this client. */
  wasRefused = false;
  /** Connecting cannot succeed as things are: the status of calls that need it. */
  hopeless: StatusCode | undefined;
  readonly hello: Uint8Array;
  readonly callbacks: IncomingOwner;
  readonly #stack: StackParts;
  readonly #settings: SessionSettings;
  readonly #owner: CallingEndOwner;
  readonly #sessions = new Set<ClientSession>();
  #ready: ClientSession[] = [];
  #turn = 0;
  #attachment: Attachment | undefined;

  constructor(
    address: string,
    stack: StackParts,
    settings: EndSettings,
    owner: CallingEndOwner,
    callbacks: IncomingOwner,
  ) {
    this.callbacks = callbacks;
    this.address = address;
    this.#stack = stack;
    this.#settings = { ...settings, ...sessionParts(stack) };
    this.#owner = owner;
    this.hello = helloBatch(this.#settings, endInfo);
  }

  /** Error with the methods of a contract that the binding cannot carry. */
  check(contract: Contract): void {
    const needs = callMethods(contract).flatMap((method) => needsOf(contract, method));
    checkNeeds(needs, this.#stack.transport, this.address);
  }

  /** The real address, once attached. */
  get realAddress(): string {
    return this.#attachment?.address ?? this.address;
  }

  get connected(): boolean {
    return this.#ready.length > 0;
  }

  /** Sessions that take calls. */
  get sessions(): number {
    return this.#ready.filter(({ isDoubted }) => !isDoubted).length;
  }

  /** Whether a session takes no calls since so much waits to be sent on it. */
  get isFull(): boolean {
    return this.#ready.some(({ outbox }) => outbox.isFull);
  }

  get openCalls(): number {
    let open = 0;
    // A one-way call is no open call, but what is held back of it has still to leave.
    for (const session of this.#sessions) open += session.openCalls + (session.outbox.isHolding ? 1 : 0);
    return open;
  }

  /** Begins to look for servers. Rejects only where nothing can ever come of it. */
  async attach(mode: "bind" | "connect"): Promise<void> {
    const greeting = mode === "connect" ? { greeting: this.hello } : {};
    const options = { mode, maxFrameBytes: maxFrameBytes(this.#settings.limits), ...greeting };
    this.#attachment = await this.#stack.transport.attach(this.address, options, this);
  }

  /** A session that has room for another call; sessions take turns. */
  pick(): ClientSession | undefined {
    const ready = this.#ready;
    for (let tried = 0; tried < ready.length; tried++) {
      this.#turn = this.#turn + 1 < ready.length ? this.#turn + 1 : 0;
      const session = ready[this.#turn]!;
      if (session.hasRoom) return session;
    }
    return undefined;
  }

  /** The session with room that has the fewest calls open. */
  leastLoaded(): ClientSession | undefined {
    let least: ClientSession | undefined;
    for (const session of this.#ready)
      if (session.hasRoom && (!least || session.openCalls < least.openCalls)) least = session;
    return least;
  }

  /** Ends all open calls, here and on their servers. */
  cancelAll(errorOf: (call: ClientCall) => RpcError): void {
    for (const session of this.#sessions) session.cancelAll(errorOf);
  }

  async close(lingerMs: number): Promise<void> {
    for (const session of [...this.#sessions]) session.hangUp("the channel was closed");
    await this.#attachment?.close(lingerMs);
    this.#attachment = undefined;
  }

  accept(link: Link): LinkReceiver {
    const session = new ClientSession(link, this.#settings, this);
    this.#sessions.add(session);
    return session;
  }

  trouble(problem: string, isRefusal = false): void {
    if (!this.connected) {
      this.#note(problem, isRefusal);
      this.hopeless = isRefusal ? Status.UNAUTHENTICATED : undefined;
    }
    this.#owner.onTrouble(problem);
    if (this.hopeless !== undefined) this.#owner.hopeless();
  }

  ready(session: ClientSession): void {
    this.problem = undefined;
    this.wasRefused = false;
    this.hopeless = undefined;
    this.#ready.push(session);
    this.#owner.roomy();
  }

  roomy(): void {
    this.#owner.roomy();
  }

  draining(session: ClientSession, reason: string): void {
    this.#drop(session, reason);
  }

  over(session: ClientSession, reason: string, fatal: StatusCode | undefined): void {
    this.#sessions.delete(session);
    this.#drop(session, reason);
    this.hopeless = this.connected ? undefined : fatal;
    if (this.hopeless !== undefined) this.#owner.hopeless();
    this.#owner.changed();
  }

  #drop(session: ClientSession, reason: string): void {
    this.#ready = this.#ready.filter((other) => other !== session);
    if (this.#ready.length === 0) this.#note(reason, session.wasRefused);
  }

  #note(problem: string, isRefusal: boolean): void {
    this.problem = problem;
    this.wasRefused = isRefusal;
  }
}
