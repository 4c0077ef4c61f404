import { EventHeader } from "@zerobind/core";
import type { EventGap } from "@zerobind/core";
import { exactNumber, maxHeaderBytes, maxTopicBytes, sequenceAfter } from "./event-wire.ts";
import { RemotePublisher, Track } from "./track.ts";
import type { EventRun, EventTaker } from "./track.ts";

/** Lives of publishers that are known at once. */
const maxPublishers = 4_096;
/** Events of one topic that wait for those before them; more are not waited for. */
const maxHeldEvents = 10_000;

/** What a tracker needs of its subscriber. */
export interface TrackerOwner {
  readonly maxTopics: number;
  readonly recover: boolean;
  /** Changes whenever `takers` may answer something else. */
  readonly takersVersion: number;
  takers(method: string, topic: string): readonly EventTaker[];
  missed(gap: EventGap, takers: readonly EventTaker[]): void;
  count(what: string, amount: number): void;
  /** Events from `next` on are missing and may be asked for; `recovered` or `unrecoverable` has to follow. */
  wantRecovery(track: Track): void;
}

/** Follows the numbers of events, topic by topic: hands them on in order, each once, and tells what is missing. */
export class Tracker {
  readonly #owner: TrackerOwner;
  /** Stands for all publishers that give no numbers. */
  readonly #bare = new RemotePublisher(0n, 0);
  readonly #publishers = new Map<bigint, RemotePublisher>();
  /** By topic, as latin1 of its bytes; few publishers and methods have the same topic. */
  readonly #tracks = new Map<string, Track[]>();
  #count = 0;
  /** Counts messages, to know which publisher was heard of before which. */
  #messages = 0;

  constructor(owner: TrackerOwner) {
    this.#owner = owner;
  }

  /** Undefined: there are too many. */
  publisher(epoch: bigint): RemotePublisher | undefined {
    const known = this.#publishers.get(epoch);
    if (known || this.#publishers.size >= maxPublishers) return known;
    const publisher = new RemotePublisher(epoch, this.#messages);
    this.#publishers.set(epoch, publisher);
    return publisher;
  }

  /** The publisher is no more. If another one goes on with its topics, that was a restart. */
  forget(publisher: RemotePublisher): void {
    publisher.suspect = true;
    this.#publishers.delete(publisher.epoch);
    for (const tracks of [...this.#tracks.values()]) {
      const track = tracks.find((each) => each.publisher === publisher);
      const successor =
        track && tracks.find((each) => each.method === track.method && each.publisher.firstHeard > publisher.lastHeard);
      if (!successor) continue;
      this.#remove(track);
      this.#restarted(successor);
    }
  }

  /** `[topic][header][body …]`. Returns what is wrong with a message, if something is. */
  message(frames: readonly Buffer[], address: string): string | undefined {
    const header = frames[1];
    if (!header) return "has no header";
    const topic = frames[0]!;
    if (topic.length > maxTopicBytes || header.length > maxHeaderBytes) return "has a topic or header that is too long";
    for (const track of this.#tracks.get(topic.toString("latin1")) ?? []) {
      const sequence = sequenceAfter(track.headerStart, header);
      if (sequence === undefined) continue;
      track.publisher.lastHeard = ++this.#messages;
      this.#arrived({ track, sequence, bodies: frames.slice(2), address });
      return undefined;
    }
    return this.#unknown(topic, header, frames, address);
  }

  /** An event of a publisher that gives no numbers. */
  unnumbered(method: string, topic: Buffer, body: Buffer, address: string): void {
    const known = this.#tracks.get(topic.toString("latin1"))?.find((track) => track.method === method);
    const track = known ?? this.#add(new Track(this.#bare, method, topic, 0, 0));
    this.#hand(track, 0, body, false, address);
  }

  /** A publisher tells where a topic is: the number of its next event. Returns the track. */
  position(publisher: RemotePublisher, method: string, topic: string, start: number, next: number): Track {
    const track = this.#find(publisher, method, Buffer.from(topic), start, next);
    if (!track.recovery && track.next < next) this.#missing(track, next);
    return track;
  }

  /** What was asked for because it was missing. */
  recovered(track: Track, runs: readonly EventRun[]): void {
    const { recovery } = track;
    if (!recovery) return;
    track.recovery = undefined;
    for (const run of runs) this.#inOrder(run, true);
    for (const run of recovery.held) this.#inOrder(run, false, false);
  }

  /** The topics that nobody wants any more need not be followed. */
  prune(): void {
    for (const tracks of [...this.#tracks.values()])
      for (const track of tracks) if (this.#takers(track).length === 0) this.#remove(track);
  }

  #unknown(topic: Buffer, bytes: Buffer, frames: readonly Buffer[], address: string): string | undefined {
    let header: EventHeader;
    try {
      header = EventHeader.decode(bytes);
    } catch {
      return "has a header that cannot be read";
    }
    const start = exactNumber(header.start);
    const sequence = exactNumber(header.sequence);
    if (header.epoch === 0n || !(sequence > 0) || !(start >= 0)) return "has a header without epoch or sequence";
    const publisher = this.publisher(header.epoch);
    if (!publisher) return "comes from one publisher too many";
    publisher.lastHeard = ++this.#messages;
    // Topics that nobody wants are followed too: those of other methods, and longer ones than were subscribed.
    const track = this.#find(publisher, header.method, topic, start, sequence);
    this.#arrived({ track, sequence, bodies: frames.slice(2), address });
    return undefined;
  }

  #arrived(run: EventRun): void {
    const { track, bodies } = run;
    const { recovery } = track;
    if (!recovery) return this.#inOrder(run, false);
    recovery.held.push(run);
    recovery.heldEvents += bodies.length;
    if (recovery.heldEvents > maxHeldEvents) this.recovered(track, []);
  }

  #inOrder(run: EventRun, replayed: boolean, mayRecover = !replayed): void {
    const { track, sequence, bodies, address } = run;
    if (sequence > track.next) {
      if (mayRecover && this.#mayRecover(track)) {
        track.recovery = { held: [run], heldEvents: bodies.length, sinceMs: performance.now() };
        return this.#owner.wantRecovery(track);
      }
      this.#gap(track, sequence);
    }
    const known = track.next - sequence;
    if (known > 0 && !replayed) this.#owner.count("duplicates", Math.min(known, bodies.length));
    if (known >= bodies.length) return;
    track.next = sequence + bodies.length;
    for (let index = known; index < bodies.length; index++)
      this.#hand(track, sequence + index, bodies[index]!, replayed, address);
  }

  #hand(track: Track, sequence: number, body: Buffer, replayed: boolean, address: string): void {
    for (const taker of this.#takers(track)) taker.receive(track, sequence, body, replayed, address);
  }

  #missing(track: Track, next: number): void {
    if (!this.#mayRecover(track)) return this.#gap(track, next);
    track.recovery = { held: [], heldEvents: 0, sinceMs: performance.now() };
    this.#owner.wantRecovery(track);
  }

  #mayRecover(track: Track): boolean {
    const { publisher, recovery } = track;
    // Also of one whose connection was lost: this event has come by another.
    const possible = this.#owner.recover && publisher.keepsEvents && !recovery;
    return possible && this.#takers(track).length > 0;
  }

  /** The events up to `next` are lost. */
  #gap(track: Track, next: number): void {
    const { publisher, topic, method } = track;
    const [from, count] = [track.next, next - track.next];
    track.next = next;
    const takers = this.#takers(track);
    if (takers.length === 0) return;
    // More could not be told of.
    publisher.lost = Math.min(publisher.lost + count, Number.MAX_SAFE_INTEGER);
    this.#owner.count("lost", count);
    const gap = { topic, method, epoch: publisher.name, from, to: next - 1, count, reason: "missed" } as const;
    this.#owner.missed(gap, takers);
  }

  #restarted(track: Track): void {
    const takers = this.#takers(track);
    if (takers.length === 0) return;
    const { publisher, topic, method } = track;
    const gap = {
      topic,
      method,
      epoch: publisher.name,
      from: 0,
      to: 0,
      count: undefined,
      reason: "restarted",
    } as const;
    this.#owner.missed(gap, takers);
  }

