import type { EventLoss, EventWish } from "@zerobind/core";
import { maxSyncWishes } from "./event-wire.ts";
import type { GuardedFilter } from "./filter-book.ts";
import type { EventSubscription } from "./subscription.ts";
import type { AnsweredItem, SyncRequest } from "./sync-rounds.ts";
import type { RemotePublisher, Track } from "./track.ts";

/** What one sync asks for at most; more is asked for in the next one. */
const maxWishBytes = 16_384;
const maxMethods = 200;
const maxLosses = 64;

/** A filter that is not wanted any more. */
interface EndedFilter {
  readonly ended: GuardedFilter;
}

/**
 * What is asked for: where the topics of a subscription are, and what is kept of them; what a topic is missing; or that
 * a filter is not wanted any more.
 */
export type Wish = EventSubscription | Track | EndedFilter;

/** What a sync tells and asks, as far as it fits. Only publishers that have proven to be in order are asked. */
export function makeRequest(
  todo: Iterable<Wish>,
  proven: readonly RemotePublisher[],
  publishers: Iterable<RemotePublisher>,
  methods: readonly string[],
): SyncRequest<Wish> {
  const wishes: Wish[] = [];
  const asked: EventWish[] = [];
  let bytes = 0;
  for (const wish of proven.length > 0 ? todo : []) {
    if (wishes.length >= maxSyncWishes || bytes >= maxWishBytes) break;
    const eventWish = eventWishOf(wish, proven);
    bytes += Buffer.byteLength(eventWish.topic) + eventWish.method.length + 32;
    // One alone fits always.
    if (bytes >= maxWishBytes && wishes.length > 0) break;
    wishes.push(wish);
    asked.push(eventWish);
  }
  const losses: EventLoss[] = [];
  for (const { epoch, lost } of publishers)
    if (lost > 0 && losses.length < maxLosses) losses.push({ epoch, events: BigInt(lost) });
  const request = {
    proven: proven.map(({ epoch }) => epoch),
    methods: methods.slice(0, maxMethods),
    losses,
    wishes: asked,
    seal: undefined,
  };
  return { wishes, request };
}

/** Items of one topic, which are cut for the way, as one. */
export function joined(items: readonly AnsweredItem[]): AnsweredItem[] {
  const all: { item: AnsweredItem["item"]; bodies: Buffer[] }[] = [];
  for (const { item, bodies } of items) {
    if (bodies.length !== item.count) continue;
    const before = all.at(-1);
    const continues =
      before?.item.wish === item.wish &&
      before.item.topic === item.topic &&
      before.item.start === item.start &&
      before.item.sequence + BigInt(before.bodies.length) === item.sequence;
    if (continues) for (const body of bodies) before.bodies.push(body);
    else all.push({ item, bodies: [...bodies] });
  }
  return all;
}

function eventWishOf(wish: Wish, proven: readonly RemotePublisher[]): EventWish {
  if ("filter" in wish) return filterWish(wish, proven);
  if (!("ended" in wish)) return recoveryWish(wish);
  const { method, topic, exact } = wish.ended;
  return { method, topic, exact, last: 0, start: 0n, sequence: 0n, end: true };
}

function filterWish(
  { template, filter, replay, done }: EventSubscription,
  proven: readonly RemotePublisher[],
): EventWish {
  const last = proven.every((publisher) => done.has(publisher)) ? 0 : replay;
  return {
    method: template.path,
    topic: filter.prefix,
    exact: filter.exact,
    last,
    start: 0n,
    sequence: 0n,
    end: false,
  };
}

function recoveryWish({ method, topic, start, next }: Track): EventWish {
  return { method, topic, exact: true, last: 0, start: BigInt(start), sequence: BigInt(next), end: false };
}
