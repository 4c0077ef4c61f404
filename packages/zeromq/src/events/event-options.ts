import {
  checkOptions,
  isBoolean,
  isCount,
  isCountFrom,
  isFunction,
  isObject,
  isOneOf,
  isTime,
  kindOf,
} from "@zerobind/core";
import type { Check, Checks, EventGap } from "@zerobind/core";
import { parseAddress } from "../address.ts";
import type { AddressMode, ParsedAddress } from "../address.ts";
import { checkSubscriptions } from "../curve/secured.ts";
import { checkExposure } from "../guard.ts";
import type { ZeromqOptions, ZeromqSettings } from "../options.ts";
import type { AuthorizeEvents } from "./event-rules.ts";

/** How many of the events that were published are kept. */
export interface ReplayOptions {
  /** Of each topic, the last so many. Default 1,000. */
  readonly events?: number | undefined;
  /** Bytes of all of them; beyond it those of the topics that were longest silent go first. Default 16 MiB. */
  readonly bytes?: number | undefined;
}

/** How a publisher of events behaves. Times are in milliseconds. */
export interface EventPublisherOptions {
  /** Whether it binds its addresses, or connects to subscribers and forwarders that do. Default `bind`. */
  readonly attach?: "bind" | "connect" | undefined;
  /** Options of the ZeroMQ transport, for example `{ insecure: true }`. */
  readonly zeromq?: ZeromqOptions | undefined;
  /** Keeps events for subscribers that come later, or missed some. Default: none. */
  readonly replay?: ReplayOptions | undefined;
  /** Keeps the last event of each topic, whatever `replay` says. Default false. */
  readonly lastValue?: boolean | undefined;
  /** Topics of each method that it remembers; beyond it that one is forgotten that was longest silent. Default 100,000. */
  readonly maxTopics?: number | undefined;
  /** Largest event, encoded. `publish` throws RangeError beyond. Default 4 MiB. */
  readonly maxMessageBytes?: number | undefined;
  /**
   * Messages that may wait for one subscriber; one that is slower loses what is beyond. ZeroMQ counts messages and not
   * bytes: make it less where events are large. Default 10,000.
   */
  readonly maxQueuedMessages?: number | undefined;
  /** How long after the last event of a topic its number is told again; the pauses double. Infinity: never. Default 1,000. */
  readonly beatIntervalMs?: number | undefined;
  /**
   * Says who may subscribe to what; only `true` allows it. Asked for each subscription of each connection, also for
   * what was kept. What takes a promise is decided when the subscriber asks again, some time later. Where a contract
   * `requires` roles, the subscriber must hold them too. As soon as there is a rule of either kind, nothing is sent to
   * anybody that none of them allows, and only subscribers of this library get events: bare SUB sockets cannot say who
   * they are. For publishers that bind, with `serverCurve`. Default: whoever is let in may have everything.
   */
  readonly authorize?: AuthorizeEvents | undefined;
  /** How many subscribers `ready` waits for. Default 1. */
  readonly minSubscribers?: number | undefined;
  /** How long `close` lets what was published leave. Default 1,000. */
  readonly drainTimeoutMs?: number | undefined;
  /** Told in words of what is dropped, and of subscribers that missed events; called at a limited rate. */
  readonly onTrouble?: ((problem: string) => void) | undefined;
}