  #takers(track: Track): readonly EventTaker[] {
    const { takersVersion } = this.#owner;
    if (track.takersVersion !== takersVersion) {
      track.takers = this.#owner.takers(track.method, track.topic);
      track.takersVersion = takersVersion;
    }
    return track.takers;
  }

  /** The track of a topic. One that is new begins where it is now, or at 1 if all events since were meant for here. */
  #find(publisher: RemotePublisher, method: string, topic: Buffer, start: number, next: number): Track {
    const known = this.#tracks.get(topic.toString("latin1")) ?? [];
    const same = known.find((track) => track.publisher === publisher && track.method === method);
    if (same?.start === start) return same;
    const before = same ?? known.find((track) => track.publisher.suspect && track.method === method);
    const track = new Track(publisher, method, topic, start, next);
    if (before) {
      this.#remove(before);
      this.#restarted(track);
    } else if (publisher.complete && this.#takers(track).some(({ done }) => done.has(publisher))) track.next = 1;
    return this.#add(track);
  }

  #add(track: Track): Track {
    const known = this.#tracks.get(track.key);
    if (known) known.push(track);
    else this.#tracks.set(track.key, [track]);
    if (++this.#count > this.#owner.maxTopics) this.#removeOldest(track);
    return track;
  }

  #removeOldest(except: Track): void {
    for (const tracks of this.#tracks.values()) {
      const oldest = tracks[0]!;
      if (oldest === except) continue;
      oldest.publisher.complete = false;
      return this.#remove(oldest);
    }
  }

  #remove(track: Track): void {
    const rest = (this.#tracks.get(track.key) ?? []).filter((each) => each !== track);
    if (rest.length > 0) this.#tracks.set(track.key, rest);
    else this.#tracks.delete(track.key);
    this.#count--;
    // What is held has been asked for in vain.
    if (track.recovery) this.recovered(track, []);
  }
}
