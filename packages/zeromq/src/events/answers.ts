import { EventHeader } from "@zerobind/core";
import type { EventItem, EventRefusal, EventWish } from "@zerobind/core";
import type { EventRules, Refusal } from "./event-rules.ts";
import { exactNumber } from "./event-wire.ts";
import type { SyncTopic } from "./event-wire.ts";
import type { TopicState, TopicTable } from "./topics.ts";

/** A part of an answer is sent when it has so many items, or bytes. */
const maxItems = 1_000;
const maxPartBytes = 65_536;
/** Bodies of one item, so that a long history is cut too. */
const maxItemBodies = 256;

/** What answers are made from. */
export interface AnswerSource {
  readonly epoch: bigint;
  readonly keepsEvents: boolean;
  readonly rules: EventRules;
  table(method: string): TopicTable | undefined;
}

/**
 * The messages that answer a sync topic: where the topics are that it wants to know of, and the kept events that it
 * wants, topic by topic, in order. `refusals`: wishes, by their indexes, that get nothing.
 */
export function* answerFrames(
  source: AnswerSource,
  sync: SyncTopic,
  refusals: ReadonlyMap<number, Refusal>,
): Iterable<Uint8Array[]> {
  let part = new Part(source, sync.topic, 0);
  for (const [wish, wanted] of sync.request.wishes.entries()) {
    if (wanted.end || refusals.has(wish)) continue;
    for (const state of wantedTopics(source, wanted)) {
      for (const [item, bodies] of itemsOf(state, wish, wanted)) {
        part.add(item, bodies);
        if (!part.full) continue;
        yield part.frames(false);
        part = part.following();
      }
    }
  }
  yield part.frames(
    true,
    Array.from(refusals, ([wish, refusal]) => ({ wish, ...refusal })),
  );
}

function wantedTopics(source: AnswerSource, { method, topic, exact }: EventWish): Iterable<TopicState> {
  const table = source.table(method);
  if (!table) return [];
  if (!exact) return table.matching(topic);
  const state = table.find(topic);
  return state ? [state] : [];
}

/** The events of a topic that are wanted and kept, cut into items; one without events if there are none. */
function* itemsOf(state: TopicState, wish: number, wanted: EventWish): Iterable<[EventItem, Uint8Array[]]> {
  const { topic, kept, next } = state;
  const start = BigInt(state.start);
  const bodies = wanted.start === 0n ? lastOf(kept, wanted.last) : keptFrom(state, wanted);
  let sequence = next - bodies.length;
  for (let at = 0; at < bodies.length; at += maxItemBodies) {
    const some = bodies.slice(at, at + maxItemBodies);
    yield [{ wish, topic, start, sequence: BigInt(sequence), count: some.length }, some];
    sequence += some.length;
  }
  if (bodies.length === 0) yield [{ wish, topic, start, sequence: BigInt(next), count: 0 }, []];
}

function lastOf(kept: Uint8Array[], count: number): Uint8Array[] {
  return count === 0 ? [] : kept.slice(-count);
}

function keptFrom({ start, kept, next }: TopicState, wanted: EventWish): Uint8Array[] {
  if (wanted.start !== BigInt(start)) return [];
  const count = next - exactNumber(wanted.sequence);
  return count > 0 ? kept.slice(-count) : [];
}

class Part {
  readonly #source: AnswerSource;
  readonly #topic: Buffer;
  readonly #number: number;
  readonly #items: EventItem[] = [];
  readonly #bodies: Uint8Array[] = [];
  #bytes = 0;

  constructor(source: AnswerSource, topic: Buffer, number: number) {
    this.#source = source;
    this.#topic = topic;
    this.#number = number;
  }

  get full(): boolean {
    return this.#items.length >= maxItems || this.#bytes >= maxPartBytes;
  }

  add(item: EventItem, bodies: Uint8Array[]): void {
    this.#items.push(item);
    this.#bytes += item.topic.length + 16;
    for (const body of bodies) {
      this.#bodies.push(body);
      this.#bytes += body.length;
    }
  }

  following(): Part {
    return new Part(this.#source, this.#topic, this.#number + 1);
  }

  frames(last: boolean, refusals: EventRefusal[] = []): Uint8Array[] {
    const { epoch, keepsEvents, rules } = this.#source;
    const answer = { part: this.#number, last, keepsEvents, items: this.#items, authorizes: rules.exist, refusals };
    const header = { epoch, method: "", start: 0n, sequence: 0n, answer };
    return [this.#topic, EventHeader.encode(header).finish(), ...this.#bodies];
  }
}
