import { CallHalf } from "./call-half.ts";
import type { CallPort } from "./call-half.ts";
import type { CallOptions } from "./call-options.ts";
import { callMeta, metadataProblem } from "./client-method.ts";
import type { ClientMethod } from "./client-method.ts";
import type { AnyMessageType } from "./contract.ts";
import { DataHeader, EndHeader } from "./gen/zerobind/v1/wire.pb.ts";
import type { Limits } from "./limits.ts";
import type { Metadata } from "./metadata.ts";
import { Flag, RecordType } from "./records.ts";
import type { BatchReader } from "./records.ts";
import { RpcError } from "./rpc-error.ts";
import { unwatchSignal, watchSignal } from "./signal-watch.ts";
import { Status, toStatusCode } from "./status.ts";
import type { StatusCode } from "./status.ts";
import { pump } from "./stream.ts";
import type { Inbound } from "./stream.ts";
import { now } from "./timer-wheel.ts";
import type { TimerWheel } from "./timer-wheel.ts";

/** The session as a call of its caller sees it. */
export interface CallerPort extends CallPort {
  /** Number of a method that the peer has heard of; 0 if it has not. */
  numberOf(path: string): number;
  /** The number that a CALL may introduce a method with; 0 if there are none left. */
  nextNumber(): number;
  /** The peer has heard of it, or will before anything that is written later. */
  introduced(path: string, number: number): void;
  readonly link: { readonly remoteAddress: string };
  /** The call needs its session no more. */
  finished(call: ClientCall): void;
}

/** Whoever started a call. */
export interface CallOwner {
  readonly wheel: TimerWheel;
  readonly limits: Limits;
  /** For error messages. */
  readonly address: string;
  /** A call that no session has is over. */
  withdrawn(call: ClientCall): void;
  /** No handler saw the call, so it may be sent again. False: the owner does not want to. */
  restart(call: ClientCall): boolean;
  /** Why there is no connection, for error messages. */
  whyNotConnected(): string;
}

/** How a caller hears of a single reply. */
interface Settle {
  resolve(value: unknown): void;
  reject(error: RpcError): void;
}

/**
 * The caller's half of a call, from the stub to its one ending: waits for a session, sends the request, takes the
 * reply or the status, and is ended by deadline, cancellation or the loss of its session.
 */
export class ClientCall extends CallHalf {
  readonly method: ClientMethod;
  /** Whether it waits for a connection until its deadline. */
  readonly waitsForReady: boolean;
  /** When it was made, and when it must be over, on the monotonic clock. */
  readonly startedMs: number = now();
  readonly deadlineMs: number;
  /** The outgoing batch that has its CALL, 0 before it is written; tells after a loss whether that had left. */
  batchNumber = 0;
  /** Since when it waits for a session, on the monotonic clock; undefined while it does not. Kept by its owner. */
  queuedMs: number | undefined = undefined;

  readonly #owner: CallOwner;
  readonly #request: unknown;
  readonly #options: CallOptions | undefined;
  readonly #metadata: Metadata | undefined;
  readonly #settle: Settle | undefined;
  #session: CallerPort | undefined;
  #pumping = false;
  #header: Metadata | undefined;
  #trailer: Metadata | undefined;
  #reply: { value: unknown } | undefined;

  constructor(
    owner: CallOwner,
    method: ClientMethod,
    given: { request: unknown; options: CallOptions | undefined; metadata: Metadata | undefined; deadlineMs: number },
    settle?: Settle,
  ) {
    super();
    this.#owner = owner;
    this.method = method;
    this.#request = given.request;
    this.#options = given.options;
    this.#metadata = given.metadata;
    this.#settle = settle;
    this.deadlineMs = given.deadlineMs;
    this.waitsForReady = given.options?.waitForReady === true;
    if (!settle) this.openInbound(owner.limits);
  }

  /** The replies, where the method streams them. */
  get responses(): Inbound<unknown> {
    if (!this.inbound) throw new Error(`${this.method.path} has no stream of replies`);
    return this.inbound;
  }

