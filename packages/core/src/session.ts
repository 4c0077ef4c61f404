import type { BodyCodec } from "./binding.ts";
import type { CallPort } from "./call-half.ts";
import type { CompressingCodec } from "./compressing-codec.ts";
import type { AnyMessageType } from "./contract.ts";
import type { Hello, Welcome } from "./gen/zerobind/v1/wire.pb.ts";
import { Refusal } from "./gen/zerobind/v1/wire.pb.ts";
import { defaultLimits, inRange } from "./limits.ts";
import type { Limits } from "./limits.ts";
import { Outbox } from "./outbox.ts";
import type { OutboxPort } from "./outgoing.ts";
import { BatchReader, Flag, RecordType, RefuseReason, WireError, attachBytes } from "./records.ts";
import { TimedTask, now } from "./timer-wheel.ts";
import type { TimerWheel } from "./timer-wheel.ts";
import type { Link, LinkReceiver } from "./transport.ts";

/** The compressions of a binding. */
interface Compression {
  /** What this end can undo, by name. */
  readonly names: readonly string[];
  /** A codec of its own for each session. */
  codec(): CompressingCodec;
}

/** What a session needs of the end that it belongs to, but for what the binding decides. */
export type EndSettings = Omit<SessionSettings, "codec" | "encoding" | "elements" | "compression">;

/** What a session needs of the end that it belongs to. */
export interface SessionSettings {
  readonly limits: Limits;
  readonly codec: BodyCodec;
  /** Compared between the ends. */
  readonly encoding: string;
  readonly elements: readonly string[];
  /** Told to the peer, which has its own; undefined where the binding has none. */
  readonly compression: Compression | undefined;
  /** While calls are open and nothing is heard for so long, the peer is asked whether it is there. */
  readonly pingIntervalMs: number;
  /** It is taken for lost when it says nothing for so long. */
  readonly pingTimeoutMs: number;
  /** For timers that do not keep the process alive. */
  readonly watchWheel: TimerWheel;
  /** Counts what is dropped, by reason. */
  readonly count: (what: string) => void;
  /** Reports an exception that nothing in a session should throw. */
  readonly onDefect: (error: unknown) => void;
}

/**
 * One connection's conversation, the same on both ends: batches in and out, the session tag, its credit, PING,
 * and the end. Everything about calls is left to the two subclasses.
 */
export abstract class Session implements LinkReceiver, OutboxPort, CallPort {
  readonly outbox: Outbox;
  readonly codec: BodyCodec;
  readonly limits: Limits;
  peerLimits: Limits = defaultLimits;
  readonly link: Link;
  protected readonly settings: SessionSettings;
  #over = false;
  /** When the last batch came, on the monotonic clock. */
  heardMs: number = now();
  /** When the peer was asked for a sign of life that has not come yet. */
  #pingedMs: number | undefined;
  /** Messages that are being joined from fragments. */
  joining = 0;
  /** Bytes that came and are not granted anew yet. */
  #takenBytes = 0;
  /** What the last PING said, until it is answered. */
  #pinged: number | undefined;
  readonly #compressing: CompressingCodec | undefined;
  readonly #watch = new TimedTask(() => this.#checkPeer());
  readonly #doubts = new TimedTask(() => this.giveUp("the peer does not answer"));

  constructor(link: Link, settings: SessionSettings) {
    this.link = link;
    this.settings = settings;
    this.#compressing = settings.compression?.codec();
    this.codec = this.#compressing ?? settings.codec;
    this.limits = settings.limits;
    this.outbox = new Outbox(this, this.codec);
    this.outbox.maxHeldBytes = settings.limits.maxHeldBytes;
  }

  /** Whether the session has ended. */
  get over(): boolean {
    return this.#over;
  }

  /** Whether something large may still be on its way to the peer: it has not granted all of it anew. */
  get isOwed(): boolean {
    return this.outbox.isOwed;
  }

  /** Calls that are open. */
  abstract get openCalls(): number;
  /** A batch whose tag is not the session's. True: go on with it all the same. */
  protected abstract onStrangeBatch(batch: BatchReader): boolean;
  protected abstract onRecord(batch: BatchReader): void;
  /** The session is over: every call that it has must end. */
  protected abstract onOver(reason: string): void;
  abstract released(callId: number): void;
  abstract relieved(): void;

