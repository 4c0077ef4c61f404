import { CallHeads } from "./call-heads.ts";
import { CallTable } from "./call-table.ts";
import { counted } from "./lane.ts";
import type { Metadata } from "./metadata.ts";
import type { Guard, Verdict } from "./method-guard.ts";
import type { CallHead, Operation, OperationTable } from "./operation.ts";
import { Flag, RecordType, WireError } from "./records.ts";
import type { BatchReader } from "./records.ts";
import { tooManyOpen } from "./refusals.ts";
import { ReplyBlocks, statusMeta } from "./reply-blocks.ts";
import { ServerCall } from "./request-context.ts";
import type { CalleeOwner } from "./request-context.ts";
import { RpcError } from "./rpc-error.ts";
import type { SessionScope } from "./session-context.ts";
import type { Session } from "./session.ts";
import { Status } from "./status.ts";
import type { StatusCode } from "./status.ts";
import { isPromiseLike } from "./stream.ts";
import type { TimerWheel } from "./timer-wheel.ts";
import { UndecidedCall } from "./undecided-call.ts";
import type { UndecidedOwner } from "./undecided-call.ts";

/** A call that belongs to no session, or no longer. */
export interface LooseCall {
  readonly path: string;
  failHere(error: RpcError): void;
}

/** The end that calls come in at. */
export interface IncomingOwner {
  readonly table: OperationTable;
  readonly wheel: TimerWheel;
  /** Existing calls may finish, new ones are refused. */
  readonly draining: boolean;
  /** Streams that one session may have open at once. */
  readonly maxStreamsPerSession: number;
  readonly count: (what: string) => void;
  /** A call is over. */
  callOver(call: LooseCall): void;
  /** The caller of a one-way call is gone, and the call goes on. */
  outlives(call: LooseCall): void;
}

/** The calls that one end of a session answers. Those of a client have odd ids, those of a server even ones. */
export class IncomingCalls implements CalleeOwner, UndecidedOwner {
  readonly wheel: TimerWheel;
  /** Of the newest call that was let in. */
  lastCallId = 0;
  readonly #session: Session;
  readonly #scope: SessionScope;
  readonly #owner: IncomingOwner;
  readonly #parity: number;
  readonly #calls = new CallTable<ServerCall | UndecidedCall>();
  readonly #heads: CallHeads;
  /** Calls that were answered, and whose answer waits for the peer to read others. */
  readonly #leaving = new Set<number>();
  #streams = 0;
  #gone = false;
  /** One-way calls that are done and of which the caller has not heard. */
  #done = 0;
  #oneWay = 0;
  /** Bytes of calls that have not been let in yet. */
  #keptBytes = 0;

  constructor(session: Session, scope: SessionScope, parity: "odd" | "even", owner: IncomingOwner) {
    this.#session = session;
    this.#scope = scope;
    this.#parity = parity === "odd" ? 1 : 0;
    this.#owner = owner;
    this.#heads = new CallHeads(owner.table, session.limits.maxMetadataBytes);
    this.wheel = owner.wheel;
  }

  get size(): number {
    return this.#calls.size;
  }

