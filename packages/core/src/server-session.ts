import { CallbackCalls } from "./callback-calls.ts";
import type { Contract } from "./contract.ts";
import { Ready, Refusal } from "./gen/zerobind/v1/wire.pb.ts";
import { IncomingCalls } from "./incoming-calls.ts";
import type { IncomingOwner } from "./incoming-calls.ts";
import { loneRecord } from "./batch-writer.ts";
import { RecordType, WireError, wireVersion } from "./records.ts";
import type { BatchReader } from "./records.ts";
import { quoted } from "./refusals.ts";
import type { RpcError } from "./rpc-error.ts";
import { SessionScope, peerOf, sessionId } from "./session-context.ts";
import { ServingSession } from "./serving-session.ts";
import type { GreetingOwner } from "./serving-session.ts";
import type { SessionSettings } from "./session.ts";
import type { Link } from "./transport.ts";

/** The serving end that a session belongs to. */
export interface ServerSessionOwner extends IncomingOwner, GreetingOwner {
  /** Something that waited in an outbox has left. */
  outboxMoved(): void;
  /** It has ended. `admitted`: it had been counted. */
  over(session: ServerSession, admitted: boolean): void;
}

/** READY as a batch of its own: the greeting of a server that connects. */
export function readyBatch(services: readonly string[], info: string): Uint8Array {
  const ready = { maxVersion: wireVersion, minVersion: wireVersion, services: [...services], serverInfo: info };
  return loneRecord(RecordType.READY, Ready, ready);
}

/** The serving end of a session: answers HELLO, then takes calls, and makes some of its own if handlers call back. */
export class ServerSession extends ServingSession {
  readonly #owner: ServerSessionOwner;
  #scope!: SessionScope;
  #incoming!: IncomingCalls;
  #callbacks: CallbackCalls | undefined;

  constructor(link: Link, settings: SessionSettings, owner: ServerSessionOwner) {
    super(link, settings, owner);
    this.#owner = owner;
    this.#begin();
  }

  /** Calls that this end has to answer. */
  get incomingCalls(): number {
    return this.#incoming.size;
  }

  get openCalls(): number {
    return this.#incoming.size + (this.#callbacks?.size ?? 0);
  }

  /** Ends every open call with a status; used when the host does not wait for them. */
  failAll(errorOf: (path: string) => RpcError): void {
    this.#incoming.failAll(errorOf);
    this.outbox.flush();
  }

  released(callId: number): void {
    if ((callId & 1) === 1) this.#incoming.released(callId);
    else this.#callbacks?.calls.released(callId);
    this.#owner.outboxMoved();
  }

  relieved(): void {
    this.#incoming.relieved();
    this.#callbacks?.calls.relieved();
  }

  protected get lastCallId(): number {
    return this.#incoming.lastCallId;
  }

  protected onRecord(batch: BatchReader): void {
    if (batch.type === RecordType.HELLO) return this.hello(batch);
    if (batch.tag === 0) throw new WireError("the first record must be HELLO");
    const isIncoming = (batch.callId & 1) === 1;
    switch (batch.type) {
      case RecordType.CALL:
        this.watchPeer();
        return this.#incoming.call(batch);
      case RecordType.DATA:
      case RecordType.CREDIT:
        return isIncoming || !this.#callbacks ? this.#incoming.receive(batch) : this.#callbacks.calls.receive(batch);
      case RecordType.CANCEL:
        return this.#incoming.receive(batch);
      case RecordType.END:
        return this.#callback(batch).receive(batch);
      case RecordType.REFUSE:
        if (batch.callId === 0)
          return this.hangUp(`the client refused the session: ${quoted(batch.meta(Refusal).message)}`);
        return this.#callback(batch).refused(batch);
      case RecordType.ACK:
        return this.#callback(batch).acknowledged(batch.aux);
      default:
        throw new WireError(`a client does not send records of type ${batch.type}`);
    }
  }

  protected onOver(reason: string): void {
    this.#finish(reason);
    this.#owner.over(this, this.admitted);
  }

  protected onNewLife(reason: string): void {
    this.#finish(reason);
    this.#begin();
  }

  #begin(): void {
    this.#scope = new SessionScope(sessionId(), peerOf(this.link), (contract, scope) =>
      this.#clientOf(contract, scope),
    );
    this.#incoming = new IncomingCalls(this, this.#scope, "odd", this.#owner);
    this.#callbacks = undefined;
  }

  #finish(reason: string): void {
    this.#incoming.abortAll(reason);
    this.#callbacks?.lost(reason);
    this.#scope.end(reason);
  }

  #callback(batch: BatchReader) {
    if (this.#callbacks) return this.#callbacks.calls;
    throw new WireError(`a client does not send records of type ${batch.type} unless it is called back`);
  }

  #clientOf(contract: Contract, { ended }: SessionScope): unknown {
    const calls = (): CallbackCalls => new CallbackCalls(this, this.#owner, () => this.watchPeer());
    if (ended === undefined) return (this.#callbacks ??= calls()).client(contract);
    // Somebody kept the session beyond its end; by now the connection may have another one.
    const late = calls();
    late.lost(ended);
    return late.client(contract);
  }
}
