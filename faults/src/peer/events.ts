import { EventPublisher, EventSubscriber } from "zerobind";
import type { EventPublisherOptions } from "zerobind";
import { Ticker } from "../gen/faults/v1/ticker.rpc.ts";
import { pause, sharedMs } from "./clock.ts";

/** What to publish. */
export interface PublishSpec {
  readonly perSecond: number;
  readonly forMs: number;
  readonly groups: number;
  readonly bytes: number;
}

/** What one subscriber has heard. */
export interface Heard {
  received: number;
  /** Events that it was told to have missed. */
  lost: number;
  /** How often it was told of a gap. */
  gaps: number;
  /** Events that did not follow the one before, or the gap before. */
  wrong: number;
}

const tickMs = 10;

/** The publisher and the subscribers of a process. */
export class Events {
  #feed: EventPublisher | undefined;
  /** Of each group, the number of the last event. */
  readonly #numbers = new Map<number, number>();
  readonly #inboxes: EventSubscriber[] = [];
  readonly #heard: Heard[] = [];

  async feed(address: string, options: EventPublisherOptions): Promise<string> {
    this.#feed = new EventPublisher(address, options);
    await this.#feed.open();
    return this.#feed.address;
  }

  async feedReady(count: number): Promise<void> {
    await this.#feed?.waitForSubscribers({ count, timeoutMs: 10_000 });
  }

  /** Publishes at an even rate. Returns how many events there were, and the share of a processor that it took. */
  async publish({ perSecond, forMs, groups, bytes }: PublishSpec): Promise<{ published: number; load: number }> {
    const ticker = this.#feed?.publisher(Ticker);
    const padding = new Uint8Array(bytes);
    const startMs = sharedMs();
    const before = process.cpuUsage();
    let published = 0;
    while (sharedMs() < startMs + forMs) {
      const due = Math.floor(((sharedMs() - startMs) / 1000) * perSecond);
      for (; published < due; published++) {
        const group = published % groups;
        ticker?.tick({ group, number: this.#next(group), padding });
      }
      await pause(tickMs);
    }
    const { user, system } = process.cpuUsage(before);
    return { published, load: (user + system) / 1000 / (sharedMs() - startMs) };
  }

  #next(group: number): number {
    const number = (this.#numbers.get(group) ?? 0) + 1;
    this.#numbers.set(group, number);
    return number;
  }

  counters(): Readonly<Record<string, number>> {
    return this.#feed?.counters ?? {};
  }

  /** Subscribers, each with a connection of its own. Resolves when all are ready. */
  async listen(address: string, count: number): Promise<void> {
    for (let index = 0; index < count; index++) this.#inboxes.push(this.#inbox(address));
    await Promise.all(this.#inboxes.map((inbox) => inbox.waitForReady(10_000)));
  }

  heard(): Heard[] {
    return this.#heard;
  }

  async close(): Promise<void> {
    await Promise.all(this.#inboxes.map((inbox) => inbox.close()));
    await this.#feed?.close();
  }

  #inbox(address: string): EventSubscriber {
    const heard: Heard = { received: 0, lost: 0, gaps: 0, wrong: 0 };
    const next = new Map<number, number>();
    const inbox = new EventSubscriber(address);
    inbox.subscriber(Ticker).tick(undefined, {
      onEvent: ({ group, number }) => {
        heard.received++;
        if (number !== (next.get(group) ?? 1)) heard.wrong++;
        next.set(group, number + 1);
      },
      onGap: ({ topic, to, count }) => {
        heard.gaps++;
        heard.lost += count ?? 0;
        next.set(Number(topic.slice("tick.".length)), to + 1);
      },
    });
    this.#heard.push(heard);
    return inbox;
  }
}
