import { encodeBody } from "./binding.ts";
import { CallContext } from "./call-context.ts";
import type { CallPort } from "./call-half.ts";
import { PackedMessage } from "./compression.ts";
import type { AnyMessageType } from "./contract.ts";
import { whyCancelled } from "./handler-signal.ts";
import { Metadata } from "./metadata.ts";
import type { CallHead, IncomingCall } from "./operation.ts";
import { TooLargeError } from "./outgoing.ts";
import { Flag, RecordType } from "./records.ts";
import type { BatchReader } from "./records.ts";
import { statusMeta } from "./reply-blocks.ts";
import { RpcError } from "./rpc-error.ts";
import { Status } from "./status.ts";
import { pump } from "./stream.ts";
import type { Inbound } from "./stream.ts";
import type { TimerWheel } from "./timer-wheel.ts";

/** Whoever received a call. */
export interface CalleeOwner {
  readonly wheel: TimerWheel;
  /** What it takes to begin is there: runs the call, now or when its turn comes. */
  enter(call: ServerCall): void;
  /** The call is over. */
  finished(call: ServerCall): void;
}

/** Takes the place of the records where a call did not come over a session. */
export interface ReplyInstead {
  end(call: ServerCall, error: RpcError | undefined, value: unknown): void;
}

/**
 * The callee's half of a call: gathers the request, hands itself to the operation as its context, and sends the answer,
 * exactly once. It is what `OperationContext` and `RequestContext` are made of.
 */
export class ServerCall extends CallContext implements IncomingCall {
  stage: IncomingCall["stage"] = "arriving";
  /** The request message, once it is there, which may have to be prepared; undefined where requests stream. */
  request: unknown = undefined;
  /** How the call stands; `aborted` means that nobody waits for an answer. */
  status: "open" | "replied" | "aborted" = "open";
  readonly #owner: CalleeOwner;
  readonly #instead: ReplyInstead | undefined;
  #hasRequest = false;
  #inflatedBytes = 0;
  #halfClosed = false;

  constructor(owner: CalleeOwner, port: CallPort, id: number, head: CallHead, instead?: ReplyInstead) {
    super(port, id, head);
    this.#owner = owner;
    this.#instead = instead;
    owner.wheel.add(this, head.deadlineMs);
  }

  /** Whether so many replies wait for the caller that it should not get another one yet. */
  get isHeldBack(): boolean {
    return this.port.outbox.isFull;
  }

  /** Whether it has come as a whole and wants no answer. */
  get needsNobody(): boolean {
    const { clientStreams, serverStreams } = this.operation;
    return this.oneWay && !clientStreams && !serverStreams && this.stage !== "arriving";
  }

  /** Calls of the same key wait in one line. */
  get sessionKey(): unknown {
    return this.session ?? this.peer.address;
  }

  /** The requests, where they stream. */
  get requests(): Inbound<unknown> {
    if (!this.inbound) throw new Error(`${this.path} has no stream of requests`);
    return this.inbound;
  }

