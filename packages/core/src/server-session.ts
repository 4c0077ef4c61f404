import { CallbackCalls } from "./callback-calls.ts";
import type { Contract } from "./contract.ts";
import { GoAway, Hello, Ready, Refusal, Welcome } from "./gen/zerobind/v1/wire.pb.ts";
import { IncomingCalls } from "./incoming-calls.ts";
import type { IncomingOwner } from "./incoming-calls.ts";
import { BatchWriter } from "./batch-writer.ts";
import { RecordType, RefuseReason, WireError, recordHeaderBytes, wireVersion } from "./records.ts";
import type { BatchReader } from "./records.ts";
import { quoted } from "./refusals.ts";
import type { RpcError } from "./rpc-error.ts";
import { SessionScope, sessionId } from "./session-context.ts";
import { Session } from "./session.ts";
import type { SessionSettings } from "./session.ts";
import type { Link } from "./transport.ts";

/** The serving end that a session belongs to. */
export interface ServerSessionOwner extends IncomingOwner {
  /** 8 random bytes of this process's opening. */
  readonly epoch: Uint8Array;
  readonly info: string;
  /** Whether there is room for one more session; counts it if so. */
  admitSession(): boolean;
  /** Something that waited in an outbox has left. */
  outboxMoved(): void;
  /** It has ended. `admitted`: it had been counted. */
  over(session: ServerSession, admitted: boolean): void;
}

/** READY as a batch of its own: the greeting of a server that connects. */
export function readyBatch(services: readonly string[], info: string): Uint8Array {
  const writer = BatchWriter.take();
  const start = writer.skip(recordHeaderBytes);
  Ready.encode({ maxVersion: wireVersion, minVersion: wireVersion, services: [...services], serverInfo: info }, writer);
  writer.recordHeader(start, RecordType.READY, 0, writer.position - start - recordHeaderBytes, 0, 0);
  const batch = writer.batch(1, 0);
  writer.release();
  return batch;
}

/** The serving end of a session: answers HELLO, then takes calls, and makes some of its own if handlers call back. */
export class ServerSession extends Session {
  readonly #owner: ServerSessionOwner;
  #scope!: SessionScope;
  #incoming!: IncomingCalls;
  #callbacks: CallbackCalls | undefined;
  #admitted = false;

  constructor(link: Link, settings: SessionSettings, owner: ServerSessionOwner) {
    super(link, settings);
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

  /** Asks the peer to take its new calls elsewhere. */
  goAway(reason: string): void {
    if (this.outbox.tag === 0) return;
    this.writeControl(RecordType.GOAWAY, 0, this.#incoming.lastCallId, [GoAway, { reason, alternatives: [] }]);
    this.outbox.flush();
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

  protected onStrangeBatch(batch: BatchReader): boolean {
    // HELLO says 0, since it asks for a tag; a peer that says it again has begun a new life.
    if (batch.tag === 0) return true;
    this.settings.count("stale batch");
    // The answer carries the tag that the peer believes in, so that it knows which of its sessions is meant.
    const { tag } = this.outbox;
    this.outbox.flush();
    this.outbox.tag = batch.tag;
    this.writeControl(RecordType.REFUSE, 0, RefuseReason.UNKNOWN_SESSION);
    this.outbox.flush();
    this.outbox.tag = tag;
    if (tag === 0) this.hangUp("the peer spoke of a session that is not known");
    return false;
  }

  protected onRecord(batch: BatchReader): void {
    if (batch.type === RecordType.HELLO) return this.#hello(batch);
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
    this.#owner.over(this, this.#admitted);
  }

  #begin(): void {
    this.#scope = new SessionScope(sessionId(), { address: this.link.remoteAddress }, (contract, scope) =>
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

  #hello(batch: BatchReader): void {
    if (batch.count !== 1) throw new WireError("HELLO is not the only record of its batch");
    const hello = batch.meta(Hello);
    if (this.outbox.tag !== 0) {
      this.#finish("it has said HELLO again");
      // What was not sent to the former life of the peer would be misread by the new one.
      this.outbox.reset();
      this.#begin();
    }
    if (hello.minVersion > wireVersion || hello.maxVersion < wireVersion) {
      return this.refuse(RefuseReason.VERSION, "it has no version of the protocol in common");
    }
    const mismatch = this.#mismatch(hello);
    if (mismatch) return this.refuse(RefuseReason.MISMATCH, mismatch);
    if (this.#owner.draining) return this.refuse(RefuseReason.DRAINING, "the server is going away");
    if (!this.#admitted && !(this.#admitted = this.#owner.admitSession()))
      return this.refuse(
        RefuseReason.EXHAUSTED,
        "the server has as many sessions as it allows (its option maxSessions)",
      );
    this.learnLimits(hello.limits, hello.maxConcurrentCalls);
    this.outbox.tag = (globalThis.crypto.getRandomValues(new Uint32Array(1))[0]! | 1) >>> 0;
    const { epoch, info } = this.#owner;
    const welcome: Welcome = {
      version: wireVersion,
      epoch,
      limits: this.limits,
      features: [],
      serverInfo: info,
      maxConcurrentCalls: this.limits.maxConcurrentCalls,
    };
    this.writeControl(RecordType.WELCOME, 0, 0, [Welcome, welcome]);
  }

  #mismatch(hello: Hello): string | undefined {
    const { encoding, elements } = this.settings;
    if ((hello.encoding || "protobuf") !== encoding)
      return `the server encodes messages as ${encoding}, the client as ${quoted(hello.encoding)}`;
    const [here, there] = [elements.join(", "), hello.elements.join(", ")];
    if (here === there) return undefined;
    return `the message elements of the bindings differ: server [${here}], client [${quoted(there).slice(1, -1)}]; give both ends the same binding`;
  }
}
