import type { ZeromqSettings } from "../options.ts";
import type { FilterBook } from "./filter-book.ts";
import type { EventSubscription } from "./subscription.ts";
import type { RemotePublisher } from "./track.ts";
import type { Tracker } from "./tracker.ts";

/** What a port needs of its subscriber. */
export interface SubscriberPortOwner {
  readonly tracker: Tracker;
  readonly bare: boolean;
  readonly syncIntervalMs: number;
  readonly maxMessageBytes: number;
  readonly settings: ZeromqSettings;
  /** The filters that there are, as a number that grows. */
  readonly version: number;
  readonly methods: readonly string[];
  readonly subscriptions: ReadonlySet<EventSubscription>;
  readonly filters: FilterBook;
  /** The end at an address does not let this one in; or does now. */
  refused(address: string, why: string | undefined): void;
  /** A message of a bare PUB. */
  bareMessage(frames: readonly Buffer[], address: string): string | undefined;
  /** Something that `ready` waits for may have happened. */
  progress(): void;
  /** No port hears this publisher any more, if no other does. */
  gone(publisher: RemotePublisher): void;
  trouble(kind: string, describe: () => string): void;
}
