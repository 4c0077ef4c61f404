import { parentCall, runAs } from "./ambient.ts";
import type { ParentCall } from "./ambient.ts";
import { cancelled, connectionLost, deadlinePassed, sourceFailed, unsendable } from "./call-errors.ts";
import { CallHalf } from "./call-half.ts";
import type { CallOwner, CallerPort, GivenCall, OwnedCall, Settle } from "./call-owner.ts";
import type { CallOptions } from "./call-options.ts";
import { callMeta, metadataProblem, remainingMs } from "./client-method.ts";
import type { ClientMethod } from "./client-method.ts";
import type { AnyMessageType } from "./contract.ts";
import { DataHeader, EndHeader } from "./gen/zerobind/v1/wire.pb.ts";
import type { Metadata } from "./metadata.ts";
import { Flag, RecordType } from "./records.ts";
import type { BatchReader } from "./records.ts";
import { ReplaySource, RequestSink, closeRequests } from "./replay.ts";
import type { Attempts } from "./retry.ts";
import { RpcError } from "./rpc-error.ts";
import { unwatchSignal, watchSignal } from "./signal-watch.ts";
import { Status, toStatusCode } from "./status.ts";
import type { StatusCode } from "./status.ts";
import { iterate, pump } from "./stream.ts";
import type { Inbound } from "./stream.ts";

/**
 * The caller's half of a call, from the stub to its one ending: waits for a session, sends the request, takes the
 * reply or the status, and is ended by deadline, cancellation or the loss of its session.
 */
export class ClientCall extends CallHalf implements OwnedCall {
  readonly method: ClientMethod;
  readonly waitsForReady: boolean;
  /** When it was made, and when it must be over, on the monotonic clock. */
  readonly startedMs: number;
  readonly deadlineMs: number;
  /** The outgoing batch that has its CALL, 0 before it is written; tells after a loss whether that had left. */
  batchNumber = 0;
  queuedMs: number | undefined = undefined;
  attempts: Attempts | undefined = undefined;
  readonly #owner: CallOwner;
  readonly given: GivenCall;
  readonly options: CallOptions | undefined;
  metadata: Metadata | undefined;
  readonly #settle: Settle | undefined;
  /** The call whose handler made this one; its end is the end of this one. */
  readonly #parent: ParentCall | undefined;
  #session: CallerPort | undefined;
  /** Where requests stream: all of them, and what takes them to the session. */
  #requests: ReplaySource | undefined;
  #requestSink: RequestSink | undefined;
  /** Something of a reply has come, so that the call cannot be tried again. */
  #answered = false;
  #header: Metadata | undefined;
  #reply: { value: unknown } | undefined;

  constructor(owner: CallOwner, method: ClientMethod, given: GivenCall, settle?: Settle) {
    super();
    this.#owner = owner;
    this.method = method;
    this.startedMs = given.startedMs;
    this.given = given;
    this.options = given.options;
    this.metadata = given.metadata;
    this.#settle = settle;
    this.#parent = given.options?.detached === true ? undefined : parentCall();
    this.deadlineMs = this.#parent ? Math.min(this.#parent.deadlineMs, given.deadlineMs) : given.deadlineMs;
    this.waitsForReady = given.options?.waitForReady === true;
    this.wishCompressed(given.options?.compress);
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
    const signal = this.options?.signal;
    const inherited = this.#parent?.signal;
    if (signal?.aborted) this.cancel(signal.reason);
    else if (inherited?.aborted) this.cancel(inherited.reason);
    else if (this.deadlineMs <= this.startedMs) this.onDeadline();
    else {
      if (signal) watchSignal(signal, this);
      if (inherited) watchSignal(inherited, this);
      this.#owner.wheel.add(this, this.deadlineMs);
    }
    return !this.ended;
  }