  sendHeader(): void {
    if (this.ended || this.#instead || this.blocks.headerSent) return;
    this.blocks.header ??= new Metadata();
    if (this.record(RecordType.DATA, 0, 0, this.blocks.dataMeta()) >= 0) this.blocks.sent();
  }

  /** Takes the CALL record and starts the operation if it can start. */
  open(batch: BatchReader): void {
    if (this.operation.clientStreams) this.#owner.enter(this);
    if (!this.ended) this.receive(batch);
  }

  /** One record of the caller about this call. */
  receive(batch: BatchReader): void {
    if (batch.type === RecordType.CANCEL) this.abort(whyCancelled(batch.aux));
    else if (batch.type === RecordType.CREDIT) this.onCredit(batch);
    else if (this.#halfClosed)
      this.failHere(new RpcError(Status.INTERNAL, `the caller of ${this.path} said more after its end`));
    else if (this.receivePayload(batch) && (batch.flags & Flag.END) !== 0 && (batch.flags & Flag.MORE) === 0)
      this.#onHalfClose();
  }

  /** Takes a request that is there as a whole and not as a record. */
  openWith(request: unknown): void {
    if (this.inbound) this.#owner.enter(this);
    if (this.inbound) this.inbound.push(request, 0);
    else this.onMessage(request);
    this.#onHalfClose();
  }

  /** Ends the call with its last or only message; undefined ends a stream of replies that has had its last. */
  reply(value?: unknown): "sent" | "dropped" {
    if (!this.#mayAnswer()) return "dropped";
    this.#sendEnd(undefined, value);
    return this.status === "replied" ? "sent" : "dropped";
  }

  /** Answers with a status. */
  fail(error: RpcError): "sent" | "dropped" {
    if (!this.#mayAnswer()) return "dropped";
    this.#sendEnd(error, undefined);
    return "sent";
  }

  /** The encoded reply, for an answer that is not a record; or, if it cannot be encoded, the status to give instead. */
  encodeReply(value: unknown): Uint8Array | RpcError {
    try {
      return encodeBody(this.port.codec, this.outboundType, value);
    } catch (error) {
      return this.encodeError(error);
    }
  }

  /** Streams the replies of a source, then ends the call. Rejects with what the source throws. */
  async replyAll(source: unknown): Promise<void> {
    if ((await pump(source, this)) && this.status === "open") this.reply();
  }

  /** Nobody waits for the answer any more; nothing is sent. */
  abort(reason: RpcError): void {
    if (this.status !== "open") return;
    this.status = "aborted";
    this.#finished();
    this.stopHandler(reason);
  }

  failHere(error: RpcError): void {
    if (this.status !== "open") return;
    this.#sendEnd(error, undefined);
    this.stopHandler(error);
  }

  left(): void {
    // A handler may stop reading and still answer; what comes later is dropped.
  }

  onDeadline(): void {
    const text = `the deadline of ${this.path} passed before the handler had answered`;
    const error = new RpcError(Status.DEADLINE_EXCEEDED, text);
    // The caller at the other end of a session has a deadline of its own and knows more about it.
    if (this.#instead) this.failHere(error);
    else this.abort(error);
  }

  get inflatedBytes(): number {
    return this.#inflatedBytes;
  }

  prepare(): boolean {
    if (!(this.request instanceof PackedMessage)) return true;
    const opened = this.opened(this.request);
    const isThere = !(opened instanceof RpcError);
    this.request = isThere ? opened.value : undefined;
    return isThere;
  }

  protected override onPacked(packed: PackedMessage): boolean {
    this.onMessage(packed);
    this.#inflatedBytes = packed.bytes;
    return !this.ended;
  }

  protected onMessage(value: unknown): void {
    if (this.#hasRequest) {
      this.failHere(
        new RpcError(Status.UNIMPLEMENTED, `${this.path} takes one request message, and more than one came`),
      );
      return;
    }
    this.request = value;
    this.#hasRequest = true;
  }

  /** Nothing is ever said to the caller of a one-way call. */
  protected override record(
    type: number,
    flags: number,
    aux: number,
    meta?: [AnyMessageType, unknown],
    body?: unknown,
  ): number {
    return this.oneWay ? 0 : super.record(type, flags, aux, meta, body);
  }

  protected override encodeError(error: unknown): RpcError {
    const status = error instanceof TooLargeError ? this.#tooLarge(error) : super.encodeError(error);
    this.operation.onUnsendable?.(status);
    return status;
  }

  #tooLarge({ byteLength }: TooLargeError): RpcError {
    return new RpcError(
      Status.RESOURCE_EXHAUSTED,
      `${this.path}: the reply, a ${this.outboundType.$type}, has ${byteLength} bytes encoded, ` +
        `more than the ${this.port.peerLimits.maxMessageBytes} that its caller accepts (limit maxMessageBytes of the caller's channel)`,
    );
  }

  #onHalfClose(): void {
    this.#halfClosed = true;
    if (this.inbound) return this.inbound.end();
    if (this.#hasRequest) this.#owner.enter(this);
    else this.failHere(new RpcError(Status.UNIMPLEMENTED, `${this.path} takes one request message, and none came`));
  }

  #mayAnswer(): boolean {
    if (this.status === "replied") throw new Error(`${this.path} was already answered; a call is answered once`);
    return this.status === "open";
  }

  #sendEnd(error: RpcError | undefined, value: unknown): void {
    if (this.#instead) {
      this.status = "replied";
      this.#instead.end(this, error, value);
    } else if (this.oneWay) this.status = "replied";
    else if (error) this.#sendStatus(error);
    else {
      const flags = value === undefined ? Flag.END : Flag.END | Flag.MESSAGE;
      const bytes = this.record(RecordType.END, flags, Status.OK, this.#endMeta(), value);
      // A reply that cannot be encoded has already been answered by its error.
      if (bytes < 0) return;
      this.status = "replied";
    }
    this.#finished();
  }

  #sendStatus(error: RpcError): void {
    this.status = "replied";
    if (this.record(RecordType.END, Flag.END, error.code, this.#endMeta(error)) >= 0) return;
    // Details that cannot be encoded must not keep the caller waiting.
    this.record(RecordType.END, Flag.END, error.code, statusMeta(`${error.message} (without its details)`));
  }

  #endMeta(error?: RpcError): [AnyMessageType, unknown] | undefined {
    return error || this.alongWith ? this.blocks.endMeta(error) : undefined;
  }

  #finished(): void {
    this.finish();
    // What is held back of a reply must leave, since its last record is the end; nobody wants that of an aborted call.
    if (this.status === "aborted" && !this.oneWay) this.port.outbox.forget(this.id, false);
    this.#owner.wheel.remove(this);
    this.#owner.finished(this);
  }
}
