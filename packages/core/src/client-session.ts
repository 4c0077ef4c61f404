import type { ClientCall } from "./caller.ts";
import { Hello, Refusal, Welcome } from "./gen/zerobind/v1/wire.pb.ts";
import { IncomingCalls } from "./incoming-calls.ts";
import type { IncomingOwner } from "./incoming-calls.ts";
import { OutgoingCalls } from "./outgoing-calls.ts";
import { BatchWriter } from "./batch-writer.ts";
import { RecordType, RefuseReason, WireError, recordHeaderBytes, wireVersion } from "./records.ts";
import type { BatchReader } from "./records.ts";
import type { RpcError } from "./rpc-error.ts";
import { SessionScope, sessionId } from "./session-context.ts";
import { Session } from "./session.ts";
import type { SessionSettings } from "./session.ts";
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
  /** It is over. `fatal`: the same would happen again, so that whoever waits should be told. */
  over(session: ClientSession, reason: string, fatal: boolean): void;
}

/** HELLO as a batch of its own: the greeting of each connection that a client makes. */
export function helloBatch(settings: SessionSettings, info: string): Uint8Array {
  const writer = BatchWriter.take();
  const start = writer.skip(recordHeaderBytes);
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
  };
  Hello.encode(hello, writer);
  writer.recordHeader(start, RecordType.HELLO, 0, writer.position - start - recordHeaderBytes, 0, 0);
  const batch = writer.batch(1, 0);
  writer.release();
  return batch;
}

/** The calling end of a session: waits for WELCOME, then carries calls, and answers those that handlers make back. */
export class ClientSession extends Session {
  /** Whether it takes new calls. */
  accepting = false;
  /** Whether it ended since the server did not want it. */
  wasRefused = false;
  readonly #owner: ClientSessionOwner;
  readonly #outgoing: OutgoingCalls;
  #scope: SessionScope | undefined;
  #incoming: IncomingCalls | undefined;
  #fatal = false;
  #draining = false;
  #greeted = false;

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
    return this.accepting && !this.outbox.isFull && this.#outgoing.hasRoom;
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

  /** A server that connected to this end would not notice that it is forgotten, and wait for calls for ever. */
  override giveUp(reason: string): void {
    this.refuse(RefuseReason.UNKNOWN_SESSION, reason);
  }

  released(callId: number): void {
    if ((callId & 1) === 0) return this.#incoming?.released(callId);
    this.#outgoing.released(callId);
    this.#owner.roomy(this);
  }

  relieved(): void {
    this.#incoming?.relieved();
    this.#outgoing.relieved();
    this.#owner.roomy(this);
  }

  protected onStrangeBatch(): boolean {
    // Before WELCOME every tag is strange.
    if (this.outbox.tag === 0) return true;
    this.settings.count("stale batch");
    return false;
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
      case RecordType.WELCOME:
        return this.#welcome(batch);
      case RecordType.REFUSE:
        return batch.callId === 0 ? this.#refused(batch) : this.#outgoing.refused(batch);
      case RecordType.GOAWAY:
        return this.#goAway();
      case RecordType.READY:
        // A server has connected to this end, which has not greeted it yet.
        if (this.#greeted) throw new WireError("there was more than one READY");
        this.#greeted = true;
        if (this.outbox.tag === 0) this.link.send([this.#owner.hello]);
        return;
      default:
        throw new WireError(`a server does not send records of type ${batch.type}`);
    }
  }

  protected onOver(reason: string): void {
    this.accepting = false;
    const calls = this.#outgoing.takeAll();
    this.#incoming?.abortAll(reason);
    this.#scope?.end(reason);
    this.#owner.over(this, reason, this.#fatal);
    this.#outgoing.lose(calls, reason);
  }

  #changed(): void {
    if (this.#draining && this.#outgoing.size === 0) this.hangUp("the server has gone away");
    else this.#owner.roomy(this);
  }

  /** The calls of the server; most never make any. */
  #answering(): IncomingCalls {
    if (this.#incoming) return this.#incoming;
    const { remoteAddress } = this.link;
    this.#scope = new SessionScope(sessionId(), { address: remoteAddress }, () => {
      throw new TypeError("the server is called by the channel's own clients, not back over the session of a callback");
    });
    return (this.#incoming = new IncomingCalls(this, this.#scope, "even", this.#owner.callbacks));
  }

  #welcome(batch: BatchReader): void {
    if (this.outbox.tag !== 0) throw new WireError("there was more than one WELCOME");
    if (batch.tag === 0) throw new WireError("WELCOME has no session tag");
    const { limits, maxConcurrentCalls } = batch.meta(Welcome);
    this.outbox.tag = batch.tag;
    this.learnLimits(limits, maxConcurrentCalls);
    this.accepting = true;
    this.#owner.ready(this);
  }

  #refused(batch: BatchReader): void {
    const { message, minVersion, maxVersion } = batch.meta(Refusal);
    const range = batch.aux === RefuseReason.VERSION ? ` (it speaks versions ${minVersion} to ${maxVersion})` : "";
    this.wasRefused = true;
    this.#fatal =
      batch.aux === RefuseReason.VERSION ||
      batch.aux === RefuseReason.MISMATCH ||
      batch.aux === RefuseReason.UNAUTHENTICATED;
    this.hangUp(`the server refused the connection: ${message}${range}`);
  }

  #goAway(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.accepting = false;
    this.link.retire();
    this.#owner.draining(this, "the server is going away");
    if (this.#outgoing.size === 0) this.hangUp("the server has gone away");
  }
}
