import { Refusal, Welcome } from "./gen/zerobind/v1/wire.pb.ts";
import { RecordType, RefuseReason, WireError } from "./records.ts";
import type { BatchReader } from "./records.ts";
import { Session } from "./session.ts";
import { Status } from "./status.ts";
import type { StatusCode } from "./status.ts";

/** A session on the side that says HELLO: the greeting, refusals, and the peer's goodbye. What calls become is its subclasses' affair. */
export abstract class CallingSession extends Session {
  /** Whether it takes new calls. */
  accepting = false;
  /** Whether it ended since the server did not want it. */
  wasRefused = false;
  /** The status of calls that wait, if the same would happen again with another connection. */
  protected fatal: StatusCode | undefined;
  #draining = false;
  #greeted = false;

  /** Calls that this end has made and that are open. */
  protected abstract get outgoingCalls(): number;
  /** What to answer READY with. */
  protected abstract get helloBytes(): Uint8Array;
  /** WELCOME has come: calls may be made. */
  protected abstract onWelcome(): void;
  /** No more calls may be made, those that are open may end. */
  protected abstract onDraining(reason: string): void;

  /** A server that connected to this end would not notice that it is forgotten, and wait for calls for ever. */
  override giveUp(reason: string): void {
    this.refuse(RefuseReason.UNKNOWN_SESSION, reason);
  }

  protected onStrangeBatch(): boolean {
    // Before WELCOME every tag is strange.
    if (this.outbox.tag === 0) return true;
    this.settings.count("stale batch");
    return false;
  }

  /** A call has ended. True: it was the last that kept a session which the server wants to end, and the session is over. */
  protected endIfDrained(): boolean {
    // Of one-way calls only what has still to leave is known.
    if (!this.#draining || this.outgoingCalls > 0 || this.outbox.isHolding) return false;
    this.leave("the server has gone away");
    return true;
  }

  /** Something that was held has been written; it leaves in this turn. */
  protected wroteHeld(): void {
    if (!this.#draining || this.outbox.isHolding) return;
    queueMicrotask(() => {
      if (!this.over) this.endIfDrained();
    });
  }

  /** Ends a session that the server wants to end, and that has no call any more. */
  protected leave(reason: string): void {
    this.hangUp(reason);
  }

  /** A record about the session that only a server sends; WireError for one that it does not. */
  protected onSessionRecord(batch: BatchReader): void {
    switch (batch.type) {
      case RecordType.WELCOME:
        return this.#welcome(batch);
      case RecordType.REFUSE:
        return this.#refused(batch);
      case RecordType.GOAWAY:
        return this.#goAway();
      case RecordType.READY:
        // A server has connected to this end, which has not greeted it yet.
        if (this.#greeted) throw new WireError("there was more than one READY");
        this.#greeted = true;
        this.onReady(batch);
        if (this.outbox.tag === 0) this.link.send([this.helloBytes]);
        return;
      default:
        throw new WireError(`a server does not send records of type ${batch.type}`);
    }
  }

  /** A server has connected and tells of itself. */
  protected onReady(_batch: BatchReader): void {
    // Only devices care what it serves.
  }

  #welcome(batch: BatchReader): void {
    if (this.outbox.tag !== 0) throw new WireError("there was more than one WELCOME");
    if (batch.tag === 0) throw new WireError("WELCOME has no session tag");
    const welcome = batch.meta(Welcome);
    this.outbox.tag = batch.tag;
    this.learn(welcome);
    this.accepting = true;
    this.onWelcome();
  }

  #refused(batch: BatchReader): void {
    const { message, minVersion, maxVersion } = batch.meta(Refusal);
    const range = batch.aux === RefuseReason.VERSION ? ` (it speaks versions ${minVersion} to ${maxVersion})` : "";
    this.wasRefused = true;
    if (batch.aux === RefuseReason.UNAUTHENTICATED) this.fatal = Status.UNAUTHENTICATED;
    else if (batch.aux === RefuseReason.VERSION || batch.aux === RefuseReason.MISMATCH) this.fatal = Status.UNAVAILABLE;
    this.hangUp(`the server refused the connection: ${message}${range}`);
  }

  #goAway(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.accepting = false;
    this.link.retire();
    this.onDraining("the server is going away");
    this.endIfDrained();
  }
}