  /** A CALL record. */
  call(batch: BatchReader): void {
    const id = batch.callId;
    if ((id & 1) !== this.#parity || id === 0)
      throw new WireError(`the calls of this peer have ${this.#parity === 1 ? "odd" : "even"} ids`);
    if (this.#calls.get(id) !== undefined || (this.#leaving.size > 0 && this.#leaving.has(id)))
      throw new WireError("the id of an open call was used again");
    const { operation, metadata } = this.#heads.read(batch);
    if (operation instanceof RpcError) return this.#reject(batch, operation);
    if (this.#owner.draining) return this.#refuse(batch, operation);
    if (operation.guard) return this.#ask(operation.guard, batch, this.#headOf(batch, operation, metadata));
    const refusal = operation.refusal?.(batch.flags) ?? this.#refusal(operation) ?? this.#owner.table.admit(operation);
    if (refusal) return this.#reject(batch, refusal, operation);
    this.#begin(batch, this.#headOf(batch, operation, metadata));
  }

  /** Any other record of the peer about one of these calls. */
  receive(batch: BatchReader): void {
    const call = this.#calls.get(batch.callId);
    call?.receive(batch);
    if (batch.type === RecordType.CANCEL) {
      this.#session.outbox.forget(batch.callId, true);
      this.#leaving.delete(batch.callId);
    }
    if (!call) this.#owner.count("record of an ended call");
  }

  finished(call: ServerCall): void {
    if (!this.#calls.delete(call.id)) return;
    const { outbox } = this.#session;
    if (outbox.isHolding && !this.#gone && outbox.backlog.has(call.id)) this.#leaving.add(call.id);
    this.#uncount(call);
    this.#owner.table.released(call);
    this.#owner.callOver(call);
  }

  decided(call: UndecidedCall, verdict: Verdict): void {
    const refusal = verdict instanceof RpcError ? verdict : this.#notAdmitted(call);
    if (refusal) return this.undecided(call, refusal);
    this.#keptBytes -= call.keptBytes;
    this.#calls.delete(call.id);
    const begun = new ServerCall(this, this.#session, call.id, { ...call.head, peer: call.peer });
    this.#calls.add(call.id, begun);
    if (this.#gone) this.#owner.outlives(begun);
    this.#owner.callOver(call);
    this.#session.handle(() => call.replay(begun, (record) => this.receive(record)));
  }

  undecided(call: UndecidedCall, error: RpcError | undefined): void {
    if (!this.#calls.delete(call.id)) return;
    this.#keptBytes -= call.keptBytes;
    this.#uncount(call);
    if (error) this.#turnAway(call, error);
    this.#owner.callOver(call);
  }

  expired(call: UndecidedCall): void {
    // Its caller has a deadline of its own and knows more about it.
    call.abort(new RpcError(Status.DEADLINE_EXCEEDED, `the deadline of ${call.path} passed before it was let in`));
  }

  keeps(bytes: number): boolean {
    if (this.#keptBytes > 0 && this.#keptBytes + bytes > this.#session.limits.maxHeldBytes) return false;
    this.#keptBytes += bytes;
    return true;
  }

  enter(call: ServerCall): void {
    this.#owner.table.enter(call);
  }

  released(callId: number): void {
    this.#leaving.delete(callId);
    this.#calls.get(callId)?.wakeSender();
  }

  /** There is room for what goes out again. */
  relieved(): void {
    for (const call of this.#calls.all()) call.wakeSender();
    this.#owner.table.relieved();
  }

  /** Ends every open call with a status; used when the host does not wait for them. */
  failAll(errorOf: (path: string) => RpcError): void {
    for (const call of this.#calls.all()) call.failHere(errorOf(call.path));
  }

  /** Nobody is there any more to answer to. A one-way call that has come as a whole needs nobody. */
  abortAll(reason: string): void {
    this.#gone = true;
    for (const call of this.#calls.all()) {
      if (call.needsNobody) this.#owner.outlives(call);
      else call.abort(new RpcError(Status.CANCELLED, `the caller is gone: ${reason}`));
    }
  }

  #headOf(batch: BatchReader, operation: Operation, metadata: Metadata | undefined): CallHead {
    const { peer } = this.#scope;
    const deadlineMs = batch.aux === 0 ? Infinity : this.#session.heardMs + batch.aux;
    const oneWay = (batch.flags & Flag.ONEWAY) !== 0;
    return { operation, session: this.#scope, peer, metadata, deadlineMs, oneWay };
  }

  #begin(batch: BatchReader, head: CallHead): void {
    const call = new ServerCall(this, this.#session, batch.callId, head);
    this.#add(call);
    call.open(batch);
  }

  /** Begins the call if it may, now or when that is known. */
  #ask(guard: Guard, batch: BatchReader, head: CallHead): void {
    const { operation } = head;
    const full = this.#refusal(operation);
    if (full) return this.#reject(batch, full, operation);
    const call = new UndecidedCall(this, this.#session, batch.callId, batch.flags, head);
    const verdict = guard.decide(call);
    // Whoever was asked may have closed the host meanwhile.
    if (this.#gone) return call.abort(new RpcError(Status.CANCELLED, "the caller is gone"));
    if (isPromiseLike(verdict)) {
      this.#add(call);
      call.receive(batch);
      return call.wait(verdict);
    }
    if (this.#owner.draining) return this.#refuse(batch, operation);
    const refusal = verdict instanceof RpcError ? verdict : this.#notAdmitted(call);
    if (!refusal) return this.#begin(batch, call.peer === head.peer ? head : { ...head, peer: call.peer });
    this.#turnAway(call, refusal);
    if (head.oneWay) this.#oneWayDone();
  }

  #notAdmitted({ flags, head: { operation } }: UndecidedCall): RpcError | undefined {
    const refusal = operation.refusal?.(flags) ?? this.#owner.table.admit(operation);
    if (!refusal) return undefined;
    this.#owner.count("refused call");
    return new RpcError(refusal.code, `${operation.path}: ${refusal.message}`);
  }

  /** Answers a call that was not let in. */
  #turnAway({ id, path, head }: UndecidedCall, error: RpcError): void {
    if (head.oneWay) return head.operation.guard?.dropped(path, error);
    if (this.#gone) return;
    const blocks = new ReplyBlocks(path, this.#session.peerLimits.maxMetadataBytes);
    const [metaType, meta] = blocks.endMeta(error) ?? [];
    this.#session.outbox.write({ ...control(RecordType.END, Flag.END, id, error.code), metaType, meta });
  }

  #add(call: ServerCall | UndecidedCall): void {
    this.lastCallId = call.id;
    this.#calls.add(call.id, call);
    const { clientStreams, serverStreams } = call.operation;
    if (clientStreams || serverStreams) this.#streams += 1;
    if (call.oneWay) this.#oneWay += 1;
  }

  #uncount({ operation, oneWay }: ServerCall | UndecidedCall): void {
    if (operation.serverStreams || operation.clientStreams) this.#streams -= 1;
    if (!oneWay) return;
    this.#oneWay -= 1;
    if (!this.#gone) this.#oneWayDone();
  }

  #refusal({ clientStreams, serverStreams }: Operation): RpcError | undefined {
    const { limits } = this.#session;
    const open = this.#calls.size + this.#leaving.size;
    if (open >= limits.maxConcurrentCalls) return tooManyOpen(counted(open, "call"), "limit maxConcurrentCalls");
    if (!clientStreams && !serverStreams) return undefined;
    if (this.#streams < this.#owner.maxStreamsPerSession) return undefined;
    return tooManyOpen(counted(this.#streams, "stream"), "option maxStreamsPerSession");
  }

  /** Answers a call that does not come to be. */
  #reject(batch: BatchReader, error: RpcError, operation?: Operation): void {
    this.#owner.count("refused call");
    if ((batch.flags & Flag.ONEWAY) === 0) {
      const text = operation ? `${operation.path}: ${error.message}` : error.message;
      return this.#writeStatus(RecordType.END, batch.callId, error.code, text);
    }
    if (operation) this.#owner.table.dropped(operation.path, error);
    this.#oneWayDone();
  }

  /** Tells the caller that it may try elsewhere. */
  #refuse(batch: BatchReader, { path }: Operation): void {
    const text = "the server is going away";
    if ((batch.flags & Flag.ONEWAY) === 0)
      return this.#writeStatus(RecordType.REFUSE, batch.callId, Status.UNAVAILABLE, text);
    this.#owner.table.dropped(path, new RpcError(Status.UNAVAILABLE, text));
    this.#oneWayDone();
  }

  /** Gives the credit of one-way calls back, many at once while more of them are under way. */
  #oneWayDone(): void {
    this.#done += 1;
    if (this.#oneWay > 0 && this.#done * 2 < this.#session.limits.maxConcurrentCalls) return;
    this.#session.outbox.write(control(RecordType.ACK, 0, 0, this.#done));
    this.#done = 0;
  }

  #writeStatus(type: number, callId: number, code: StatusCode, message: string): void {
    const [metaType, meta] = statusMeta(message);
    this.#session.outbox.write({ ...control(type, Flag.END, callId, code), metaType, meta });
  }
}

function control(type: number, flags: number, callId: number, aux: number) {
  return { type, flags, callId, aux, metaType: undefined, meta: undefined, bodyType: undefined, body: undefined };
}