  protected get inboundType(): AnyMessageType {
    return this.method.descriptor.output;
  }

  protected get outboundType(): AnyMessageType {
    return this.method.descriptor.input;
  }

  /** Arms deadline and signal. False: the call was over before it began. */
  arm(): boolean {
    const signal = this.#options?.signal;
    if (signal?.aborted) this.cancel(signal.reason);
    else if (this.deadlineMs <= this.startedMs) this.onDeadline();
    else {
      if (signal) watchSignal(signal, this);
      this.#owner.wheel.add(this, this.deadlineMs);
    }
    return !this.ended;
  }

  /** Sends the call over a session. */
  begin(session: CallerPort, id: number): void {
    this.join(session, id);
    this.#session = session;
    if (this.#options?.onPeer) this.#tell(this.#options.onPeer, { address: session.link.remoteAddress });
    if (this.ended) return;
    const { method } = this;
    const tooMuch = metadataProblem(this.#metadata, session.peerLimits);
    if (tooMuch) return this.failHere(new RpcError(Status.RESOURCE_EXHAUSTED, `${this.#where()} has ${tooMuch}`));
    const remainingMs =
      this.deadlineMs === Infinity ? 0 : Math.min(Math.max(Math.ceil(this.deadlineMs - now()), 1), 0xffffffff);
    const known = session.numberOf(method.path);
    const number = known || session.nextNumber();
    const { batchNumber } = session.outbox;
    const written = this.record(
      RecordType.CALL,
      method.flags,
      remainingMs,
      callMeta(method, this.#metadata, known, number),
      method.clientStreams ? undefined : [method.descriptor.input, this.#request],
    );
    if (written < 0) return;
    this.batchNumber = batchNumber;
    // A getter of the request has ended the call while the CALL was written.
    if (this.ended) return void this.record(RecordType.CANCEL, 0, Status.CANCELLED);
    // Fragments may be overtaken by later calls, which then must not rely on the number.
    if (known === 0 && number !== 0 && !session.outbox.holds(id)) session.introduced(method.path, number);
    if (method.oneWay) this.#end(undefined, undefined);
    else if (method.clientStreams) void this.#pumpRequests();
  }

  /** One record of the server about this call. */
  receive(batch: BatchReader): void {
    if (batch.type === RecordType.CREDIT) this.onCredit(batch);
    else if (batch.type === RecordType.DATA) {
      if (batch.metaLength > 0) this.#onHeader(this.blockFrom(batch.meta(DataHeader).header));
      if (!this.ended) this.receivePayload(batch);
    } else this.#onEnd(batch);
  }

  /** Ends the call CANCELLED, here and on the server. */
  cancel(reason?: unknown): void {
    if (this.ended) return;
    const error = new RpcError(Status.CANCELLED, `${this.#where()} was cancelled by its caller`, { cause: reason });
    this.failHere(error);
  }

  left(reason: unknown): void {
    this.cancel(reason);
  }

  onDeadline(): void {
    const waitedMs = Math.round(now() - this.startedMs);
    const state = this.joined
      ? "the server had not answered"
      : `it was still waiting for a connection: ${this.#owner.whyNotConnected()}`;
    const text = `${this.#where()} did not end within its deadline; after ${waitedMs} ms ${state}`;
    this.failHere(new RpcError(Status.DEADLINE_EXCEEDED, text));
  }

  /** The session is gone and it is not known how far the call had come, unless `unsent`. */
  lost(reason: string, unsent: boolean): void {
    if (this.ended) return;
    if (unsent && this.#restart()) return;
    const known = unsent ? "it had not been sent" : "whether it was carried out is not known";
    this.#end(new RpcError(Status.UNAVAILABLE, `${this.#where()}: ${reason}; ${known}`), undefined);
  }

  /** The server says that no handler saw the call. */
  refused(code: StatusCode, message: string): void {
    if (this.ended) return;
    if (code === Status.UNAVAILABLE && this.#restart()) return;
    this.#end(new RpcError(code, message), undefined);
  }

  /** There is no connection, and the call does not want to wait any longer. */
  unavailable(): void {
    const waitedMs = Math.round(now() - this.startedMs);
    const text = `${this.#where()} found no connection within ${waitedMs} ms: ${this.#owner.whyNotConnected()}`;
    this.#end(new RpcError(Status.UNAVAILABLE, text), undefined);
  }

  protected onMessage(value: unknown): void {
    if (this.#reply) this.failHere(new RpcError(Status.INTERNAL, `${this.#where()} got more than one reply`));
    else this.#reply = { value };
  }

  async #pumpRequests(): Promise<void> {
    this.#pumping = true;
    try {
      if (await pump(this.#request, this)) this.record(RecordType.DATA, Flag.END, 0);
    } catch (thrown) {
      if (!this.ended) this.failHere(RpcError.from(thrown));
    }
  }

  #onHeader(header: Metadata): void {
    if (this.#header) return;
    this.#header = header;
    this.#tell(this.#options?.onHeader, header);
  }

  #onEnd(batch: BatchReader): void {
    const code = toStatusCode(batch.aux);
    const meta = batch.metaLength > 0 ? batch.meta(EndHeader) : undefined;
    if (meta && meta.header.length > 0) this.#onHeader(this.blockFrom(meta.header));
    if (this.ended || !this.receivePayload(batch)) return;
    if (meta && meta.trailer.length > 0) {
      this.#trailer = this.blockFrom(meta.trailer);
      this.#tell(this.#options?.onTrailer, this.#trailer);
    }
    if (this.ended) return;
    if (code !== Status.OK) {
      const { message = "", details = [] } = meta ?? {};
      const options = { details, header: this.#header, trailer: this.#trailer };
      this.#end(new RpcError(code, message, options), undefined, true);
    } else if (this.inbound || this.#reply) this.#end(undefined, this.#reply?.value, true);
    else this.#end(new RpcError(Status.INTERNAL, `${this.#where()} ended without a reply message`), undefined);
  }

  /** A callback of the caller that throws ends its call. */
  #tell<T>(callback: ((block: T) => void) | undefined, block: T): void {
    if (!callback) return;
    try {
      callback(block);
    } catch (thrown) {
      this.failHere(RpcError.from(thrown));
    }
  }

  #restart(): boolean {
    if (this.#pumping) return false;
    this.#leaveSession();
    this.joined = undefined;
    this.batchNumber = 0;
    return this.#owner.restart(this);
  }

  failHere(error: RpcError): void {
    if (this.ended) return;
    if (this.#session && this.batchNumber !== 0) {
      // Before the end, which makes room for another call: the server must hear of the room first.
      const { outbox } = this.#session;
      const isUnheard = outbox.backlog.holdsOpening(this.id);
      outbox.forget(this.id, true);
      const aux = error.code === Status.DEADLINE_EXCEEDED ? Status.DEADLINE_EXCEEDED : Status.CANCELLED;
      if (!isUnheard) this.record(RecordType.CANCEL, 0, aux);
    }
    this.#end(error, undefined);
  }

  /** The one ending. Errors of the server come after the messages it had sent, those of this end at once. */
  #end(error: RpcError | undefined, value: unknown, afterMessages = false): void {
    if (this.ended) return;
    this.finish();
    if (!this.method.oneWay) this.joined?.outbox.forget(this.id, true);
    this.#owner.wheel.remove(this);
    if (this.#options?.signal) unwatchSignal(this.#options.signal, this);
    if (this.#session) this.#leaveSession();
    else this.#owner.withdrawn(this);
    if (this.#settle) {
      if (error) this.#settle.reject(error);
      else this.#settle.resolve(value);
    } else if (error && !afterMessages) this.inbound?.abort(error);
    else this.inbound?.end(error && { thrown: error });
  }

  #leaveSession(): void {
    this.#session?.finished(this);
    this.#session = undefined;
  }

  #where(): string {
    return `${this.method.path} at ${this.#owner.address}`;
  }
}
