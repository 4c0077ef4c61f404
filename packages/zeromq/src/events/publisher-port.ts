import { answerFrames } from "./answers.ts";
import type { AnswerSource } from "./answers.ts";
import type { Audience } from "./audience.ts";
import { openSocket } from "../open-socket.ts";
import type { OpenSocket, SocketPlan } from "../open-socket.ts";
import {
  isControlTopic,
  isSyncTopic,
  maxSyncTopicBytes,
  maxSyncWishes,
  readSyncTopic,
  syncHead,
} from "./event-wire.ts";
import type { SyncTopic } from "./event-wire.ts";
import type { SocketEvents } from "../socket.ts";
import { escapeBytes } from "../trouble.ts";

/** Sync topics that wait to be answered; whoever is dropped asks again. */
const maxQueuedSyncs = 10_000;
/** Longest time spent on answers before the event loop gets its turn. */
const sliceMs = 5;

/** What a port needs of its publisher. */
export interface PortOwner {
  readonly answers: AnswerSource;
  readonly audience: Audience;
  /** Sends what was published, so that an answer does not overtake it. */
  flush(): void;
  lost(events: number, id: string): void;
  trouble(kind: string, describe: () => string): void;
}

/** An XPUB at one address: sends, keeps the audience, and answers sync topics. */
export class PublisherPort implements SocketEvents {
  readonly #owner: PortOwner;
  readonly #plan: SocketPlan;
  #opened: OpenSocket | undefined;
  #syncs: SyncTopic[] = [];
  #scheduled: NodeJS.Immediate | undefined;

  constructor(owner: PortOwner, plan: SocketPlan) {
    this.#owner = owner;
    this.#plan = plan;
  }

  get address(): string {
    return this.#opened?.address ?? this.#plan.parsed.endpoint;
  }

  async open(): Promise<void> {
    this.#opened = await openSocket(this.#plan, this);
  }

  /** False: it is not open. */
  send(frames: Uint8Array[]): boolean {
    return this.#opened?.socket.send(frames, ignore) ?? false;
  }

  async close(lingerMs: number): Promise<void> {
    clearImmediate(this.#scheduled);
    this.#syncs = [];
    const opened = this.#opened;
    this.#opened = undefined;
    await opened?.close(lingerMs);
  }

  event(type: string, code: string): void {
    if (type === "accept:error")
      this.#owner.trouble(
        type,
        () => `${this.address}: a subscriber could not be let in (${code}); raise the limit of open files`,
      );
    else if (type.startsWith("handshake:error"))
      this.#owner.trouble(type, () => `${this.address}: a peer does not speak ZeroMQ as this end does (${code})`);
    else if (type === "receive:error")
      this.#owner.trouble(type, () => `${this.address}: cannot receive any more (${code}); close it and open it again`);
  }

  /** `[1 or 0, topic]`: somebody subscribed, or does not any more. */
  message(frames: Buffer[]): void {
    const first = frames[0]!;
    const kind = first[0];
    if (frames.length !== 1 || (kind !== 0 && kind !== 1)) return this.#drop("message", "is no subscription", first);
    const topic = first.subarray(1);
    if (!isControlTopic(topic)) return this.#plainTopic(kind === 1, topic);
    if (!isSyncTopic(topic)) return this.#drop("topic", "has a topic of the protocol that is not known", first);
    if (kind === 0) {
      const { id, number } = syncHead(topic);
      return this.#owner.audience.unsynced(id, number);
    }
    this.#sync(topic);
  }

  #plainTopic(subscribed: boolean, topic: Buffer): void {
    const { audience } = this.#owner;
    const prefix = topic.toString("latin1");
    if (!subscribed) return audience.unsubscribed(prefix);
    audience.subscribed(prefix);
  }

  #sync(topic: Buffer): void {
    if (topic.length > maxSyncTopicBytes) return this.#drop("sync", `is longer than ${maxSyncTopicBytes} bytes`, topic);
    if (this.#syncs.length >= maxQueuedSyncs)
      return this.#drop("syncs", `is one of more than ${maxQueuedSyncs} at once`, topic);
    try {
      // A copy: it outlives the message, and becomes a frame.
      const sync = readSyncTopic(Buffer.from(topic));
      if (sync.request.wishes.length > maxSyncWishes)
        return this.#drop("sync", `has more than ${maxSyncWishes} wishes`, topic);
      this.#syncs.push(sync);
    } catch {
      return this.#drop("sync", "asks for something that cannot be read", topic);
    }
    this.#scheduled ??= setImmediate(() => this.#answerAll());
  }

  #answerAll(): void {
    const endMs = performance.now() + sliceMs;
    const owner = this.#owner;
    owner.flush();
    let count = 0;
    for (const sync of this.#syncs) {
      count++;
      const more = owner.audience.synced(sync);
      if (more > 0) owner.lost(more, sync.id);
      for (const frames of answerFrames(owner.answers, sync)) this.send(frames);
      if (performance.now() > endMs) break;
    }
    this.#syncs.splice(0, count);
    this.#scheduled = this.#syncs.length > 0 ? setImmediate(() => this.#answerAll()) : undefined;
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
