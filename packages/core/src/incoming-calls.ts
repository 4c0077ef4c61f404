import { CallTable } from "./call-table.ts";
import { CallHeader } from "./gen/zerobind/v1/wire.pb.ts";
import { counted } from "./lane.ts";
import { metadataFromEntries } from "./metadata.ts";
import type { Metadata } from "./metadata.ts";
import type { Operation, OperationTable } from "./operation.ts";
import { Flag, RecordType, WireError } from "./records.ts";
import type { BatchReader } from "./records.ts";
import { quoted, tooManyOpen, tooMuchMetadata, unimplemented } from "./refusals.ts";
import { statusMeta } from "./reply-blocks.ts";
import { ServerCall } from "./request-context.ts";
import type { CalleeOwner } from "./request-context.ts";
import { RpcError } from "./rpc-error.ts";
import type { SessionScope } from "./session-context.ts";
import type { Session } from "./session.ts";
import { Status } from "./status.ts";
import type { StatusCode } from "./status.ts";
import type { TimerWheel } from "./timer-wheel.ts";

/** Longest name of a method, and highest number that a peer may give to one. */
const maxPathLength = 1024;
const maxMethodNumber = 4096;

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
  callOver(call: ServerCall): void;
  /** The caller of a one-way call is gone, and the call goes on. */
  outlives(call: ServerCall): void;
}

/** The calls that one end of a session answers. Those of a client have odd ids, those of a server even ones. */
export class IncomingCalls implements CalleeOwner {
  readonly wheel: TimerWheel;
  /** Of the newest call that was let in. */
  lastCallId = 0;
  readonly #session: Session;
  readonly #scope: SessionScope;
  readonly #owner: IncomingOwner;
  readonly #parity: number;
  readonly #calls = new CallTable<ServerCall>();
  /** By the caller's number: the method, or the name under which there is none. */
  readonly #methods: (Operation | string | undefined)[] = [];
  /** Calls that were answered, and whose answer waits for the peer to read others. */
  readonly #leaving = new Set<number>();
  #streams = 0;
  #gone = false;
  /** One-way calls that are done and of which the caller has not heard. */
  #done = 0;
  #oneWay = 0;

  constructor(session: Session, scope: SessionScope, parity: "odd" | "even", owner: IncomingOwner) {
    this.#session = session;
    this.#scope = scope;
    this.#parity = parity === "odd" ? 1 : 0;
    this.#owner = owner;
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
    const { operation, metadata } = this.#head(batch);
    if (operation instanceof RpcError) return this.#reject(batch, operation);
    if (this.#owner.draining) return this.#refuse(batch, operation);
    const refusal = operation.refusal?.(batch.flags) ?? this.#refusal(operation) ?? this.#owner.table.admit(operation);
    if (refusal) return this.#reject(batch, refusal, operation);
    this.lastCallId = id;
    const { peer } = this.#scope;
    const deadlineMs = batch.aux === 0 ? Infinity : this.#session.heardMs + batch.aux;
    const oneWay = (batch.flags & Flag.ONEWAY) !== 0;
    const head = { operation, session: this.#scope, peer, metadata, deadlineMs, oneWay };
    const call = new ServerCall(this, this.#session, id, head);
    this.#calls.add(id, call);
    if (operation.serverStreams || operation.clientStreams) this.#streams += 1;
    if (oneWay) this.#oneWay += 1;
    call.open(batch);
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
    const { operation } = call;
    if (operation.serverStreams || operation.clientStreams) this.#streams -= 1;
    if (call.oneWay) {
      this.#oneWay -= 1;
      if (!this.#gone) this.#oneWayDone();
    }
    this.#owner.table.released(call);
    this.#owner.callOver(call);
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
      const { clientStreams, serverStreams } = call.operation;
      const needsNobody = call.oneWay && !clientStreams && !serverStreams && call.stage !== "arriving";
      if (needsNobody) this.#owner.outlives(call);
      else call.abort(new RpcError(Status.CANCELLED, `the caller is gone: ${reason}`));
    }
  }

  #refusal({ clientStreams, serverStreams }: Operation): RpcError | undefined {
    const { limits } = this.#session;
    const open = this.#calls.size + this.#leaving.size;
    if (open >= limits.maxConcurrentCalls) return tooManyOpen(counted(open, "call"), "limit maxConcurrentCalls");
    if (!clientStreams && !serverStreams) return undefined;
    if (this.#streams < this.#owner.maxStreamsPerSession) return undefined;
    return tooManyOpen(counted(this.#streams, "stream"), "option maxStreamsPerSession");
  }

  /** Method and metadata of a CALL; most are two bytes of meta that name a known method. */
  #head(batch: BatchReader): { operation: Operation | RpcError; metadata?: Metadata } {
    if (batch.metaLength === 2 && batch.metaByte(0) === 8 && batch.metaByte(1) < 0x80) {
      return { operation: this.#byNumber(batch.metaByte(1)) };
    }
    // An entry has a few bytes around its key and value; anything far beyond the limit is not even decoded.
    const limit = this.#session.limits.maxMetadataBytes;
    if (batch.metaLength > 8 * limit + 2 * maxPathLength)
      return { operation: tooMuchMetadata(batch.metaLength, limit) };
    const header = batch.meta(CallHeader);
    const operation =
      header.path === "" ? this.#byNumber(header.methodNumber) : this.#byPath(header.path, header.methodNumber);
    if (header.metadata.length === 0) return { operation };
    let metadata: Metadata;
    try {
      metadata = metadataFromEntries(header.metadata);
    } catch (cause) {
      throw new WireError(`the metadata of a call is not valid: ${(cause as Error).message}`, { cause });
    }
    return metadata.byteLength > limit
      ? { operation: tooMuchMetadata(metadata.byteLength, limit) }
      : { operation, metadata };
  }

  #byNumber(number: number): Operation | RpcError {
    const found = this.#methods[number];
    if (found === undefined) throw new WireError(`method number ${number} was not introduced`);
    return typeof found === "string" ? unimplemented(found) : found;
  }

  #byPath(path: string, number: number): Operation | RpcError {
    const operation = path.length > maxPathLength ? undefined : this.#owner.table.resolve(path);
    if (number > maxMethodNumber) throw new WireError(`method number ${number} is above ${maxMethodNumber}`);
    if (number > 0) this.#methods[number] = operation ?? quoted(path).slice(1, -1);
    return operation ?? unimplemented(path);
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
