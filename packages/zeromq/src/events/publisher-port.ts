import { answerFrames } from "./answers.ts";
import type { AnswerSource } from "./answers.ts";
import { EventGate } from "./event-gate.ts";
import type { EventRules, Refusal } from "./event-rules.ts";
import { openSocket, socketTroubles } from "../open-socket.ts";
import type { OpenSocket, SocketPlan } from "../open-socket.ts";
import {
  isControlTopic,
  isGuardedTopic,
  isSyncTopic,
  maxSyncTopicBytes,
  maxSyncWishes,
  readSyncTopic,
  syncHead,
} from "./event-wire.ts";
import type { SyncTopic } from "./event-wire.ts";
import type { PortAudience } from "./port-audience.ts";
import type { SocketEvents } from "../socket.ts";
import { escapeBytes } from "../trouble.ts";

/** Sync topics that wait to be answered; whoever is dropped asks again. */
const maxQueuedSyncs = 10_000;
/** Longest time spent on answers before the event loop gets its turn. */
const sliceMs = 5;

/** What a port needs of its publisher. */
export interface PortOwner {
  readonly answers: AnswerSource;
  readonly audience: PortAudience;
  readonly rules: EventRules;
  /** Sends what was published, so that an answer does not overtake it. */
  flush(): void;
  lost(events: number, id: string): void;
  trouble(kind: string, describe: () => string): void;
  /** The other end does not let this one in; or does now. */
  refused(why: string | undefined): void;
}

/** A sync that waits for its answer. */
interface QueuedSync {
  readonly sync: SyncTopic;
  readonly refusals: ReadonlyMap<number, Refusal>;
}

const nothing: ReadonlyMap<number, Refusal> = new Map();

/** An XPUB at one address: sends, keeps the audience, and answers sync topics. */
export class PublisherPort implements SocketEvents {
  readonly #owner: PortOwner;
  readonly #plan: SocketPlan;
  #gate: EventGate | undefined;
  #opened: OpenSocket | undefined;
  #syncs: QueuedSync[] = [];
  #scheduled: NodeJS.Immediate | undefined;

  constructor(owner: PortOwner, plan: SocketPlan) {
    this.#owner = owner;
    this.#plan = plan;
  }

  get address(): string {
    return this.#opened?.address ?? this.#plan.parsed.endpoint;
  }

  /** Rules that come later do not count. */
  async open(): Promise<void> {
    const isGuarded = this.#owner.rules.exist;
    if (isGuarded) this.#gate = this.#makeGate();
    const own = isGuarded ? { ...this.#plan.own, manual: true } : this.#plan.own;
    this.#opened = await openSocket({ ...this.#plan, own }, this);
  }

  /** False: it is not open. */
  send(frames: Uint8Array[]): boolean {
    return this.#opened?.socket.send(frames, ignore) ?? false;
  }

  async close(lingerMs: number): Promise<void> {
    this.#forgetSyncs();
    this.#gate?.clear();
    const opened = this.#opened;
    this.#opened = undefined;
    await opened?.close(lingerMs);
  }

  event(type: string, code: string): void {
    const { trouble, refused } = this.#owner;
    const tell = (words: string): void => trouble(type, () => `${this.address}: ${words}`);
    if (type === "accept:error") tell(`a subscriber could not be let in (${code}); raise the limit of open files`);
    else if (type === "receive:error") tell(`cannot receive any more (${code}); close it and open it again`);
    else if (type === "lost") this.#forgetAll();
    else if (type === "handshake") refused(undefined);
    else if (socketTroubles.has(type)) tell(code);
    if (type === "refused") refused(`${this.address}: ${code}`);
  }

  message(frames: Buffer[]): void {
    this.#take(frames);
    this.#gate?.handled();
  }

  /** `[1 or 0, topic]`: somebody subscribed, or does not any more. */
  #take(frames: Buffer[]): void {
    const first = frames[0]!;
    const kind = first[0];
    if (frames.length !== 1 || (kind !== 0 && kind !== 1)) {
      this.#gate?.confuse();
      return this.#drop("message", "is no subscription", first);
    }
    const topic = first.subarray(1);
    if (!isControlTopic(topic)) return this.#plainTopic(kind === 1, topic);
    // A filter at the end that has it; what it gets is decided by its syncs.
    if (isGuardedTopic(topic)) return;
    if (!isSyncTopic(topic)) return this.#drop("topic", "has a topic of the protocol that is not known", first);
    if (kind === 1) return this.#sync(topic);
    const { id, number } = syncHead(topic);
    this.#gate?.unsynced(topic, id);
    this.#owner.audience.unsynced(id, number);
  }

