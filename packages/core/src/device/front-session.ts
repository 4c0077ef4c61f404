import { CallTable } from "../call-table.ts";
import type { MetadataEntry } from "../gen/zerobind/v1/wire.pb.ts";
import { CallHeader, Refusal } from "../gen/zerobind/v1/wire.pb.ts";
import { counted } from "../lane.ts";
import { metadataFromEntries } from "../metadata.ts";
import { FullError, TooLargeError } from "../outgoing.ts";
import { Flag, RecordType, WireError } from "../records.ts";
import type { BatchReader } from "../records.ts";
import { quoted, tooManyOpen, tooMuchMetadata, unimplemented } from "../refusals.ts";
import { statusMeta } from "../reply-blocks.ts";
import { RpcError } from "../rpc-error.ts";
import { ServingSession } from "../serving-session.ts";
import type { GreetingOwner } from "../serving-session.ts";
import type { SessionSettings } from "../session.ts";
import { Status } from "../status.ts";
import type { StatusCode } from "../status.ts";
import type { Link } from "../transport.ts";
import type { CallSwitch } from "./call-switch.ts";
import { creditMeta, grantOf } from "./flow.ts";
import type { Window } from "./flow.ts";
import type { CallOpening, DeviceMethod } from "./forwarded-call.ts";
import { dropParts, messageOf, unfinished } from "./gathering.ts";
import { NativeCall } from "./native-call.ts";
import type { CallClient } from "./native-call.ts";
import { recordOf } from "./passing.ts";
import type { Piece } from "./passing.ts";

/** The end in front that a session belongs to. */
export interface FrontSessionOwner extends GreetingOwner {
  readonly hub: CallSwitch;
  /** Something that waited in an outbox has left. */
  moved(): void;
  /** It has ended. `admitted`: it had been counted. */
  over(session: FrontSession, admitted: boolean): void;
}

/** Longest name of a method, and highest number that a peer may give to one. */
const maxPathLength = 1024;
const maxMethodNumber = 4096;
/** What of the flags of a CALL goes on. */
const noMetadata: readonly MetadataEntry[] = [];
const callFlags = Flag.END | Flag.MESSAGE | Flag.IDEMPOTENT | Flag.ONEWAY;

/** A method by its path; undefined for what cannot be one. */
export function methodOf(path: string): DeviceMethod | undefined {
  const slash = path.lastIndexOf("/");
  return slash > 0 && path.length <= maxPathLength ? { path, service: path.slice(0, slash) } : undefined;
}

/** The session of a device with a client, whose server it is. */
export class FrontSession extends ServingSession implements CallClient {
  lastCallId = 0;
  readonly #owner: FrontSessionOwner;
  #calls = new CallTable<NativeCall>();
  /** By the client's number: the method, or the name that cannot be one. */
  #methods: (DeviceMethod | string | undefined)[] = [];
  /** Calls that were answered, and whose answer waits for the peer to read others. */
  readonly #leaving = new Set<number>();
  #gone = false;
  /** One-way calls that have not been sent on, and those that have and of which the client has not heard. */
  #oneWay = 0;
  #done = 0;

  constructor(link: Link, settings: SessionSettings, owner: FrontSessionOwner) {
    super(link, settings, owner);
    this.#owner = owner;
  }

  get openCalls(): number {
    return this.#calls.size;
  }

  write(call: NativeCall, piece: Piece): boolean {
    try {
      this.outbox.write(recordOf(piece, call.id));
      return true;
    } catch (error) {
      if (!(error instanceof TooLargeError) && !(error instanceof FullError)) throw error;
      const text =
        error instanceof TooLargeError
          ? `the reply has ${error.byteLength} bytes encoded, more than the ${this.peerLimits.maxMessageBytes} that its caller accepts (limit maxMessageBytes of the caller's channel)`
          : `${error.message} already, which reads too slowly; 8 times the device's limit maxHeldBytes may wait`;
      call.fail(new RpcError(Status.RESOURCE_EXHAUSTED, `${call.method.path}: ${text}`));
      return false;
    }
  }

  grant(callId: number, granted: Window): void {
    const meta = creditMeta(granted);
    this.outbox.write(
      recordOf({ type: RecordType.CREDIT, flags: 0, aux: granted.bytes, meta, body: undefined }, callId),
    );
  }

