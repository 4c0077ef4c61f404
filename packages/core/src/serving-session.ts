import { GoAway, Hello, Welcome } from "./gen/zerobind/v1/wire.pb.ts";
import { RecordType, RefuseReason, WireError, wireVersion } from "./records.ts";
import type { BatchReader } from "./records.ts";
import { quoted } from "./refusals.ts";
import { Session } from "./session.ts";
import type { SessionSettings } from "./session.ts";
import type { Link } from "./transport.ts";

/** What the answering side of a greeting needs to know of its end. */
export interface GreetingOwner {
  /** 8 random bytes of this process's opening. */
  readonly epoch: Uint8Array;
  readonly info: string;
  /** Existing calls may finish, new sessions are refused. */
  readonly draining: boolean;
  /** Whether there is room for one more session; counts it if so. */
  admitSession(): boolean;
}

/** A session on the side that answers HELLO: the greeting, the tag, and the goodbye. What calls become is its subclasses' affair. */
export abstract class ServingSession extends Session {
  /** Whether the end has counted it. */
  protected admitted = false;
  readonly #greeter: GreetingOwner;

  constructor(link: Link, settings: SessionSettings, owner: GreetingOwner) {
    super(link, settings);
    this.#greeter = owner;
  }

  /** Id of the last call that was let in; 0 before the first. */
  protected abstract get lastCallId(): number;
  /** The peer begins a new life on the same connection: what there was of the former one ends. */
  protected abstract onNewLife(reason: string): void;

  /** Asks the peer to take its new calls elsewhere. */
  goAway(reason: string): void {
    if (this.outbox.tag === 0) return;
    this.writeControl(RecordType.GOAWAY, 0, this.lastCallId, [GoAway, { reason, alternatives: [] }]);
    this.outbox.flush();
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

  /** A HELLO record: the answer is WELCOME, or says why not. */
  protected hello(batch: BatchReader): void {
    if (batch.count !== 1) throw new WireError("HELLO is not the only record of its batch");
    const hello = batch.meta(Hello);
    if (this.outbox.tag !== 0) {
      this.onNewLife("it has said HELLO again");
      // What was not sent to the former life of the peer would be misread by the new one.
      this.outbox.reset();
    }
    if (hello.minVersion > wireVersion || hello.maxVersion < wireVersion) {
      return this.refuse(RefuseReason.VERSION, "it has no version of the protocol in common");
    }
    const mismatch = this.#mismatch(hello);
    if (mismatch) return this.refuse(RefuseReason.MISMATCH, mismatch);
    if (this.#greeter.draining) return this.refuse(RefuseReason.DRAINING, "the server is going away");
    if (!this.admitted && !(this.admitted = this.#greeter.admitSession()))
      return this.refuse(
        RefuseReason.EXHAUSTED,
        "the server has as many sessions as it allows (its option maxSessions)",
      );
    this.learn(hello);
    this.outbox.tag = (globalThis.crypto.getRandomValues(new Uint32Array(1))[0]! | 1) >>> 0;
    const { epoch, info } = this.#greeter;
    const welcome: Welcome = {
      version: wireVersion,
      epoch,
      limits: this.limits,
      features: [],
      serverInfo: info,
      maxConcurrentCalls: this.limits.maxConcurrentCalls,
      compressions: [...(this.settings.compression?.names ?? [])],
    };
    this.writeControl(RecordType.WELCOME, 0, 0, [Welcome, welcome]);
  }

  #mismatch(hello: Hello): string | undefined {
    const { encoding, elements } = this.settings;
    if ((hello.encoding || "protobuf") !== encoding)
      return `the server encodes messages as ${encoding}, the client as ${quoted(hello.encoding)}`;
    const [here, there] = [elements.join(", "), hello.elements.join(", ")];
    if (here === there) return undefined;
    return `the message elements of the bindings differ: server [${here}], client [${quoted(there).slice(1, -1)}]; give both ends the same binding`;
  }
}
