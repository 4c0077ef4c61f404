import type { Joiner } from "../joiner.ts";
import type { Limits } from "../limits.ts";
import type { Outbox } from "../outbox.ts";
import { Flag, RecordType } from "../records.ts";
import { RpcError } from "../rpc-error.ts";
import { Status } from "../status.ts";
import type { StatusCode } from "../status.ts";
import { Flow, windowOf } from "./flow.ts";
import type { Window } from "./flow.ts";
import { ForwardedCall } from "./forwarded-call.ts";
import type { CallHub, CallOpening } from "./forwarded-call.ts";
import { costOf } from "./passing.ts";
import type { Piece } from "./passing.ts";

/** The session with a client, as one of its calls sees it. */
export interface CallClient {
  readonly outbox: Outbox;
  /** What the device has told the client, and what the client has told. */
  readonly limits: Limits;
  readonly peerLimits: Limits;
  /** Writes a part of an answer. False: the client would not take it, and the call has ended. */
  write(call: NativeCall, piece: Piece): boolean;
  /** Grants the client more of a stream of requests. */
  grant(callId: number, granted: Window): void;
  writeStatus(type: number, callId: number, code: StatusCode, message: string): void;
  /** A call is over. */
  finished(call: NativeCall): void;
}

/** A call of a client with a session. */
export class NativeCall extends ForwardedCall {
  readonly id: number;
  /** The request message that is being joined. */
  joiner: Joiner | undefined = undefined;
  /** The client has said all. */
  isHalfClosed = false;
  readonly #front: CallClient;
  #requests: Flow | undefined;
  #replies: Flow | undefined;

  constructor(hub: CallHub, front: CallClient, id: number, opening: CallOpening) {
    super(hub, opening);
    this.#front = front;
    this.id = id;
  }

  get sessionKey(): unknown {
    return this.#front;
  }

  get isHeldBack(): boolean {
    return this.#front.outbox.isFull;
  }

  /** A part of the request that comes after the CALL. */
  request(piece: Piece): void {
    const flow = this.#requestFlow;
    if (!flow.take(piece))
      return this.fail(new RpcError(Status.INTERNAL, "the client sent more messages than it was granted"));
    if (this.stage === "running") {
      if (flow.pass(piece)) this.#send(piece);
    } else if (this.hub.keep(this, costOf(piece.body))) flow.wait(piece);
    else {
      const text = `${this.method.path}: as many bytes of calls wait for a worker as the device allows (its option maxQueuedBytes): ${this.hub.obstacle(this.method)}`;
      this.fail(new RpcError(Status.RESOURCE_EXHAUSTED, text));
    }
  }

  /** The client takes more of the stream of replies. */
  grantReplies(granted: Window): void {
    const flow = this.#replies;
    if (!flow) return;
    flow.grant(granted);
    this.leg?.grant(granted);
    for (let piece = flow.next(); piece && this.stage !== "over"; piece = flow.next()) this.#write(piece);
  }

  onForwarded(window: Window): void {
    if (this.isWhole) {
      if (this.oneWay) this.#sentAll();
      return;
    }
    const flow = this.#requestFlow;
    const extra = flow.begin(window);
    if (extra) this.#front.grant(this.id, extra);
    for (let piece = flow.next(); piece && this.stage === "running"; piece = flow.next()) this.#send(piece);
  }

  onCredit(granted: Window): void {
    const flow = this.#requests;
    // To a request that has come as a whole nothing can be added.
    if (!flow || this.oneWay) return;
    flow.grant(granted);
    if (!this.isHalfClosed) this.#front.grant(this.id, granted);
    for (let piece = flow.next(); piece && this.leg; piece = flow.next()) this.#send(piece);
  }

  reply(piece: Piece): void {
    // Whatever a worker says of a one-way call, nobody hears it.
    if (this.oneWay) return piece.type === RecordType.END ? this.finish() : undefined;
    const isStreamed = piece.type === RecordType.DATA && (piece.flags & Flag.MESSAGE) !== 0;
    if (isStreamed && !this.#replies) this.#beginReplies();
    const flow = this.#replies;
    if (!flow) return this.#write(piece);
    if (!flow.take(piece))
      return this.fail(new RpcError(Status.INTERNAL, "the worker sent more messages than it was granted"));
    if (flow.pass(piece)) this.#write(piece);
  }

  answerWith(error: RpcError): void {
    if (this.oneWay) this.hub.dropped(`a one-way call was dropped: ${error.message}`);
    else this.#front.writeStatus(RecordType.END, this.id, error.code, error.message);
    this.finish();
  }

  refuse(reason: string): void {
    if (this.oneWay) this.hub.dropped(`a one-way call of ${this.method.path} was dropped: ${reason}`);
    else this.#front.writeStatus(RecordType.REFUSE, this.id, Status.UNAVAILABLE, reason);
    this.finish();
  }

  protected onOver(): void {
    this.#front.finished(this);
  }

  get #requestFlow(): Flow {
    return (this.#requests ??= new Flow(windowOf(this.#front.limits)));
  }

  /** The answer turns out to be a stream: the worker may fill the window of the client, whatever it was told. */
  #beginReplies(): void {
    this.#replies = new Flow(windowOf(this.#front.limits));
    const extra = this.#replies.begin(windowOf(this.#front.peerLimits));
    if (extra) this.leg?.grant(extra);
  }

  #send(piece: Piece): void {
    this.leg?.send(piece);
    if (this.oneWay && (piece.flags & Flag.END) !== 0 && this.stage === "running") this.#sentAll();
  }

  /** Nothing will be heard of a one-way call. */
  #sentAll(): void {
    this.leg?.forget();
    this.finish();
  }

  #write(piece: Piece): void {
    if (this.#front.write(this, piece) && piece.type === RecordType.END) this.finish();
  }
}
