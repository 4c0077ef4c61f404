import type { MetadataEntry } from "../gen/zerobind/v1/wire.pb.ts";
import type { WaitingCall } from "../lane.ts";
import { Flag, RecordType } from "../records.ts";
import { RpcError } from "../rpc-error.ts";
import { Status } from "../status.ts";
import { Timed, now } from "../timer-wheel.ts";
import type { TimerWheel } from "../timer-wheel.ts";
import type { Window } from "./flow.ts";
import { costOf, keepable } from "./passing.ts";
import type { Piece } from "./passing.ts";

/** A method as a device knows it: by its name alone. */
export interface DeviceMethod {
  readonly path: string;
  /** `package.Service` */
  readonly service: string;
}

/** What a CALL record says. */
export interface CallOpening {
  readonly method: DeviceMethod;
  readonly metadata: readonly MetadataEntry[];
  readonly metadataBytes: number;
  /** On the monotonic clock; Infinity for none. */
  readonly deadlineMs: number;
  /** END, MESSAGE, IDEMPOTENT, ONEWAY. */
  flags: number;
  /** The first message, once it is there as a whole. */
  body: Uint8Array | undefined;
}

/** A call at a worker. */
export interface CallLeg {
  /** A part of the request. */
  send(piece: Piece): void;
  /** The client takes more of a stream of replies. */
  grant(granted: Window): void;
  cancel(code: number): void;
  /** Nothing more is to be said: all of a one-way call has been written. */
  forget(): void;
}

/** What a call needs of whoever finds its workers. */
export interface CallHub {
  readonly wheel: TimerWheel;
  /** Workers that a call is sent to before it is taken for what kills them. */
  readonly maxDeliveries: number;
  /** Sends a call to a worker, or lets it wait for one. */
  dispatch(call: ForwardedCall): void;
  /** A call that waits has ended. */
  withdrawn(call: ForwardedCall): void;
  /** Takes memory for a call that waits, or is kept for another worker. False: there is none left. */
  keep(call: ForwardedCall, bytes: number): boolean;
  /** Gives it back. */
  release(call: ForwardedCall): void;
  /** Something was lost that nobody waits for. */
  dropped(what: string): void;
  /** Why a call waits, for error messages. */
  obstacle(method: DeviceMethod): string;
}

/** How long before the deadline a call that waits is ended, so that its caller learns why. */
const leadMs = 25;
/** Workers that draw back are seldom; one that does so all the time must not keep a call going round. */
const maxRefusals = 16;
/** A caller that says nothing when its deadline is over is waited for so long. */
const graceMs = 1_000;

/**
 * A call on its way through a device, from the CALL of a client to its one end. It waits, is carried out by a worker,
 * and may wait again if that one is lost before anything can have come of it.
 */
export abstract class ForwardedCall extends Timed implements WaitingCall {
  stage: "arriving" | "held" | "running" | "over" = "arriving";
  /** The call at its worker, while it has one. */
  leg: CallLeg | undefined = undefined;
  /** Workers that have got it, and those that would not have it. */
  deliveries = 0;
  refusals = 0;
  /** Whether the client has heard anything of a worker. */
  answered = false;
  /** What it takes of the memory for calls that wait or are kept. */
  cost = 0;
  readonly opening: CallOpening;
  /** Whether the opening is still there, and can be sent to another worker. */
  kept = true;
  protected readonly hub: CallHub;

  constructor(hub: CallHub, opening: CallOpening) {
    super();
    this.hub = hub;
    this.opening = opening;
  }

  /** Calls of the same key wait in one line. */
  abstract readonly sessionKey: unknown;
  /** Whether so much waits for the client that it should not get another answer yet. */
  abstract readonly isHeldBack: boolean;

  /** A part of the answer. END is the last. */
  abstract reply(piece: Piece): void;
  /** The worker wants more of a streamed request. */
  abstract onCredit(granted: Window): void;
  /** Ends the call with a status of this device's own. */
  abstract answerWith(error: RpcError): void;
  /** No handler has seen the call, and the client may send it again. */
  abstract refuse(reason: string): void;
  /** The CALL has been written to a worker; `window` is what that one takes of a stream. */
  abstract onForwarded(window: Window): void;
  /** The call is over, or is no longer known here. */
  protected abstract onOver(): void;