  writeStatus(type: number, callId: number, code: StatusCode, message: string): void {
    const [metaType, meta] = statusMeta(message);
    this.outbox.write({
      type,
      flags: Flag.END,
      callId,
      aux: code,
      metaType,
      meta,
      bodyType: undefined,
      body: undefined,
    });
  }

  finished(call: NativeCall): void {
    dropParts(this, call);
    // A call of a former life of the peer may outlast it, and its id may be another's now.
    if (this.#calls.get(call.id) !== call) return;
    this.#calls.delete(call.id);
    const { outbox } = this;
    if (outbox.isHolding && !this.#gone && outbox.backlog.has(call.id)) this.#leaving.add(call.id);
    if (call.oneWay) {
      this.#oneWay -= 1;
      this.#oneWayDone();
    }
    this.#owner.moved();
  }

  /** Ends every call that is left with a status. */
  failAll(errorOf: (path: string) => RpcError): void {
    for (const call of this.#calls.all()) call.fail(errorOf(call.method.path));
    this.outbox.flush();
  }

  released(callId: number): void {
    this.#leaving.delete(callId);
    this.#owner.moved();
  }

  relieved(): void {
    this.#owner.hub.relieved();
  }

  protected onRecord(batch: BatchReader): void {
    if (batch.type === RecordType.HELLO) return this.hello(batch);
    if (batch.tag === 0) throw new WireError("the first record must be HELLO");
    switch (batch.type) {
      case RecordType.CALL:
        this.watchPeer();
        return this.#call(batch);
      case RecordType.DATA:
        return this.#data(batch);
      case RecordType.CREDIT: {
        const granted = grantOf(batch);
        const call = this.#calls.get(batch.callId);
        return call ? call.grantReplies(granted) : this.settings.count("record of an ended call");
      }
      case RecordType.CANCEL:
        return this.#cancel(batch);
      case RecordType.REFUSE:
        if (batch.callId === 0)
          return this.hangUp(`the client refused the session: ${quoted(batch.meta(Refusal).message)}`);
    }
    throw new WireError(`a client does not send records of type ${batch.type} unless it is called back`);
  }

  protected onOver(): void {
    this.#gone = true;
    this.#abandon();
    this.#owner.over(this, this.admitted);
  }

  protected onNewLife(): void {
    this.#gone = true;
    this.#abandon();
    this.#gone = false;
    this.#calls = new CallTable();
    this.#methods = [];
    this.#leaving.clear();
    this.#oneWay = this.#done = this.lastCallId = 0;
  }

  /** Nobody is there any more to answer to. A one-way call that has come as a whole needs nobody. */
  #abandon(): void {
    for (const call of this.#calls.all())
      if (!call.oneWay || !call.isWhole || call.stage === "arriving") call.cancel(Status.CANCELLED);
  }

  #call(batch: BatchReader): void {
    const id = batch.callId;
    if ((id & 1) === 0) throw new WireError("the calls of this peer have odd ids");
    if (this.#calls.get(id) !== undefined || (this.#leaving.size > 0 && this.#leaving.has(id)))
      throw new WireError("the id of an open call was used again");
    const opening = this.#opening(batch);
    if (opening instanceof RpcError) return this.#reject(batch, opening);
    if (this.#owner.draining) return this.#refuse(batch, opening.method);
    const open = this.#calls.size + this.#leaving.size;
    if (open >= this.limits.maxConcurrentCalls)
      return this.#reject(batch, tooManyOpen(counted(open, "call"), "limit maxConcurrentCalls"));
    this.lastCallId = id;
    const call = new NativeCall(this.#owner.hub, this, id, opening);
    this.#calls.add(id, call);
    if (call.oneWay) this.#oneWay += 1;
    this.#payload(batch, call);
  }

  #data(batch: BatchReader): void {
    const call = this.#calls.get(batch.callId);
    if (!call) return this.settings.count("record of an ended call");
    if (call.isHalfClosed)
      return call.fail(new RpcError(Status.INTERNAL, `the caller of ${call.method.path} said more after its end`));
    this.#payload(batch, call);
  }

  /** A message, or the end, of a request. */
  #payload(batch: BatchReader, call: NativeCall): void {
    const body = messageOf(this, call, batch);
    if (body instanceof RpcError) return call.fail(body);
    if (body === unfinished) return batch.type === RecordType.CALL ? call.arriving() : undefined;
    const flags = batch.flags & (Flag.END | Flag.MESSAGE);
    if ((flags & Flag.END) !== 0) call.isHalfClosed = true;
    if (call.stage === "arriving") {
      call.opening.flags |= flags;
      call.opening.body = body;
      call.dispatch();
    } else if (flags !== 0) call.request({ type: RecordType.DATA, flags, aux: 0, meta: undefined, body });
  }

  #cancel({ callId, aux }: BatchReader): void {
    const call = this.#calls.get(callId);
    call?.cancel(aux === Status.DEADLINE_EXCEEDED ? aux : Status.CANCELLED);
    this.outbox.forget(callId, true);
    this.#leaving.delete(callId);
    if (!call) this.settings.count("record of an ended call");
  }

  /** What a CALL says; most are two bytes of meta that name a known method. */
  #opening(batch: BatchReader): CallOpening | RpcError {
    const flags = batch.flags & callFlags & ((batch.flags & Flag.MORE) === 0 ? ~0 : ~Flag.END);
    const deadlineMs = batch.aux === 0 ? Infinity : this.heardMs + batch.aux;
    if (batch.metaLength === 2 && batch.metaByte(0) === 8 && batch.metaByte(1) < 0x80) {
      const method = this.#byNumber(batch.metaByte(1));
      if (method instanceof RpcError) return method;
      return { deadlineMs, flags, body: undefined, method, metadata: noMetadata, metadataBytes: 0 };
    }
    const limit = this.limits.maxMetadataBytes;
    if (batch.metaLength > 8 * limit + 2 * maxPathLength) return tooMuchMetadata(batch.metaLength, limit);
    const header = batch.meta(CallHeader);
    const { path, methodNumber, metadata } = header;
    const method = path === "" ? this.#byNumber(methodNumber) : this.#byPath(path, methodNumber);
    if (method instanceof RpcError) return method;
    let metadataBytes = 0;
    try {
      if (metadata.length > 0) metadataBytes = metadataFromEntries(metadata).byteLength;
    } catch (cause) {
      throw new WireError(`the metadata of a call is not valid: ${(cause as Error).message}`, { cause });
    }
    if (metadataBytes > limit) return tooMuchMetadata(metadataBytes, limit);
    return { deadlineMs, flags, body: undefined, method, metadata, metadataBytes };
  }

  #byNumber(number: number): DeviceMethod | RpcError {
    const found = this.#methods[number];
    if (found === undefined) throw new WireError(`method number ${number} was not introduced`);
    return typeof found === "string" ? unimplemented(found) : found;
  }

