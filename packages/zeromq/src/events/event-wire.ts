import { EventHeader, EventRequest } from "@zerobind/core";

/**
 * The bytes of events; docs/protocol.md is the normative text. All topics that begin with a zero byte are the protocol's
 * own. A sync topic is `\0zb/sync/`, 8 bytes that name the connection of a subscriber, 6 bytes of a number that grows,
 * big endian, and an encoded `EventRequest`. A guarded topic is `\0zb/event/`, the name of a method, a zero byte, a topic
 * and a zero byte.
 */
const syncMark: Buffer = Buffer.from("\0zb/sync/", "latin1");
const eventMark: Buffer = Buffer.from("\0zb/event/", "latin1");
const idLength = 8;
const numberLength = 6;
const syncHeadLength = syncMark.length + idLength + numberLength;
/** Largest sync topic; what does not fit is asked for in the next one. */
export const maxSyncTopicBytes = 32_768;
/** Wishes of one sync: each may ask for all topics. */
export const maxSyncWishes = 200;
/** Longest topic, and longest filter. */
export const maxTopicBytes = 16_384;
/** Longest header of events: numbers, and the name of a method. */
export const maxHeaderBytes = 4_096;
/** What a subscriber sends, a subscription, may be so long at most: the connection is cut beyond. */
export const maxSubscriptionBytes = 65_536;

/** What a sync topic says. */
export interface SyncTopic {
  readonly topic: Buffer;
  /** The connection of the subscriber, as text. */
  readonly id: string;
  readonly number: number;
  readonly request: EventRequest;
}

export function syncTopic(id: Uint8Array, number: number, request: EventRequest): Buffer {
  const head = Buffer.alloc(syncHeadLength);
  head.set(syncMark, 0);
  head.set(id, syncMark.length);
  head.writeUIntBE(number, syncMark.length + idLength, numberLength);
  return Buffer.concat([head, EventRequest.encode(request).finish()]);
}

/** Whether a topic is one of the protocol's own. */
export function isControlTopic(topic: Uint8Array): boolean {
  return topic.length > 0 && topic[0] === 0;
}

export function isSyncTopic(topic: Buffer): boolean {
  return topic.length >= syncHeadLength && topic.compare(syncMark, 0, syncMark.length, 0, syncMark.length) === 0;
}

/** The connection that a sync topic names, and its number. */
export function syncHead(topic: Buffer): { id: string; number: number } {
  return {
    id: topic.toString("latin1", syncMark.length, syncMark.length + idLength),
    number: topic.readUIntBE(syncMark.length + idLength, numberLength),
  };
}

/** Takes a sync topic apart; throws if its request cannot be read. */
export function readSyncTopic(topic: Buffer): SyncTopic {
  return { topic, ...syncHead(topic), request: EventRequest.decode(topic.subarray(syncHeadLength)) };
}

/** Stands for the topics of a method, or, `exact`, for one: no topic or method has a zero byte. */
export function filterKey(method: string, topic: string, exact: boolean): string {
  return `${method}\0${topic}${exact ? "\0" : ""}`;
}

/** On what a publisher that decides who gets what sends events of a topic, or, unless `exact`, what such begin with. */
export function guardedTopic(method: string, topic: string, exact: boolean): Buffer {
  return Buffer.concat([eventMark, Buffer.from(filterKey(method, topic, exact))]);
}

/** Whether a topic is one of `guardedTopic`, or what some begin with. */
export function isGuardedTopic(topic: Buffer): boolean {
  const { length } = eventMark;
  return topic.length > length && topic.compare(eventMark, 0, length, 0, length) === 0;
}

/** The topic that a guarded one stands for; undefined if it stands for none. */
export function unguarded(topic: Buffer): Buffer | undefined {
  const start = topic.indexOf(0, eventMark.length) + 1;
  const end = topic.length - 1;
  return start > 0 && end >= start && topic[end] === 0 ? topic.subarray(start, end) : undefined;
}

/** The header of events up to, and including, the tag of the sequence, which is all that changes within a topic. */
export function headerStart(epoch: bigint, method: string, start: number): Buffer {
  const bytes = EventHeader.encode({ epoch, method, start: BigInt(start), sequence: 0n, answer: undefined }).finish();
  return Buffer.concat([bytes, Buffer.of(sequenceTag)]);
}

const sequenceTag = 4 << 3;

/** A header of events: what `headerStart` made, and the sequence as a varint. */
export function eventHeader(start: Buffer, sequence: number): Buffer {
  const header = Buffer.allocUnsafe(start.length + 8);
  start.copy(header);
  let at = start.length;
  let rest = sequence;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) header[at++] = (rest % 0x80) | 0x80;
  header[at++] = rest;
  return header.subarray(0, at);
}

/** The sequence of a header that begins with `start`; undefined if it does not, or has something after it. */
export function sequenceAfter(start: Buffer, header: Buffer): number | undefined {
  const { length } = header;
  const from = start.length;
  if (length <= from || length > from + 8 || start.compare(header, 0, from) !== 0) return undefined;
  let value = 0;
  let factor = 1;
  for (let at = from; at < length; at++, factor *= 0x80) {
    const byte = header[at]!;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return at === length - 1 && Number.isSafeInteger(value) ? value : undefined;
  }
  return undefined;
}

/** A number from the wire; NaN if it is too large to be exact. */
export function exactNumber(value: bigint): number {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : NaN;
}

/** The name of an epoch for people. */
export function epochName(epoch: bigint): string {
  return epoch.toString(16).padStart(16, "0");
}

/** 8 random bytes that are not 0. */
export function newEpoch(): bigint {
  return globalThis.crypto.getRandomValues(new BigUint64Array(1))[0]! || 1n;
}