  get method(): DeviceMethod {
    return this.opening.method;
  }

  get oneWay(): boolean {
    return (this.opening.flags & Flag.ONEWAY) !== 0;
  }

  /** Whether the CALL has all of the request. */
  get isWhole(): boolean {
    return (this.opening.flags & Flag.END) !== 0;
  }

  /** How much of the deadline's time to give a call that runs, beyond it. */
  protected get graceMs(): number {
    return graceMs;
  }

  /** The CALL has begun to come. */
  arriving(): void {
    this.#arm(this.opening.deadlineMs + this.graceMs);
  }

  /** The call has come as far as it must to be sent to a worker. */
  dispatch(): void {
    this.hub.dispatch(this);
  }

  /** It waits from now on. */
  held(): void {
    this.stage = "held";
    this.opening.body = keepable(this.opening.body);
    const { deadlineMs } = this.opening;
    this.#arm(deadlineMs - Math.min(leadMs, (deadlineMs - now()) / 8));
  }

  /** A worker has been found; its CALL is being written. */
  forwarded(leg: CallLeg): void {
    this.stage = "running";
    this.leg = leg;
    this.deliveries += 1;
    this.#arm(this.opening.deadlineMs + this.graceMs);
  }

  /** A worker has it: what is not to be sent to another one is let go. */
  settle(): void {
    const { opening } = this;
    const mayRepeat = this.isWhole && (opening.flags & Flag.IDEMPOTENT) !== 0 && !this.oneWay;
    if (mayRepeat && this.hub.keep(this, costOf(opening.body))) opening.body = keepable(opening.body);
    else this.letGo();
  }

  /** The client wants it no more, or is gone. */
  cancel(code: number): void {
    if (this.stage === "over") return;
    this.leg?.cancel(code);
    this.finish();
  }

  /** Ends it on both sides, for a reason on this device. */
  fail(error: RpcError): void {
    if (this.stage === "over") return;
    this.leg?.cancel(error.code === Status.DEADLINE_EXCEEDED ? error.code : Status.CANCELLED);
    this.answerWith(error);
  }

  /** The worker says that no handler has seen it. */
  refused(piece: Piece): void {
    this.leg = undefined;
    if (piece.aux !== Status.UNAVAILABLE || this.answered) return this.reply({ ...piece, type: RecordType.END });
    this.deliveries -= 1;
    this.refusals += 1;
    if (this.kept && this.refusals <= maxRefusals) this.dispatch();
    else this.refuse("the worker has refused it unseen");
  }

  /** Its worker is gone. `unsent`: it certainly never got the call. */
  workerLost(reason: string, unsent: boolean): void {
    this.leg = undefined;
    if (this.stage !== "running") return;
    if (unsent) this.deliveries -= 1;
    const { maxDeliveries } = this.hub;
    if (this.kept && !this.answered && this.deliveries < maxDeliveries) return this.dispatch();
    if (unsent && !this.answered) return this.refuse(`it had not been sent when its worker was lost: ${reason}`);
    const often =
      this.kept && !this.answered ? `; it has been sent to ${this.deliveries} workers, and all were lost` : "";
    const text = `${this.method.path}: outcome unknown, the worker was lost: ${reason}${often}`;
    this.answerWith(new RpcError(Status.UNAVAILABLE, text));
  }

  onDeadline(): void {
    const where =
      this.stage === "held" ? `was not sent to a worker within its deadline: ${this.hub.obstacle(this.method)}` : "";
    const text = `${this.method.path} ${where || "did not end within its deadline"}`;
    this.fail(new RpcError(Status.DEADLINE_EXCEEDED, text));
  }

  /** Lets go of everything; `onOver` tells whoever has it. */
  finish(): void {
    if (this.stage === "over") return;
    if (this.stage === "held") this.hub.withdrawn(this);
    this.stage = "over";
    this.leg = undefined;
    this.hub.wheel.remove(this);
    this.letGo();
    this.onOver();
  }

  /** The opening will not be sent again. */
  protected letGo(): void {
    this.kept = false;
    this.opening.body = undefined;
    if (this.cost > 0) this.hub.release(this);
  }

  #arm(atMs: number): void {
    this.hub.wheel.remove(this);
    this.hub.wheel.add(this, atMs);
  }
}