/** How a subscriber to events behaves. Times are in milliseconds. */
export interface EventSubscriberOptions {
  /** Whether it connects to publishers and forwarders, or binds, and they connect. Default `connect`. */
  readonly attach?: "bind" | "connect" | undefined;
  /** Options of the ZeroMQ transport, for example `{ insecure: true }`. */
  readonly zeromq?: ZeromqOptions | undefined;
  /**
   * The publishers are bare PUB sockets that send `[topic][body]`: events have no numbers, so that gaps do not show,
   * and readiness means connected. Default false.
   */
  readonly bare?: boolean | undefined;
  /** How many publishers `ready` waits for, all addresses together. Default 1. */
  readonly minPublishers?: number | undefined;
  /** Events of each subscription that may wait to be taken; beyond it the oldest are dropped. Default 10,000. */
  readonly maxBufferedEvents?: number | undefined;
  /** Topics whose numbers it remembers; gaps of others do not show. Default 100,000. */
  readonly maxTopics?: number | undefined;
  /** Largest event it takes; the connection of who sends a larger one is cut. Default 4 MiB. */
  readonly maxMessageBytes?: number | undefined;
  /** Asks for what was missed if the publisher keeps events. Default true. */
  readonly recover?: boolean | undefined;
  /** How often it asks publishers for a sign of life, and tells them what it missed. Default 10,000. */
  readonly syncIntervalMs?: number | undefined;
  /** How long `close` lets handlers finish with the events that wait for them. Default 5,000. */
  readonly drainTimeoutMs?: number | undefined;
  /** Told of each gap as soon as it shows. */
  readonly onGap?: ((gap: EventGap) => void) | undefined;
  /** Told of what handlers throw. Default: `console.error`. */
  readonly onError?: ((error: unknown, event: EventFailure) => void) | undefined;
  /** Told in words of what is dropped; called at a limited rate. */
  readonly onTrouble?: ((problem: string) => void) | undefined;
}

/** Which event a handler failed with. */
export interface EventFailure {
  readonly method: string;
  readonly topic: string;
  readonly sequence: number;
}

const isAttach = isOneOf("bind", "connect");
const atLeastOne = isCountFrom(1);

/** For what ZeroMQ, or a message, has a number of some bytes for. */
function isFromOneTo(most: number): Check {
  return (name, value) => {
    if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most) return;
    throw new TypeError(`${name} must be a whole number from 1 to ${most}, not ${kindOf(value)}`);
  };
}

const replayChecks: Checks = { events: isCount, bytes: isCount };

const common: Checks = {
  attach: isAttach,
  zeromq: isObject,
  maxTopics: atLeastOne,
  maxMessageBytes: isFromOneTo(0xffffffff),
  drainTimeoutMs: isTime,
  onTrouble: isFunction,
};

export const publisherChecks: Checks = {
  ...common,
  replay: (name, value) => {
    isObject(name, value);
    checkOptions("replay option", value as object, replayChecks);
  },
  lastValue: isBoolean,
  maxQueuedMessages: isFromOneTo(0x7fffffff),
  beatIntervalMs: isTime,
  authorize: isFunction,
  minSubscribers: isCount,
};

export const subscriberChecks: Checks = {
  ...common,
  bare: isBoolean,
  minPublishers: isCount,
  maxBufferedEvents: atLeastOne,
  recover: isBoolean,
  syncIntervalMs: isTime,
  onGap: isFunction,
  onError: isFunction,
};

/** What a subscription may begin with, for the check of its options. */
function isReplay(name: string, value: unknown): void {
  if (value === "none" || value === "last" || value === "all") return;
  const last = (value as { last?: unknown } | null)?.last;
  if (typeof value === "object" && Number.isInteger(last) && (last as number) >= 0) return;
  throw new TypeError(`${name} must be "none", "last", "all" or { last: number }, not ${kindOf(value)}`);
}

export const subscribeChecks: Checks = {
  onEvent: isFunction,
  onGap: isFunction,
  replay: isReplay,
  signal: (name, value) => {
    if (!(value instanceof AbortSignal)) throw new TypeError(`${name} must be an AbortSignal, not ${kindOf(value)}`);
  },
  maxBufferedEvents: atLeastOne,
};

/** The addresses, taken apart; TypeError for what cannot be one, or reaches beyond this machine unprotected. */
export function parseAddresses(
  given: string | readonly string[],
  mode: AddressMode,
  settings: ZeromqSettings,
): readonly ParsedAddress[] {
  const addresses = typeof given === "string" ? [given] : given;
  if (!Array.isArray(addresses) || addresses.length === 0)
    throw new TypeError('an address is wanted, or an array of some, for example "tcp://127.0.0.1:5556"');
  return (addresses as readonly string[]).map((address) => {
    const parsed = parseAddress(address, mode);
    checkExposure(parsed, settings, mode);
    checkSubscriptions(parsed, settings.curve, mode);
    return parsed;
  });
}
