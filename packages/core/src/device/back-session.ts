import { CallTable } from "../call-table.ts";
import { CallingSession } from "../calling-session.ts";
import { remainingMs } from "../client-method.ts";
import { Ready } from "../gen/zerobind/v1/wire.pb.ts";
import { rawType } from "../message.ts";
import { TooLargeError } from "../outgoing.ts";
import { Flag, RecordType, RefuseReason, WireError } from "../records.ts";
import type { BatchReader } from "../records.ts";
import { RpcError } from "../rpc-error.ts";
import type { SessionSettings } from "../session.ts";
import { Status } from "../status.ts";
import type { Link } from "../transport.ts";
import type { CallSwitch, CallWorker } from "./call-switch.ts";
import { callbackRefusal } from "./callback-refusal.ts";
import { creditMeta, grantOf, windowOf } from "./flow.ts";
import type { Window } from "./flow.ts";
import type { ForwardedCall } from "./forwarded-call.ts";
import { dropParts, messageOf, unfinished } from "./gathering.ts";
import { Leg } from "./leg.ts";
import type { LegOwner } from "./leg.ts";
import type { Services } from "./held-calls.ts";
import { MethodNumbers } from "./method-numbers.ts";
import { dataMeta, endMeta, recordOf } from "./passing.ts";
import type { Piece } from "./passing.ts";

/** The end behind that a session belongs to. */
export interface BackSessionOwner {
  readonly hub: CallSwitch;
  /** What to answer READY with. */
  readonly hello: Uint8Array;
  /** It is over. `isFatal`: the same would happen again. */
  over(session: BackSession, reason: string, isFatal: boolean): void;
}

/** The session of a device with a worker, whose client it is. */
export class BackSession extends CallingSession implements CallWorker, LegOwner {
  /** Names of the services that the worker serves; undefined if it did not say. */
  services: Services = undefined;
  readonly #owner: BackSessionOwner;
  readonly #legs = new CallTable<Leg>();
  readonly #numbers = new MethodNumbers();
  #nextId: number = (globalThis.crypto.getRandomValues(new Uint32Array(1))[0]! | 1) >>> 0;
  /** One-way calls that the worker has not said to be done with. */
  #unacknowledged = 0;

  constructor(link: Link, settings: SessionSettings, owner: BackSessionOwner) {
    super(link, settings);
    this.#owner = owner;
  }

  get openCalls(): number {
    return this.#legs.size;
  }

  get load(): number {
    return this.#legs.size + this.#unacknowledged;
  }

  get credit(): number {
    return this.peerLimits.maxConcurrentCalls;
  }

  get freeCredit(): number {
    return this.accepting ? Math.max(this.credit - this.load, 0) : 0;
  }

  get hasRoom(): boolean {
    return this.accepting && this.load < this.credit && !this.outbox.isFull;
  }

  /** Whether the worker serves a service, as far as it has said. */
  serves(service: string): boolean {
    return this.services === undefined || this.services.has(service);
  }

