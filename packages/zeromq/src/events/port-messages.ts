import { EventHeader } from "@zerobind/core";
import { escapeBytes } from "../trouble.ts";
import { isGuardedTopic, unguarded } from "./event-wire.ts";
import type { PortGrants } from "./port-grants.ts";
import type { SyncRounds } from "./sync-rounds.ts";
import type { Tracker } from "./tracker.ts";

/** What messages of a port need of its subscriber. */
interface MessagesOwner {
  readonly bare: boolean;
  readonly tracker: Tracker;
  bareMessage(frames: readonly Buffer[], address: string): string | undefined;
  trouble(kind: string, describe: () => string): void;
}

/** Takes the messages of publishers at one address apart: events, and answers to syncs. */
export class PortMessages {
  readonly #owner: MessagesOwner;
  readonly #rounds: Pick<SyncRounds<never>, "answer">;
  readonly #grants: PortGrants;
  readonly #address: () => string;

  constructor(
    owner: MessagesOwner,
    rounds: Pick<SyncRounds<never>, "answer">,
    grants: PortGrants,
    address: () => string,
  ) {
    this.#owner = owner;
    this.#rounds = rounds;
    this.#grants = grants;
    this.#address = address;
  }

  /** On a topic of events. */
  message(frames: readonly Buffer[]): void {
    const { bare, tracker } = this.#owner;
    const address = this.#address();
    const problem = bare ? this.#owner.bareMessage(frames, address) : tracker.message(frames, address);
    if (problem !== undefined) this.#malformed(frames, problem);
  }

  /** On a topic of the protocol. */
  control(frames: readonly Buffer[]): void {
    if (this.#owner.bare) return;
    if (isGuardedTopic(frames[0]!)) return this.#guarded(frames);
    let header: EventHeader | undefined;
    try {
      header = EventHeader.decode(frames[1] ?? Buffer.alloc(0));
    } catch {
      // Told below.
    }
    if (!header?.answer || header.epoch === 0n) return this.#malformed(frames, "is no answer to a sync");
    const publisher = this.#owner.tracker.publisher(header.epoch);
    if (!publisher) return this.#malformed(frames, "comes from one publisher too many");
    publisher.authorizes = header.answer.authorizes;
    if (publisher.authorizes) this.#grants.guard();
    this.#rounds.answer(frames[0]!, publisher, header.answer, frames.slice(2));
  }

  /** Of a publisher that decides who gets what. */
  #guarded(frames: readonly Buffer[]): void {
    const topic = unguarded(frames[0]!);
    if (topic) this.message([topic, ...frames.slice(1)]);
    else this.#malformed(frames, "has a topic that is none");
  }

  #malformed(frames: readonly Buffer[], problem: string): void {
    this.#owner.trouble(
      "malformed",
      () => `${this.#address()}: a message on ${escapeBytes(frames[0]!)} was dropped because it ${problem}`,
    );
  }
}
