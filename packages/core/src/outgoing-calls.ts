import type { BodyCodec } from "./binding.ts";
import { CallTable } from "./call-table.ts";
import type { CallerPort } from "./call-owner.ts";
import type { ClientCall } from "./caller.ts";
import { EndHeader } from "./gen/zerobind/v1/wire.pb.ts";
import type { Limits } from "./limits.ts";
import type { Outbox } from "./outbox.ts";
import { WireError } from "./records.ts";
import type { BatchReader } from "./records.ts";
import type { RpcError } from "./rpc-error.ts";
import type { Session } from "./session.ts";
import { Status, toStatusCode } from "./status.ts";
import type { Link } from "./transport.ts";

/** Method numbers that one session may introduce; methods beyond are always named. */
const maxMethodNumbers = 4096;

/** The calls that one end of a session makes. Those of a client have odd ids, those of a server even ones. */
export class OutgoingCalls implements CallerPort {
  readonly outbox: Outbox;
  readonly codec: BodyCodec;
  readonly limits: Limits;
  readonly link: Link;
  readonly #session: Session;
  readonly #changed: () => void;
  readonly #count: (what: string) => void;
  readonly #calls = new CallTable<ClientCall>();
  readonly #numbers = new Map<string, number>();
  /** Numbers that some CALL names, which may still be waiting to leave; no other method may get them. */
  readonly #reserved = new Map<string, number>();
  #nextId: number;
  /** One-way calls that the peer has not said to be done with. */
  #unacknowledged = 0;

  /** `changed` is told whenever there may be room for another call. */
  constructor(session: Session, parity: "odd" | "even", count: (what: string) => void, changed: () => void) {
    this.#session = session;
    this.outbox = session.outbox;
    this.codec = session.codec;
    this.limits = session.limits;
    this.link = session.link;
    this.#count = count;
    this.#changed = changed;
    // The start is random; 0 would mean the session itself.
    const random = globalThis.crypto.getRandomValues(new Uint32Array(1))[0]! >>> 1;
    this.#nextId = parity === "odd" ? random * 2 + 1 : Math.max(random * 2, 2);
  }

  get peerLimits(): Limits {
    return this.#session.peerLimits;
  }

  get joining(): number {
    return this.#session.joining;
  }

  set joining(count: number) {
    this.#session.joining = count;
  }

  get size(): number {
    return this.#calls.size;
  }

  /** Whether the peer's credit allows another call. */
  get hasRoom(): boolean {
    return this.#calls.size + this.#unacknowledged < this.peerLimits.maxConcurrentCalls;
  }

  /** Starts a call; only while `hasRoom`. */
  begin(call: ClientCall): void {
    let id = this.#nextId;
    // After so many calls that the numbers begin anew, some of the first may still be open.
    while (id === 0 || this.#calls.get(id) !== undefined) id = (id + 2) >>> 0;
    this.#nextId = (id + 2) >>> 0;
    this.#calls.add(id, call);
    const { oneWay } = call.method;
    if (oneWay) this.#unacknowledged += 1;
    call.begin(this, id);
    if (oneWay && call.batchNumber === 0) this.#unacknowledged -= 1;
  }

  /** The peer is done with so many one-way calls. */
  acknowledged(count: number): void {
    this.#unacknowledged = Math.max(this.#unacknowledged - count, 0);
    this.#changed();
  }

  numberOf(path: string): number {
    return this.#numbers.get(path) ?? 0;
  }

  nextNumber(path: string): number {
    const reserved = this.#reserved.get(path);
    if (reserved !== undefined || this.#reserved.size >= maxMethodNumbers) return reserved ?? 0;
    const number = this.#reserved.size + 1;
    this.#reserved.set(path, number);
    return number;
  }

  introduced(path: string, number: number): void {
    this.#numbers.set(path, number);
  }

  finished(call: ClientCall): void {
    if (!this.#calls.delete(call.id)) return;
    // One-way calls are over when they have left; their room comes back with the peer's acknowledgement.
    if (!call.method.oneWay) this.#changed();
  }

  /** A record of the peer about one of these calls. */
  receive(batch: BatchReader): void {
    const call = this.#calls.get(batch.callId);
    if (call) call.receive(batch);
    else this.#count("late reply");
  }

  /** The peer says that no handler saw the call. */
  refused(batch: BatchReader): void {
    const call = this.#calls.get(batch.callId);
    if (!call) return this.#count("late reply");
    if (batch.aux === Status.OK) throw new WireError("a call was refused with the status OK");
    call.refused(toStatusCode(batch.aux), batch.metaLength > 0 ? batch.meta(EndHeader).message : "");
  }

  released(callId: number): void {
    this.#calls.get(callId)?.wakeSender();
  }

  /** There is room for what goes out again. */
  relieved(): void {
    for (const call of this.#calls.all()) call.wakeSender();
  }

  /** Ends all open calls, here and at the peer. */
  cancelAll(errorOf: (call: ClientCall) => RpcError): void {
    for (const call of this.#calls.all()) call.failHere(errorOf(call));
  }

  /** Takes all calls out, since the session is over; `lost` must be called for each. */
  takeAll(): readonly ClientCall[] {
    const calls = this.#calls.all().sort((left, right) => left.startedMs - right.startedMs);
    this.#calls.clear();
    return calls;
  }

  /** Tells calls that were taken out that their session is gone. */
  lose(calls: readonly ClientCall[], reason: string): void {
    const { outbox } = this;
    for (const call of calls)
      call.lost(reason, call.batchNumber > outbox.sentBatchNumber || outbox.backlog.holdsOpening(call.id));
  }
}