  /** Sends the call over a session. */
  begin(session: CallerPort, id: number): void {
    this.join(session, id);
    this.#session = session;
    if (this.options?.onPeer) this.#tell(this.options.onPeer, { address: session.link.remoteAddress });
    if (this.ended) return;
    const { method } = this;
    const tooMuch = metadataProblem(this.metadata, session.peerLimits);
    if (tooMuch)
      return this.failHere(new RpcError(Status.RESOURCE_EXHAUSTED, `${this.#where()} was not sent: it has ${tooMuch}`));
    const known = session.numberOf(method.path);
    const number = known || session.nextNumber(method.path);
    const { batchNumber } = session.outbox;
    const written = this.record(
      RecordType.CALL,
      method.flags,
      remainingMs(this.deadlineMs),
      callMeta(method, this.metadata, known, number),
      method.clientStreams ? undefined : this.given.request,
    );
    if (written < 0) return;
    this.batchNumber = batchNumber;
    // A getter of the request has ended the call while the CALL was written.
    if (this.ended) return void this.record(RecordType.CANCEL, 0, Status.CANCELLED);
    // Fragments may be overtaken by later calls, which then must not rely on the number.
    if (known === 0 && number !== 0 && !session.outbox.backlog.has(id)) session.introduced(method.path, number);
    if (method.oneWay) this.#end(undefined, undefined);
    // The source may make calls of its own.
    else if (method.clientStreams) void runAs(this.#parent, () => this.#pumpRequests());
  }

  /** One record of the server about this call. */
  receive(batch: BatchReader): void {
    this.#requests?.settle();
    if (batch.type === RecordType.CREDIT) this.onCredit(batch);
    else if (batch.type === RecordType.DATA) {
      if (this.inbound) this.#answered = true;
      if (batch.metaLength > 0) this.#onHeader(this.blockFrom(batch.meta(DataHeader).header));
      if (!this.ended) this.receivePayload(batch);
    } else this.#onEnd(batch);
  }

  /** Ends the call CANCELLED, here and on the server. */
  cancel(reason?: unknown): void {
    if (this.ended) return;
    this.failHere(cancelled(this.#where(), reason, this.#parent));
  }

  left(reason: unknown): void {
    this.cancel(reason);
  }

  onDeadline(): void {
    const missing = this.joined ? undefined : this.#owner.missing(this);
    this.failHere(deadlinePassed(this.#where(), this, this.#parent, missing));
  }

  /** The session is gone and it is not known how far the call had come, unless `unsent`. */
  lost(reason: string, unsent: boolean): void {
    if (this.ended) return;
    if (unsent && this.#restart()) return;
    this.#endOrRetry(connectionLost(this.#where(), reason, unsent, this.method.idempotent));
  }

  /** The server says that no handler saw the call. */
  refused(code: StatusCode, message: string): void {
    if (this.ended || (code === Status.UNAVAILABLE && !this.#answered && this.#restart())) return;
    this.#endOrRetry(new RpcError(code, `${this.#where()} was refused: ${message}`));
  }

  /** There is no connection, and the call does not want to wait any longer. */
  unavailable(why: string): void {
    this.#end(new RpcError(Status.UNAVAILABLE, `${this.#where()} ${why}`), undefined);
  }

  protected onMessage(value: unknown): void {
    if (this.#reply) this.failHere(new RpcError(Status.UNIMPLEMENTED, `${this.#where()} got more than one reply`));
    else this.#reply = { value };
  }

  protected override encodeError(error: unknown): RpcError {
    return unsendable(this.#where(), error, super.encodeError(error));
  }

  async #pumpRequests(): Promise<void> {
    const sink = (this.#requestSink = new RequestSink(this));
    try {
      this.#requests ??= new ReplaySource(iterate(this.given.request));
      if ((await pump(this.#requests.reader(), sink)) && !sink.ended) this.record(RecordType.DATA, Flag.END, 0);
    } catch (thrown) {
      if (!sink.ended) this.failHere(sourceFailed(this.#where(), thrown));
    }
  }

  #onHeader(header: Metadata): void {
    if (this.#header) return;
    this.#answered = true;
    this.#header = header;
    this.#tell(this.options?.onHeader, header);
  }

  #onEnd(batch: BatchReader): void {
    const code = toStatusCode(batch.aux);
    const meta = batch.metaLength > 0 ? batch.meta(EndHeader) : undefined;
    const header = meta && meta.header.length > 0 ? this.blockFrom(meta.header) : undefined;
    const trailer = meta && meta.trailer.length > 0 ? this.blockFrom(meta.trailer) : undefined;
    let error: RpcError | undefined;
    if (code !== Status.OK) {
      const { message = "", details = [] } = meta ?? {};
      error = new RpcError(code, message, { details, header: this.#header ?? header, trailer });
      if (this.#retry(error)) return;
    }
    if (header) this.#onHeader(header);
    if (this.ended || !this.receivePayload(batch)) return;
    if (trailer) this.#tell(this.options?.onTrailer, trailer);
    if (this.ended) return;
    if (error) this.#end(error, undefined, true);
    else if (this.inbound || this.#reply) this.#end(undefined, this.#reply?.value, true);
    else this.#end(new RpcError(Status.UNIMPLEMENTED, `${this.#where()} ended without a reply message`), undefined);
  }

  /** A callback of the caller that throws ends its call. */
  #tell<T>(callback: ((block: T) => void) | undefined, block: T): void {
    if (!callback || this.ended) return;
    try {
      // Whatever turn of the event loop this is, what the callback starts belongs to the caller.
      runAs(this.#parent, () => callback(block));
    } catch (thrown) {
      this.failHere(RpcError.from(thrown));
    }
  }

  /** Sends the call once more, from its beginning, since no handler saw it. */
  #restart(): boolean {
    if (this.#requests && !this.#requests.rewind()) return false;
    this.#unjoin();
    return this.#owner.restart(this);
  }

  /** Tries the call once more after a pause, if there is a policy that says so. */
  #retry(error: RpcError): boolean {
    if (this.ended || this.#answered || this.#requests || !this.#owner.retry(this, error)) return false;
    this.#unjoin();
    return true;
  }

  #endOrRetry(error: RpcError): void {
    if (!this.#retry(error)) this.#end(error, undefined);
  }

  #unjoin(): void {
    this.joined?.outbox.forget(this.id, true);
    this.dropParts();
    this.#leaveSession();
    this.joined = undefined;
    this.batchNumber = 0;
    this.#reply = undefined;
    this.#requestSink?.stop();
    this.wakeSender();
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
    if (this.method.clientStreams) closeRequests(this.#requests, this.given.request);
    if (!this.method.oneWay) this.joined?.outbox.forget(this.id, true);
    this.#owner.wheel.remove(this);
    if (this.options?.signal) unwatchSignal(this.options.signal, this);
    if (this.#parent) unwatchSignal(this.#parent.signal, this);
    if (this.#session) this.#leaveSession();
    else this.#owner.withdrawn(this);
    if (this.attempts && error) error = this.attempts.tell(error, this.startedMs);
    else if (!error) this.#owner.succeeded();
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