  #plainTopic(subscribed: boolean, topic: Buffer): void {
    if (this.#gate) return this.#gate.plain(subscribed, topic);
    const { audience } = this.#owner;
    const prefix = topic.toString("latin1");
    if (!subscribed) return audience.unsubscribed(prefix);
    audience.subscribed(prefix);
  }

  #sync(topic: Buffer): void {
    if (topic.length > maxSyncTopicBytes) return this.#drop("sync", `is longer than ${maxSyncTopicBytes} bytes`, topic);
    if (this.#syncs.length >= maxQueuedSyncs)
      return this.#drop("syncs", `is one of more than ${maxQueuedSyncs} at once`, topic);
    let sync: SyncTopic;
    try {
      // A copy: it outlives the message, and becomes a frame.
      sync = readSyncTopic(Buffer.from(topic));
    } catch {
      return this.#drop("sync", "asks for something that cannot be read", topic);
    }
    if (sync.request.wishes.length > maxSyncWishes)
      return this.#drop("sync", `has more than ${maxSyncWishes} wishes`, topic);
    const refusals = this.#gate ? this.#gate.sync(sync) : nothing;
    if (!refusals) return this.#drop("sync", "came along with what no subscriber sends; it is to come again", topic);
    this.#syncs.push({ sync, refusals });
    this.#scheduled ??= setImmediate(() => this.#answerAll());
  }

  #answerAll(): void {
    const endMs = performance.now() + sliceMs;
    const owner = this.#owner;
    owner.flush();
    let count = 0;
    for (const { sync, refusals } of this.#syncs) {
      count++;
      const more = owner.audience.synced(this.#gate ? { ...sync, request: this.#granted(sync) } : sync);
      if (more > 0) owner.lost(more, sync.id);
      for (const frames of answerFrames(owner.answers, sync, refusals)) this.send(frames);
      if (performance.now() > endMs) break;
    }
    this.#syncs.splice(0, count);
    this.#scheduled = this.#syncs.length > 0 ? setImmediate(() => this.#answerAll()) : undefined;
  }

  /** The request with those of its methods that it gets something of. */
  #granted(sync: SyncTopic): SyncTopic["request"] {
    const methods = this.#gate?.methodsOf(sync) ?? [];
    return { ...sync.request, methods, proven: methods.length > 0 ? sync.request.proven : [] };
  }

  #makeGate(): EventGate {
    const { rules, audience, trouble } = this.#owner;
    const { parsed, settings } = this.#plan;
    return new EventGate({
      rules,
      audience,
      curve: parsed.scheme === "inproc" ? undefined : settings.curve.server,
      principal: settings.principal,
      deliver: (prefix, isOn) => this.#opened?.socket.deliver(prefix, isOn),
      isDrained: () => this.#opened?.socket.isDrained ?? false,
      trouble: (kind, describe) => trouble(kind, () => `${this.address}: ${describe()}`),
    });
  }

  /** All connections are gone. */
  #forgetAll(): void {
    this.#forgetSyncs();
    this.#gate?.clear();
    this.#owner.audience.clear();
  }

  #forgetSyncs(): void {
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    this.#syncs = [];
  }

  #drop(kind: string, problem: string, frame: Uint8Array): void {
    this.#owner.trouble(
      kind,
      () => `${this.address}: a message ${escapeBytes(frame)} was dropped because it ${problem}`,
    );
  }
}

/** A message that cannot be sent to anybody is what publishing risks. */
function ignore(): void {
  return undefined;
}