  #byPath(path: string, number: number): DeviceMethod | RpcError {
    const method = methodOf(path);
    if (number > maxMethodNumber) throw new WireError(`method number ${number} is above ${maxMethodNumber}`);
    if (number > 0) this.#methods[number] = method ?? quoted(path).slice(1, -1);
    return method ?? unimplemented(path);
  }

  /** Answers a call that does not come to be. */
  #reject({ flags, callId }: BatchReader, { code, message }: RpcError): void {
    this.settings.count("refused call");
    if ((flags & Flag.ONEWAY) === 0) return this.writeStatus(RecordType.END, callId, code, message);
    this.#owner.hub.dropped(`a one-way call was dropped: ${message}`);
    this.#oneWayDone();
  }

  /** Tells the client that it may try elsewhere. */
  #refuse({ flags, callId }: BatchReader, { path }: DeviceMethod): void {
    const text = "the device is going away";
    if ((flags & Flag.ONEWAY) === 0) return this.writeStatus(RecordType.REFUSE, callId, Status.UNAVAILABLE, text);
    this.#owner.hub.dropped(`a one-way call of ${path} was dropped: ${text}`);
    this.#oneWayDone();
  }

  /** Gives the credit of one-way calls back, many at once while more of them wait. */
  #oneWayDone(): void {
    this.#done += 1;
    if (this.#gone || (this.#oneWay > 0 && this.#done * 2 < this.limits.maxConcurrentCalls)) return;
    this.writeControl(RecordType.ACK, 0, this.#done);
    this.#done = 0;
  }
}