  receive(frames: readonly Uint8Array[]): void {
    if (this.#over) return;
    try {
      const batch = new BatchReader(frames);
      this.heardMs = now();
      if (batch.tag !== this.outbox.tag && !this.onStrangeBatch(batch)) return;
      while (!this.#over && batch.next()) this.#record(batch);
      if (!this.#over && batch.tag === this.outbox.tag) this.#received(frames);
    } catch (error) {
      this.#broken(error);
    }
  }

  /** Handles records that were kept as if they had just come. */
  handle(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#broken(error);
    }
  }

  lost(reason: string): void {
    this.end(reason);
  }

  expel(reason: string): void {
    this.settings.count("expelled peer");
    this.refuse(RefuseReason.UNAUTHENTICATED, reason);
  }

  send(frames: readonly Uint8Array[]): boolean {
    return this.link.send(frames);
  }

  sendFailed(): void {
    // The one that writes is in the middle of something; it is told of the loss when it is done.
    queueMicrotask(() => {
      if (!this.#over) this.hangUp("the connection was lost");
    });
  }

  overrun(): void {
    this.settings.count("peer that does not read");
    this.refuse(RefuseReason.EXHAUSTED, "it does not read what it is sent");
  }

  /** Ends the session and its link. */
  hangUp(reason: string): void {
    if (this.#over) return;
    this.outbox.flush();
    this.link.close();
    this.end(reason);
  }

  /** Ends the session with a peer that is silent. */
  giveUp(reason: string): void {
    this.hangUp(reason);
  }

  /** Tells the peer why it is not served, and ends the session. */
  refuse(reason: number, message: string): void {
    if (this.#over) return;
    this.writeControl(RecordType.REFUSE, 0, reason, [Refusal, { message, minVersion: 1, maxVersion: 1 }]);
    this.hangUp(message);
  }

  /** Whether the peer was asked out of turn for a sign of life, which has not come yet. */
  get isDoubted(): boolean {
    return this.#doubts.tick !== 0;
  }

  /** Asks the peer for a sign of life at once, and gives it up if none comes within some time. */
  doubt(graceMs: number): void {
    if (this.#over || this.isDoubted) return;
    this.writeControl(RecordType.PING, 0, 0);
    const { watchWheel, pingTimeoutMs } = this.settings;
    watchWheel.add(this.#doubts, now() + Math.min(graceMs, pingTimeoutMs));
  }

  /** Watches the peer from now on, for as long as calls are open. */
  protected watchPeer(): void {
    if (this.#watch.tick !== 0) return;
    this.#pingedMs = undefined;
    this.settings.watchWheel.add(this.#watch, now() + this.settings.pingIntervalMs);
  }

  protected end(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.settings.watchWheel.remove(this.#watch);
    this.settings.watchWheel.remove(this.#doubts);
    this.onOver(reason);
    this.outbox.close();
  }

  /** Writes a record that has no body and belongs to no typed call. */
  protected writeControl(type: number, callId: number, aux: number, meta?: readonly [AnyMessageType, unknown]): void {
    this.outbox.write({
      type,
      flags: 0,
      callId,
      aux,
      metaType: meta?.[0],
      meta: meta?.[1],
      bodyType: undefined,
      body: undefined,
    });
  }

  /** What the peer accepts, from HELLO or WELCOME; limits that it does not say are taken to be the default. */
  protected learn({ limits: said, maxConcurrentCalls, compressions }: Hello | Welcome): void {
    const limits: Record<string, number> = { ...defaultLimits };
    for (const [name, value] of Object.entries({ ...said, maxConcurrentCalls }))
      if (value > 0) limits[name] = inRange(name, value);
    this.peerLimits = limits as unknown as Limits;
    this.outbox.maxMessageBytes = this.peerLimits.maxMessageBytes;
    this.#compressing?.agree(compressions, this.peerLimits.maxMessageBytes);
    // Smaller pieces would only be a way to make this end keep many of them.
    this.outbox.maxFragmentBytes = Math.max(
      Math.min(this.limits.maxFragmentBytes, this.peerLimits.maxFragmentBytes),
      attachBytes,
    );
    this.outbox.window.limit(this.peerLimits.sessionWindowBytes);
    this.#takenBytes = 0;
  }

  #broken(error: unknown): void {
    if (!(error instanceof WireError)) {
      this.settings.onDefect(error);
      this.refuse(RefuseReason.MALFORMED, "the last message could not be handled");
      return;
    }
    this.settings.count("malformed");
    this.refuse(RefuseReason.MALFORMED, `the last message was malformed: ${error.message}`);
  }

  #record(batch: BatchReader): void {
    switch (batch.type) {
      case RecordType.PING:
        this.#pinged = batch.aux;
        return;
      case RecordType.PONG:
        if (!this.isDoubted) return;
        this.settings.watchWheel.remove(this.#doubts);
        return this.relieved();
      case RecordType.CREDIT:
        if (batch.callId === 0) this.outbox.grant(batch.aux);
        else this.onRecord(batch);
        return;
      default:
        if (batch.type >= RecordType.HELLO && batch.type <= RecordType.ACK) this.onRecord(batch);
        else if ((batch.flags & Flag.OPTIONAL) === 0)
          throw new WireError(`records of type ${batch.type} are not known`);
    }
  }

  /** What has come is granted anew as soon as it is read: what waits for its consumer is bounded by the streams' windows. */
  #received(frames: readonly Uint8Array[]): void {
    // However many PINGs came, one answer says it all.
    if (this.#pinged !== undefined) this.writeControl(RecordType.PONG, 0, this.#pinged);
    this.#pinged = undefined;
    let bytes = 0;
    for (let index = 0; index < frames.length; index++) bytes += frames[index]!.byteLength;
    this.#takenBytes += bytes;
    if (this.#takenBytes * 2 < this.limits.sessionWindowBytes) return;
    this.writeControl(RecordType.CREDIT, 0, this.#takenBytes);
    this.#takenBytes = 0;
  }

  #checkPeer(): void {
    if (this.#over || this.openCalls === 0) return;
    const { pingIntervalMs, pingTimeoutMs, watchWheel } = this.settings;
    const pingedMs = this.#pingedMs;
    if (pingedMs === undefined || this.heardMs >= pingedMs) {
      // Silence only counts from a question that was not answered.
      const isSilent = now() - this.heardMs >= pingIntervalMs;
      this.#pingedMs = isSilent ? now() : undefined;
      if (isSilent) this.writeControl(RecordType.PING, 0, 0);
    } else if (now() - pingedMs >= pingTimeoutMs) {
      return this.giveUp(`the peer has not answered for ${Math.round(now() - pingedMs)} ms`);
    }
    watchWheel.add(this.#watch, now() + Math.min(pingIntervalMs, pingTimeoutMs));
  }
}