  forward(call: ForwardedCall): void {
    const { opening } = call;
    const { maxMetadataBytes } = this.peerLimits;
    if (opening.metadataBytes > maxMetadataBytes) {
      const text = `${call.method.path}: it has ${opening.metadataBytes} bytes of metadata, more than the ${maxMetadataBytes} that the worker accepts (its limit maxMetadataBytes)`;
      return call.fail(new RpcError(Status.RESOURCE_EXHAUSTED, text));
    }
    this.watchPeer();
    const leg = new Leg(this.#freeId(), this, call);
    leg.batchNumber = this.outbox.batchNumber;
    try {
      this.#writeCall(leg, call);
    } catch (error) {
      return this.#failTooLarge(call, error);
    }
    this.#legs.add(leg.id, leg);
    if (call.oneWay) this.#unacknowledged += 1;
    call.forwarded(leg);
    call.settle();
    call.onForwarded(windowOf(this.peerLimits));
  }

  /** A part of the request goes to the worker. */
  pass(leg: Leg, piece: Piece): void {
    try {
      this.outbox.write(recordOf(piece, leg.id));
    } catch (error) {
      this.#failTooLarge(leg.call, error);
    }
  }

  /** Grants the worker more of a stream of replies. */
  grant(leg: Leg, granted: Window): void {
    const piece = { flags: 0, aux: granted.bytes, meta: creditMeta(granted), body: undefined };
    this.outbox.write(recordOf({ type: RecordType.CREDIT, ...piece }, leg.id));
  }

  /** Nothing more is said of a call, on either side. */
  forget(leg: Leg): void {
    if (!this.#legs.delete(leg.id)) return;
    dropParts(this, leg);
    this.#changed();
  }

  /** The call is not wanted any more. */
  cancel(leg: Leg, code: number): void {
    if (!this.#legs.delete(leg.id)) return;
    dropParts(this, leg);
    const isUnheard = this.outbox.backlog.holdsOpening(leg.id);
    this.outbox.forget(leg.id, true);
    if (!isUnheard) this.writeControl(RecordType.CANCEL, leg.id, code);
    else if (leg.call.oneWay) this.#unacknowledged -= 1;
    this.#changed();
  }

  released(): void {
    this.relieved();
    this.#owner.hub.moved();
    this.wroteHeld();
  }

  relieved(): void {
    this.#owner.hub.roomy(this);
  }

  protected get outgoingCalls(): number {
    return this.#legs.size;
  }

  protected get helloBytes(): Uint8Array {
    return this.#owner.hello;
  }

  protected override onReady(batch: BatchReader): void {
    const { services } = batch.meta(Ready);
    if (services.length > 0) this.services = new Set(services);
  }

  /** A worker that has connected would not notice that a socket which has many others lets go of it. */
  protected override leave(reason: string): void {
    this.refuse(RefuseReason.DRAINING, reason);
  }

  protected onWelcome(): void {
    this.#owner.hub.joined(this);
  }

  protected onDraining(reason: string): void {
    this.#owner.hub.left(this, reason);
  }

  protected onRecord(batch: BatchReader): void {
    const { type, callId } = batch;
    const isOwn = (callId & 1) === 1;
    if (type === RecordType.ACK) return this.#acknowledged(batch.aux);
    if (callId === 0 || type < RecordType.CALL) return this.onSessionRecord(batch);
    if (this.outbox.tag === 0) throw new WireError(`a record of type ${type} came before WELCOME`);
    if (type === RecordType.CALL) return this.#calledBack(batch);
    if (type === RecordType.CANCEL && isOwn) throw new WireError("a worker does not cancel the calls of its client");
    // What else is said of a call back crossed its refusal.
    if (!isOwn) return;
    const leg = this.#legs.get(callId);
    if (!leg) return this.settings.count("late reply");
    switch (type) {
      case RecordType.DATA:
        return this.#data(batch, leg);
      case RecordType.CREDIT:
        return leg.call.onCredit(grantOf(batch));
      case RecordType.END:
        return this.#end(batch, leg);
      case RecordType.REFUSE:
        return this.#callRefused(batch, leg);
      default:
        throw new WireError(`a worker does not send records of type ${type} about a call`);
    }
  }

  protected onOver(reason: string): void {
    this.accepting = false;
    const { hub } = this.#owner;
    const legs = this.#legs.all();
    this.#legs.clear();
    hub.left(this, reason);
    this.#owner.over(this, reason, this.fatal !== undefined);
    if (this.#unacknowledged > 0) {
      hub.dropped(
        `${this.#unacknowledged} one-way calls were with a worker that was lost, and may not have been carried out: ${reason}`,
      );
    }
    for (const leg of legs) {
      const unsent = leg.batchNumber > this.outbox.sentBatchNumber || this.outbox.backlog.holdsOpening(leg.id);
      leg.call.workerLost(reason, unsent);
    }
  }

  #freeId(): number {
    let id = this.#nextId;
    while (this.#legs.get(id) !== undefined) id = (id + 2) >>> 0;
    this.#nextId = (id + 2) >>> 0;
    return id;
  }

  #writeCall({ id }: Leg, { opening, method: { path } }: ForwardedCall): void {
    const [metaType, meta] = this.#numbers.meta(path, opening.metadata);
    const { outbox } = this;
    outbox.write({
      type: RecordType.CALL,
      flags: opening.flags,
      callId: id,
      aux: remainingMs(opening.deadlineMs),
      metaType,
      meta,
      bodyType: opening.body && rawType,
      body: opening.body,
    });
    // Fragments may be overtaken by later calls, which then must not rely on the number.
    if (!outbox.isHolding || !outbox.backlog.has(id)) this.#numbers.introduced(path);
  }

  /** What the worker would not take ends the call. */
  #failTooLarge(call: ForwardedCall, error: unknown): void {
    if (!(error instanceof TooLargeError)) throw error;
    const text = `${call.method.path}: the request has ${error.byteLength} bytes encoded, more than the ${this.peerLimits.maxMessageBytes} that the worker accepts (its limit maxMessageBytes)`;
    call.fail(new RpcError(Status.RESOURCE_EXHAUSTED, text));
  }

  #data(batch: BatchReader, leg: Leg): void {
    const { call } = leg;
    call.answered = true;
    // There is one header block at most; more would go on without any credit.
    const meta = leg.headed ? undefined : dataMeta(batch);
    leg.headed ||= meta !== undefined;
    const body = messageOf(this, leg, batch);
    if (body instanceof RpcError) return call.fail(body);
    const isMessage = body !== unfinished && (batch.flags & Flag.MESSAGE) !== 0;
    if (!isMessage && !meta) return;
    const carried = isMessage ? { flags: Flag.MESSAGE, body } : { flags: 0, body: undefined };
    call.reply({ type: RecordType.DATA, aux: 0, meta, ...carried });
  }

  #end(batch: BatchReader, leg: Leg): void {
    const { call } = leg;
    const meta = endMeta(batch);
    const isWell = batch.aux === Status.OK;
    const body = isWell ? messageOf(this, leg, batch) : undefined;
    this.#closeLeg(leg);
    if (body instanceof RpcError) call.fail(body);
    else if (body === unfinished) call.fail(new RpcError(Status.INTERNAL, "the call ended in the middle of a message"));
    else {
      const flags = Flag.END | (isWell ? batch.flags & Flag.MESSAGE : 0);
      call.reply({ type: RecordType.END, flags, aux: batch.aux, meta, body });
    }
    this.#changed();
  }

  #callRefused(batch: BatchReader, leg: Leg): void {
    if (batch.aux === Status.OK) throw new WireError("a call was refused with the status OK");
    const meta = endMeta(batch);
    this.#closeLeg(leg);
    leg.call.refused({ type: RecordType.REFUSE, flags: Flag.END, aux: batch.aux, meta, body: undefined });
    this.#changed();
  }

  /** The worker has said all. */
  #closeLeg(leg: Leg): void {
    this.#legs.delete(leg.id);
    dropParts(this, leg);
    this.outbox.forget(leg.id, true);
    leg.call.leg = undefined;
  }

  #acknowledged(count: number): void {
    this.#unacknowledged = Math.max(this.#unacknowledged - count, 0);
    this.#changed();
  }

  #calledBack(batch: BatchReader): void {
    this.settings.count("refused callback");
    this.outbox.write(callbackRefusal(batch));
  }

  #changed(): void {
    if (!this.over && !this.endIfDrained()) this.#owner.hub.roomy(this);
  }
}
