import type { CallerPort, ClientCall } from "./caller.ts";
import { EndHeader, Hello, Refusal, Welcome } from "./gen/zerobind/v1/wire.pb.ts";
import { BatchWriter, RecordType, RefuseReason, WireError, recordHeaderBytes, wireVersion } from "./records.ts";
import type { BatchReader } from "./records.ts";
import type { RpcError } from "./rpc-error.ts";
import { Session } from "./session.ts";
import type { SessionSettings } from "./session.ts";
import { toStatusCode } from "./status.ts";
import type { Link } from "./transport.ts";

/** Method numbers that one session may introduce; methods beyond are always named. */
const maxMethodNumbers = 4096;

/** What the owner of a client session is told. */
export interface ClientSessionOwner {
  /** What to answer READY with. */
  readonly hello: Uint8Array;
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
  };
  Hello.encode(hello, writer);
  writer.recordHeader(start, RecordType.HELLO, 0, writer.position - start - recordHeaderBytes, 0, 0);
  const batch = writer.batch(1, 0);
  writer.release();
  return batch;
}

/** The calling end of a session: waits for WELCOME, then carries calls. */
export class ClientSession extends Session implements CallerPort {
  /** Whether it takes new calls. */
  accepting = false;
  readonly #owner: ClientSessionOwner;
  readonly #calls = new Map<number, ClientCall>();
  readonly #numbers = new Map<string, number>();
  /** Odd, so that calls of the other end can never have the same. The start is random. */
  #nextId = (globalThis.crypto.getRandomValues(new Uint32Array(1))[0]! | 1) >>> 0;
  #fatal = false;
  #draining = false;

  constructor(link: Link, settings: SessionSettings, owner: ClientSessionOwner) {
    super(link, settings);
    this.#owner = owner;
  }

  get openCalls(): number {
    return this.#calls.size;
  }

  /** Whether the peer's credit allows another call. */
  get hasRoom(): boolean {
    return this.accepting && !this.outbox.isFull && this.#calls.size < this.peerLimits.maxConcurrentCalls;
  }

  /** Starts a call; only while `hasRoom`. */
  begin(call: ClientCall): void {
    const id = this.#nextId;
    this.#nextId = (id + 2) >>> 0;
    this.#calls.set(id, call);
    this.watchPeer();
    call.begin(this, id);
  }

  numberOf(path: string): number {
    return this.#numbers.get(path) ?? 0;
  }

  nextNumber(): number {
    return this.#numbers.size < maxMethodNumbers ? this.#numbers.size + 1 : 0;
  }

  introduced(path: string, number: number): void {
    this.#numbers.set(path, number);
  }

  finished(call: ClientCall): void {
    if (this.#calls.get(call.id) !== call) return;
    this.#calls.delete(call.id);
    if (this.#draining && this.#calls.size === 0) this.hangUp("the server has gone away");
    else this.#owner.roomy(this);
  }

  /** Ends all open calls, here and on the server. */
  cancelAll(error: RpcError): void {
    for (const call of [...this.#calls.values()]) call.failHere(error);
  }

  released(callId: number): void {
    this.#calls.get(callId)?.wakeSender();
    this.#owner.roomy(this);
  }

  relieved(): void {
    for (const call of this.#calls.values()) call.wakeSender();
    this.#owner.roomy(this);
  }

  protected onStrangeBatch(): boolean {
    // Before WELCOME every tag is strange.
    if (this.outbox.tag === 0) return true;
    this.settings.count("stale batch");
    return false;
  }

  protected onRecord(batch: BatchReader): void {
    switch (batch.type) {
      case RecordType.DATA:
      case RecordType.END:
      case RecordType.CREDIT: {
        const call = this.#calls.get(batch.callId);
        if (call) call.receive(batch);
        else this.settings.count("late reply");
        return;
      }
      case RecordType.WELCOME:
        return this.#welcome(batch);
      case RecordType.REFUSE:
        return batch.callId === 0 ? this.#refused(batch) : this.#callRefused(batch);
      case RecordType.GOAWAY:
        return this.#goAway();
      case RecordType.READY:
        // A server has connected to this end, which has not greeted it yet.
        if (this.outbox.tag === 0) this.link.send([this.#owner.hello]);
        return;
      default:
        throw new WireError(`a server does not send records of type ${batch.type}`);
    }
  }

  protected onOver(reason: string): void {
    this.accepting = false;
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    this.#owner.over(this, reason, this.#fatal);
    for (const call of calls) {
      const { sentBatchNumber } = this.outbox;
      call.lost(reason, call.batchNumber > sentBatchNumber || this.outbox.backlog.holdsOpening(call.id));
    }
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
    this.#fatal = batch.aux === RefuseReason.VERSION || batch.aux === RefuseReason.MISMATCH;
    this.hangUp(`the server refused the connection: ${message}${range}`);
  }

  #callRefused(batch: BatchReader): void {
    const call = this.#calls.get(batch.callId);
    if (!call) return this.settings.count("late reply");
    call.refused(toStatusCode(batch.aux), batch.metaLength > 0 ? batch.meta(EndHeader).message : "");
  }

  #goAway(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.accepting = false;
    this.link.retire();
    this.#owner.draining(this, "the server is going away");
    if (this.#calls.size === 0) this.hangUp("the server has gone away");
  }
}
