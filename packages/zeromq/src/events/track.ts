import type { EventGap } from "@zerobind/core";
import { epochName, headerStart } from "./event-wire.ts";

/** Who wants the events of a topic. */
export interface EventTaker {
  /** Publishers that said where the topics of its filter are. */
  readonly done: ReadonlySet<RemotePublisher>;
  receive(track: Track, sequence: number, body: Buffer, replayed: boolean, address: string): void;
  miss(gap: EventGap): void;
}

/** One life of a publisher, as a subscriber knows it. */
export class RemotePublisher {
  readonly epoch: bigint;
  /** The epoch for people. */
  readonly name: string;
  /** It decides who gets what of it. */
  authorizes = false;
  /** What was missed of it may be asked for. */
  keepsEvents = false;
  /** Its events that were missed so far. */
  lost = 0;
  /** The topics of it that are known are all there are: none was forgotten here. */
  complete = true;
  /** The connection to it was lost, and it did not answer since: it may be another one that comes next. */
  suspect = false;
  /** Its first and last messages, by the number of messages that had come by then. */
  readonly firstHeard: number;
  lastHeard: number;

  constructor(epoch: bigint, messages: number) {
    this.epoch = epoch;
    this.firstHeard = messages + 1;
    this.lastHeard = messages;
    this.name = epoch === 0n ? "" : epochName(epoch);
  }
}

/** Events of one topic, in order. */
export interface EventRun {
  readonly track: Track;
  /** The number of the first. */
  readonly sequence: number;
  readonly bodies: readonly Buffer[];
  readonly address: string;
}

/** What of a topic was missed and is asked for, and what came since. */
export interface Recovery {
  /** Messages that wait for those before them. */
  readonly held: EventRun[];
  heldEvents: number;
  readonly sinceMs: number;
}

/** One topic of one method of one publisher, and where it is. */
export class Track {
  readonly publisher: RemotePublisher;
  readonly topic: string;
  readonly method: string;
  /** Its key among the topics: the bytes of the topic as latin1. */
  readonly key: string;
  readonly start: number;
  /** What the headers of its events begin with, as this library writes them. */
  readonly headerStart: Buffer;
  /** The number that the next event has to have. */
  next: number;
  recovery: Recovery | undefined;
  /** Who wants its events, as of a version of all subscriptions. */
  takers: readonly EventTaker[] = [];
  takersVersion = -1;

  constructor(publisher: RemotePublisher, method: string, frame: Buffer, start: number, next: number) {
    this.publisher = publisher;
    this.method = method;
    this.topic = frame.toString();
    this.key = frame.toString("latin1");
    this.start = start;
    this.next = next;
    this.headerStart = headerStart(publisher.epoch, method, start);
  }
}
