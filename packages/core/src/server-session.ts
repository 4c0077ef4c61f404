import { CallHeader, GoAway, Hello, Ready, Welcome } from "./gen/zerobind/v1/wire.pb.ts";
import type { Metadata } from "./metadata.ts";
import { metadataFromEntries } from "./metadata.ts";
import { BatchWriter, Flag, RecordType, RefuseReason, WireError, recordHeaderBytes, wireVersion } from "./records.ts";
import type { BatchReader } from "./records.ts";
import { quoted, tooManyCalls, tooMuchHeld, tooMuchMetadata, unimplemented } from "./refusals.ts";
import { statusMeta } from "./reply-blocks.ts";
import { ServerCall } from "./request-context.ts";
import type { CalleeOwner, Operation } from "./request-context.ts";
import { RpcError } from "./rpc-error.ts";
import { Session } from "./session.ts";
import type { SessionSettings } from "./session.ts";
import { Status } from "./status.ts";
import type { StatusCode } from "./status.ts";
import { now } from "./timer-wheel.ts";
import type { TimerWheel } from "./timer-wheel.ts";
import type { Link } from "./transport.ts";

/** Longest name of a method, and highest number that a peer may give to one. */
const maxPathLength = 1024;
const maxMethodNumber = 4096;

/** The serving end that a session belongs to. */
export interface ServerSessionOwner {
  readonly wheel: TimerWheel;
  /** 8 random bytes of this process's opening. */
  readonly epoch: Uint8Array;
  readonly info: string;
  /** Existing calls may finish, new ones are refused. */
  readonly draining: boolean;
  /** The method of that name, if it is served. */
  resolve(path: string): Operation | undefined;
  /** Whether one more call may run; counts it if so. An error is its answer. */
  admit(operation: Operation): RpcError | undefined;
  /** A call that was admitted is over. */
  released(operation: Operation): void;
  /** Something that waited in an outbox has left. */
  outboxMoved(): void;
  over(session: ServerSession, reason: string): void;
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

/** The serving end of a session: answers HELLO, then takes calls. */
export class ServerSession extends Session implements CalleeOwner {
  readonly #owner: ServerSessionOwner;
  readonly #calls = new Map<number, ServerCall>();
  /** By the caller's number: the method, or the name under which there is none. */
  #methods: (Operation | string | undefined)[] = [];
  #lastCallId = 0;
  /** Calls that were answered, and whose answer waits for the peer to read others. */
  readonly #leaving = new Set<number>();
  #helloBatch: BatchReader | undefined;

  constructor(link: Link, settings: SessionSettings, owner: ServerSessionOwner) {
    super(link, settings);
    this.#owner = owner;
  }

  get wheel(): TimerWheel {
    return this.#owner.wheel;
  }

  get openCalls(): number {
    return this.#calls.size;
  }

