import type { ClientCall } from "./caller.ts";
import { CallingSession } from "./calling-session.ts";
import { Hello } from "./gen/zerobind/v1/wire.pb.ts";
import { IncomingCalls } from "./incoming-calls.ts";
import type { IncomingOwner } from "./incoming-calls.ts";
import { OutgoingCalls } from "./outgoing-calls.ts";
import { loneRecord } from "./batch-writer.ts";
import { RecordType, WireError, wireVersion } from "./records.ts";
import type { BatchReader } from "./records.ts";
import type { RpcError } from "./rpc-error.ts";
import { SessionScope, peerOf, sessionId } from "./session-context.ts";
import type { SessionSettings } from "./session.ts";
import type { StatusCode } from "./status.ts";
import type { Link } from "./transport.ts";

/** What the owner of a client session is told. */
export interface ClientSessionOwner {
  /** What to answer READY with. */
  readonly hello: Uint8Array;
  /** Where the calls that servers make back come in. */
  readonly callbacks: IncomingOwner;
  /** It may take calls now. */
  ready(session: ClientSession): void;
  /** It has room for another call again. */
  roomy(session: ClientSession): void;
  /** It must not get more calls; it goes on with those it has. */
  draining(session: ClientSession, reason: string): void;
  /** It is over. `fatal`: the same would happen again, so that whoever waits should be told, with this status. */
  over(session: ClientSession, reason: string, fatal: StatusCode | undefined): void;
}

/** HELLO as a batch of its own: the greeting of each connection that a client makes. */
export function helloBatch(settings: SessionSettings, info: string): Uint8Array {
  const hello: Hello = {
    maxVersion: wireVersion,
    minVersion: wireVersion,
    sessionId: globalThis.crypto.getRandomValues(new Uint8Array(16)),
    limits: settings.limits,
    encoding: settings.encoding,
    elements: [...settings.elements],
    features: [],
    clientInfo: info,
    maxConcurrentCalls: settings.limits.maxConcurrentCalls,
    compressions: [...(settings.compression?.names ?? [])],
  };
  return loneRecord(RecordType.HELLO, Hello, hello);
}

/** The calling end of a session: waits for WELCOME, then carries calls, and answers those that handlers make back. */
export class ClientSession extends CallingSession {
  readonly #owner: ClientSessionOwner;
  readonly #outgoing: OutgoingCalls;
  #scope: SessionScope | undefined;
  #incoming: IncomingCalls | undefined;

  constructor(link: Link, settings: SessionSettings, owner: ClientSessionOwner) {
    super(link, settings);
    this.#owner = owner;
    this.#outgoing = new OutgoingCalls(this, "odd", settings.count, () => this.#changed());
  }

  get openCalls(): number {
    return this.#outgoing.size;
  }

  /** Whether the peer's credit allows another call. */
  get hasRoom(): boolean {
    return this.accepting && !this.isDoubted && !this.outbox.isFull && this.#outgoing.hasRoom;
  }

  /** Starts a call; only while `hasRoom`. */
  begin(call: ClientCall): void {
    this.watchPeer();
    this.#outgoing.begin(call);
  }

  /** Ends all open calls, here and on the server. */
  cancelAll(errorOf: (call: ClientCall) => RpcError): void {
    this.#outgoing.cancelAll(errorOf);
  }

  released(callId: number): void {
    this.wroteHeld();
    if ((callId & 1) === 0) return this.#incoming?.released(callId);
    this.#outgoing.released(callId);
    this.#owner.roomy(this);
  }

  relieved(): void {
    this.#incoming?.relieved();
    this.#outgoing.relieved();
    this.#owner.roomy(this);
  }

  protected get outgoingCalls(): number {
    return this.#outgoing.size;
  }

  protected get helloBytes(): Uint8Array {
    return this.#owner.hello;
  }

  protected onWelcome(): void {
    this.#owner.ready(this);
  }

  protected onDraining(reason: string): void {
    this.#owner.draining(this, reason);
  }

  protected onRecord(batch: BatchReader): void {
    const isOutgoing = (batch.callId & 1) === 1;
    switch (batch.type) {
      case RecordType.DATA:
      case RecordType.CREDIT:
        return isOutgoing || !this.#incoming ? this.#outgoing.receive(batch) : this.#incoming.receive(batch);
      case RecordType.END:
        return this.#outgoing.receive(batch);
      case RecordType.CALL:
        if (this.outbox.tag === 0) throw new WireError("a CALL came before WELCOME");
        return this.#answering().call(batch);
      case RecordType.CANCEL:
        if (isOutgoing) throw new WireError("a server does not cancel the calls of its client");
        return this.#answering().receive(batch);
      case RecordType.ACK:
        return this.#outgoing.acknowledged(batch.aux);
      case RecordType.REFUSE:
        return batch.callId === 0 ? this.onSessionRecord(batch) : this.#outgoing.refused(batch);
      default:
        return this.onSessionRecord(batch);
    }
  }

  protected onOver(reason: string): void {
    this.accepting = false;
    const calls = this.#outgoing.takeAll();
    this.#incoming?.abortAll(reason);
    this.#scope?.end(reason);
    this.#owner.over(this, reason, this.fatal);
    this.#outgoing.lose(calls, reason);
  }

  #changed(): void {
    if (!this.endIfDrained()) this.#owner.roomy(this);
  }

  /** The calls of the server; most never make any. */
  #answering(): IncomingCalls {
    if (this.#incoming) return this.#incoming;
    this.#scope = new SessionScope(sessionId(), peerOf(this.link), () => {
      throw new TypeError("the server is called by the channel's own clients, not back over the session of a callback");
    });
    return (this.#incoming = new IncomingCalls(this, this.#scope, "even", this.#owner.callbacks));
  }
}
