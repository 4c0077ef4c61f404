import { grantedMessages } from "./credit-record.ts";
import type { CallPort } from "./call-half.ts";
import type { Peer, SessionContext } from "./context.ts";
import type { MethodDescriptor } from "./contract.ts";
import { HandlerSignal, whyCancelled } from "./handler-signal.ts";
import { Metadata } from "./metadata.ts";
import type { GuardedCall, Verdict } from "./method-guard.ts";
import type { CallHead, Operation } from "./operation.ts";
import { Flag, RecordType, WireError, attachBytes } from "./records.ts";
import type { BatchReader } from "./records.ts";
import type { ServerCall } from "./request-context.ts";
import { RpcError } from "./rpc-error.ts";
import { Status } from "./status.ts";
import { Timed, now } from "./timer-wheel.ts";
import type { TimerWheel } from "./timer-wheel.ts";

/** Whoever received the call. */
export interface UndecidedOwner {
  readonly wheel: TimerWheel;
  /** The call may begin, or is refused. */
  decided(call: UndecidedCall, verdict: Verdict): void;
  /** It has ended before that; `error` is for its caller, if one waits who does not know. */
  undecided(call: UndecidedCall, error: RpcError | undefined): void;
  /** The call's deadline has passed. */
  expired(call: UndecidedCall): void;
  /** Whether so much more may be kept for it and others; counts it if so. */
  keeps(bytes: number): boolean;
}

/** What keeping a record takes beside its payload, about. */
const recordBytes = 256;

/**
 * A call whose caller has not been let in yet. It is only in the way of others, as every open call is, if that takes a
 * while: then it has its deadline, can be cancelled, and keeps what its caller sends, undecoded and within the limits
 * that hold for the call itself.
 */
export class UndecidedCall extends Timed implements GuardedCall {
  readonly id: number;
  readonly head: CallHead;
  /** Flags of its CALL. */
  readonly flags: number;
  peer: Peer;
  ended = false;
  /** What it keeps, about. */
  keptBytes = 0;
  readonly #owner: UndecidedOwner;
  readonly #port: Pick<CallPort, "limits">;
  readonly #signal = new HandlerSignal();
  #metadata: Metadata | undefined;
  #records: BatchReader[] = [];
  #messages = 0;
  #bytes = 0;
  #isWhole = false;
  #granted: { messages: number; bytes: number } | undefined;

  constructor(owner: UndecidedOwner, port: Pick<CallPort, "limits">, id: number, flags: number, head: CallHead) {
    super();
    this.#owner = owner;
    this.#port = port;
    this.id = id;
    this.flags = flags;
    this.head = head;
    this.peer = head.peer;
  }

  get operation(): Operation {
    return this.head.operation;
  }

  get oneWay(): boolean {
    return this.head.oneWay;
  }

  get path(): string {
    return this.head.operation.path;
  }

  get method(): MethodDescriptor {
    return this.head.operation.descriptor;
  }

  get metadata(): Metadata {
    return (this.#metadata ??= this.head.metadata ?? new Metadata());
  }

  get session(): SessionContext | undefined {
    return this.head.session;
  }

  get deadline(): number | undefined {
    const { deadlineMs } = this.head;
    return deadlineMs === Infinity ? undefined : Date.now() + (deadlineMs - now());
  }

  get signal(): AbortSignal {
    return this.#signal.signal;
  }

  get principal(): string | undefined {
    return this.peer.principal;
  }

  get roles(): readonly string[] {
    return this.peer.roles ?? [];
  }

  /** Whether it has come as a whole and wants no answer. */
  get needsNobody(): boolean {
    const { clientStreams, serverStreams } = this.head.operation;
    return this.head.oneWay && !clientStreams && !serverStreams && this.#isWhole;
  }

  /** Waits for the decision; the deadline counts from now on. */
  wait(verdict: Promise<Verdict>): void {
    if (this.ended) return;
    this.#owner.wheel.add(this, this.head.deadlineMs);
    void verdict.then((settled) => {
      if (!this.ended) this.#owner.decided(this.#over(), settled);
    });
  }

  /** One record of the caller about this call, its CALL included. */
  receive(batch: BatchReader): void {
    if (batch.type === RecordType.CANCEL) this.abort(whyCancelled(batch.aux));
    else if (batch.type === RecordType.CREDIT) {
      const { messages = 0, bytes = 0 } = this.#granted ?? {};
      this.#granted = { messages: messages + grantedMessages(batch), bytes: bytes + batch.aux };
    } else this.#keep(batch);
  }

  /** Hands what was kept to the call that has begun; `receive` takes all but its CALL. */
  replay(begun: ServerCall, receive: (batch: BatchReader) => void): void {
    const [first, ...others] = this.#records;
    this.#records = [];
    if (this.#granted) begun.grant(this.#granted.messages, this.#granted.bytes);
    if (first) begun.open(first);
    for (const record of others) receive(record);
  }

  /** Nobody waits for the answer any more. */
  abort(reason: RpcError): void {
    if (this.ended) return;
    this.#owner.undecided(this.#over(), undefined);
    this.#signal.abort(reason);
  }

  /** The call is not let in, whatever the decision would have been. */
  failHere(error: RpcError): void {
    if (this.ended) return;
    this.#owner.undecided(this.#over(), error);
    this.#signal.abort(error);
  }

  onDeadline(): void {
    this.#owner.expired(this);
  }

  wakeSender(): void {
    // It sends nothing yet.
  }

  #over(): this {
    this.ended = true;
    this.#owner.wheel.remove(this);
    return this;
  }

  #keep(batch: BatchReader): void {
    const { flags, bodyLength, type } = batch;
    const { clientStreams } = this.head.operation;
    const { streamWindowMessages, streamWindowBytes, maxMessageBytes } = this.#port.limits;
    const isMessage = (flags & Flag.MESSAGE) !== 0;
    const goesOn = isMessage && (flags & Flag.MORE) !== 0;
    const isEnd = (flags & Flag.END) !== 0 && (flags & Flag.MORE) === 0;
    if (this.#isWhole) return this.#tooMuch("said more after its end");
    // What says nothing is not kept, so that there is nothing to keep without end.
    if (type !== RecordType.CALL && !isMessage && !isEnd) return;
    if (goesOn && bodyLength < attachBytes)
      throw new WireError(`a fragment that is not the last has less than ${attachBytes} bytes`);
    if (isMessage && this.#messages >= (clientStreams ? streamWindowMessages : 1))
      return this.#tooMuch("sent more messages than it was granted");
    if (this.#bytes + bodyLength > streamWindowBytes + maxMessageBytes)
      return this.#tooMuch("sent more bytes than it was granted");
    const size = bodyLength + recordBytes;
    if (!this.#owner.keeps(size)) return this.failHere(tooMuchKept(this.path));
    if (isMessage && !goesOn) this.#messages += 1;
    this.#bytes += bodyLength;
    this.keptBytes += size;
    this.#isWhole = isEnd;
    this.#records.push(batch.kept());
  }

  #tooMuch(what: string): void {
    this.failHere(new RpcError(Status.INTERNAL, `the caller of ${this.path} ${what}`));
  }
}

function tooMuchKept(path: string): RpcError {
  const text = `${path}: the calls of this session that wait for their authorization are too large together (limit maxHeldBytes of the server)`;
  return new RpcError(Status.RESOURCE_EXHAUSTED, text);
}