  /** Asks the peer to take its new calls elsewhere. */
  goAway(reason: string): void {
    if (this.outbox.tag === 0) return;
    this.writeControl(RecordType.GOAWAY, 0, this.#lastCallId, [GoAway, { reason, alternatives: [] }]);
    this.outbox.flush();
  }

  /** Ends every open call with a status; used when the host does not wait for them. */
  failAll(error: RpcError): void {
    for (const call of [...this.#calls.values()]) call.failHere(error);
    this.outbox.flush();
  }

  finished(call: ServerCall): void {
    if (this.#calls.get(call.id) !== call) return;
    this.#calls.delete(call.id);
    if (this.outbox.isHolding && this.outbox.holds(call.id)) this.#leaving.add(call.id);
    this.#owner.released(call.operation);
  }

  released(callId: number): void {
    this.#leaving.delete(callId);
    this.#calls.get(callId)?.wakeSender();
    this.#owner.outboxMoved();
  }

  relieved(): void {
    for (const call of this.#calls.values()) call.wakeSender();
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
    if (this.outbox.tag === 0) throw new WireError("the first record must be HELLO");
    switch (batch.type) {
      case RecordType.CALL:
        return this.#call(batch);
      case RecordType.DATA:
      case RecordType.CREDIT:
      case RecordType.CANCEL: {
        const call = this.#calls.get(batch.callId);
        call?.receive(batch);
        if (batch.type === RecordType.CANCEL) {
          this.outbox.forget(batch.callId, true);
          this.#leaving.delete(batch.callId);
        }
        if (call) return;
        return this.settings.count("record of an ended call");
      }
      default:
        throw new WireError(`a client does not send records of type ${batch.type}`);
    }
  }

  protected onOver(reason: string): void {
    this.#abortAll(reason);
    this.#owner.over(this, reason);
  }

  #abortAll(reason: string): void {
    const calls = [...this.#calls.values()];
    for (const call of calls) call.abort(new RpcError(Status.CANCELLED, `the caller is gone: ${reason}`));
  }

  #hello(batch: BatchReader): void {
    const hello = batch.meta(Hello);
    if (this.outbox.tag !== 0) this.#beginAnew(batch);
    this.#helloBatch = batch;
    this.#methods = [];
    if (hello.minVersion > wireVersion || hello.maxVersion < wireVersion) {
      return this.refuse(RefuseReason.VERSION, "it has no version of the protocol in common");
    }
    const mismatch = this.#mismatch(hello);
    if (mismatch) return this.refuse(RefuseReason.MISMATCH, mismatch);
    if (this.#owner.draining) return this.refuse(RefuseReason.DRAINING, "the server is going away");
    this.learnLimits(hello.limits, 0);
    this.outbox.tag = (globalThis.crypto.getRandomValues(new Uint32Array(1))[0]! | 1) >>> 0;
    const { epoch, info } = this.#owner;
    const { maxConcurrentCalls } = this.limits;
    const welcome: Welcome = {
      version: wireVersion,
      epoch,
      limits: this.limits,
      features: [],
      serverInfo: info,
      maxConcurrentCalls,
    };
    this.writeControl(RecordType.WELCOME, 0, 0, [Welcome, welcome]);
  }

  /** What was not sent to the former life of the peer would be misread by the new one. */
  #beginAnew(batch: BatchReader): void {
    if (batch === this.#helloBatch) throw new WireError("there was more than one HELLO in a batch");
    this.#abortAll("it has said HELLO again");
    this.outbox.reset();
    this.#leaving.clear();
  }

  #mismatch(hello: Hello): string | undefined {
    const { encoding, elements } = this.settings;
    if ((hello.encoding || "protobuf") !== encoding)
      return `the server encodes messages as ${encoding}, the client as ${quoted(hello.encoding)}`;
    const [here, there] = [elements.join(", "), hello.elements.join(", ")];
    if (here === there) return undefined;
    return `the message elements of the bindings differ: server [${here}], client [${quoted(there).slice(1, -1)}]`;
  }

  #call(batch: BatchReader): void {
    const id = batch.callId;
    if ((id & 1) === 0) throw new WireError("calls of a client have odd ids");
    if (this.#calls.has(id) || (this.#leaving.size > 0 && this.#leaving.has(id)))
      throw new WireError("the id of an open call was used again");
    const { operation, metadata } = this.#head(batch);
    if (operation instanceof RpcError) return this.#reject(batch, operation);
    if (this.#owner.draining) return this.#refuseCall(batch, Status.UNAVAILABLE, "the server is going away");
    const refusal = this.#tooMuch() ?? this.#owner.admit(operation);
    if (refusal) return this.#reject(batch, refusal);
    this.#lastCallId = id;
    const deadlineMs = batch.aux === 0 ? Infinity : now() + batch.aux;
    const call = new ServerCall(this, this, id, {
      operation,
      peer: { address: this.link.remoteAddress },
      metadata,
      deadlineMs,
    });
    this.#calls.set(id, call);
    this.watchPeer();
    call.open(batch);
  }

  /** Why the session may not have another call now. */
  #tooMuch(): RpcError | undefined {
    const open = this.#calls.size + this.#leaving.size;
    if (open >= this.limits.maxConcurrentCalls) return tooManyCalls(open);
    return this.outbox.isFull ? tooMuchHeld(this.limits.maxHeldBytes) : undefined;
  }

  /** Method and metadata of a CALL; most are two bytes of meta that name a known method. */
  #head(batch: BatchReader): { operation: Operation | RpcError; metadata?: Metadata } {
    if (batch.metaLength === 2 && batch.metaByte(0) === 8 && batch.metaByte(1) < 0x80) {
      return { operation: this.#byNumber(batch.metaByte(1)) };
    }
    // An entry has a few bytes around its key and value; anything far beyond the limit is not even decoded.
    const limit = this.limits.maxMetadataBytes;
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
    if (path.length > maxPathLength) return unimplemented(path);
    const operation = this.#owner.resolve(path);
    if (number > maxMethodNumber) throw new WireError(`method number ${number} is above ${maxMethodNumber}`);
    if (number > 0) this.#methods[number] = operation ?? quoted(path).slice(1, -1);
    return operation ?? unimplemented(path);
  }

  /** Answers a call that does not come to be. */
  #reject(batch: BatchReader, error: RpcError): void {
    this.settings.count("refused call");
    if ((batch.flags & Flag.ONEWAY) === 0) this.#writeStatus(RecordType.END, batch.callId, error.code, error.message);
  }

  #refuseCall(batch: BatchReader, code: StatusCode, message: string): void {
    if ((batch.flags & Flag.ONEWAY) === 0) this.#writeStatus(RecordType.REFUSE, batch.callId, code, message);
  }

  #writeStatus(type: number, callId: number, code: StatusCode, message: string): void {
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
}
