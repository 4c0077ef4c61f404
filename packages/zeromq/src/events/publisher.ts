import { checkContract, checkOptions, kindOf, Lifecycle } from "@zerobind/core";
import type { Contract, PublisherOf } from "@zerobind/core";
import type { ParsedAddress } from "../address.ts";
import { exposureWarning, isExposed } from "../guard.ts";
import { toSettings } from "../options.ts";
import type { ZeromqSettings } from "../options.ts";
import { Audience } from "./audience.ts";
import type { AudienceWish } from "./audience.ts";
import { Beats } from "./beats.ts";
import { encodeEvent, wholeMessage } from "./event-body.ts";
import { parseAddresses, publisherChecks } from "./event-options.ts";
import type { EventPublisherOptions } from "./event-options.ts";
import { checkCanGuard, EventRules } from "./event-rules.ts";
import { EventTroubles } from "./event-troubles.ts";
import { maxSubscriptionBytes, newEpoch } from "./event-wire.ts";
import { OutgoingEvents } from "./outgoing-events.ts";
import { PublisherPort } from "./publisher-port.ts";
import { eventMethods } from "./topic-template.ts";
import type { TopicTemplate } from "./topic-template.ts";
import { KeptEvents, TopicState, TopicTable } from "./topics.ts";
import { Waiting } from "./waiting.ts";

/** Whom `waitForSubscribers` waits for. */
export interface SubscriberWish {
  /** How many. Default 1. */
  readonly count?: number | undefined;
  /** Only those that want events of this method: `shop.v1.Prices/PriceChanged`. */
  readonly method?: string | undefined;
  /** In place of subscribers, count the subscriptions that let this topic through, those of bare SUB sockets included. */
  readonly topic?: string | undefined;
  /** Gives up after so long. Default: never. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Publishes the events of contracts, to any number of subscribers at any number of addresses.
 *
 *     await using feed = new EventPublisher("tcp://127.0.0.1:5556");
 *     const prices = feed.publisher(Prices);
 *     await feed.open();
 *     prices.priceChanged({ symbol: "ACME", price: 3 });
 *
 * To publish never waits. The event is encoded at once, so its object may be changed afterwards, and leaves at the end
 * of the turn of the event loop, together with others of its topic. Events on one topic arrive in the order in which
 * they were published. Nobody needs to listen: what is published then is gone, unless `replay` or `lastValue` keep it.
 * A subscriber that is slow loses events, and learns that it did; the others, and the publisher, do not notice.
 *
 * It opens by itself when something is published first; what is published before it is open reaches nobody, but is
 * kept where events are kept. `close` lets what was published leave for at most `drainTimeoutMs`.
 */
export class EventPublisher extends Lifecycle {
  readonly #settings: ZeromqSettings;
  readonly #options: EventPublisherOptions;
  readonly #attach: "bind" | "connect";
  readonly #parsed: readonly ParsedAddress[];
  readonly #waiting = new Waiting();
  readonly #troubles: EventTroubles;
  readonly #epoch = newEpoch();
  readonly #audience = new Audience(this.#epoch);
  readonly #tables = new Map<string, TopicTable>();
  readonly #rules: EventRules;
  readonly #kept: KeptEvents;
  readonly #beats: Beats;
  readonly #outgoing = new OutgoingEvents((frames, bodies) => this.#send(frames, bodies));
  readonly #ports: readonly PublisherPort[];
  #starts = 0;
  #published = 0;

  /** TypeError for addresses and options that cannot be. */
  constructor(address: string | readonly string[], options: EventPublisherOptions = {}) {
    super();
    checkOptions("publisher option", options, publisherChecks);
    const { attach = "bind", replay, lastValue = false, beatIntervalMs = 1_000 } = options;
    this.#options = options;
    this.#settings = toSettings(options.zeromq);
    this.#attach = attach;
    this.#parsed = parseAddresses(address, attach, this.#settings);
    const { events = 1_000, bytes = 16 * 2 ** 20 } = replay ?? { events: 0 };
    this.#kept = new KeptEvents({ events, bytes, lastValue });
    this.#troubles = new EventTroubles(options.onTrouble, this.#settings);
    this.#rules = new EventRules(options.authorize, (kind, describe) => this.#trouble(kind, describe));
    if (options.authorize) checkCanGuard(attach, "option authorize of a publisher");
    this.#beats = new Beats(beatIntervalMs, (state) => this.#beat(state));
    this.#ports = this.#parsed.map((parsed) => this.#port(parsed, attach));
  }

  /** The real address of the first socket, with the port that a wildcard stood for. */
  get address(): string {
    return this.addresses[0]!;
  }

  /** The real addresses, in the order in which they were given. */
  get addresses(): readonly string[] {
    return this.#ports.map(({ address }) => address);
  }

  /** The name of this life of the publisher, which its events carry. */
  get epoch(): string {
    return this.#epoch.toString(16).padStart(16, "0");
  }

  /**
   * Connections of subscribers whose filters are in place: they miss nothing that is published now. Bare SUB sockets
   * are not among them.
   */
  get subscribers(): number {
    return this.#audience.subscribers;
  }

  /** Subscriptions of all connections, those of bare SUB sockets included; behind a forwarder, equal ones count once. */
  get subscriptions(): number {
    return this.#audience.subscriptions;
  }

  /**
   * What was counted since it was made: `published`, `unheard` (events published while nobody had subscribed to
   * anything, or while it was not open), `lost` (events that subscribers told to have missed), and what was dropped, by
   * reason.
   */
  get counters(): Readonly<Record<string, number>> {
    return { published: this.#published, ...this.#troubles.counts.read() };
  }

  /**
   * Resolves when `minSubscribers` have their filters in place. Rejects when it is closed, and, with the status
   * UNAUTHENTICATED, if it connects and the other end does not let it in; it goes on trying all the same.
   */
  get ready(): Promise<void> {
    return this.waitForSubscribers({ count: this.#options.minSubscribers ?? 1 });
  }

  /** Resolves when subscribers are there, their filters in place. Rejects as `ready` does, and when it takes too long. */
  waitForSubscribers(wish: SubscriberWish = {}): Promise<void> {
    const { count = 1, method, topic, timeoutMs = Infinity } = wish;
    const wanted: AudienceWish = { count, method, topic };
    const whom = `${method === undefined ? "" : ` of ${method}`}${topic === undefined ? "" : ` to ${topic}`}`;
    this.#openSoon();
    return this.#waiting.for(`${count} subscribers${whom}`, timeoutMs, (resolve) =>
      this.#audience.wait(wanted, resolve),
    );
  }

  /** Opens it. Rejects if an address cannot be bound, and closes it then. */
  open(): Promise<void> {
    return this.opened();
  }

  /**
   * The functions that publish the events of a contract, one for each method with the option `event`. They throw
   * TypeError for values that cannot be, RangeError for an event above `maxMessageBytes`, and Error once it is closed.
   * A contract whose methods require roles has to be given before the publisher is opened; Error otherwise.
   */
  publisher<C extends Contract>(contract: C): PublisherOf<C> {
    checkContract(contract);
    const stub: Record<string, (event: unknown) => void> = {};
    for (const [name, template] of eventMethods(contract)) {
      if (template.requires.length > 0) this.#guard(template);
      const table = this.#table(template);
      stub[name] = (event) => this.#publish(template, table, event);
    }
    return stub as PublisherOf<C>;
  }

  protected async onOpen(): Promise<void> {
    for (const [index, parsed] of this.#parsed.entries()) {
      if (isExposed(parsed, this.#settings, this.#attach)) this.#settings.onWarning(exposureWarning(parsed.endpoint));
      await this.#ports[index]!.open();
    }
  }

  protected onClosing(): void {
    this.#waiting.end(`the publisher is ${this.closeReason?.message ?? "closed"}`);
    this.#outgoing.flush();
    this.#beats.close();
    this.#rules.close();
  }

  protected async onClose(graceful: boolean): Promise<void> {
    const lingerMs = graceful ? Math.min(this.#options.drainTimeoutMs ?? 1_000, 2 ** 30) : 0;
    await Promise.all(this.#ports.map((port) => port.close(lingerMs)));
    this.#audience.clear();
  }

  protected onAbort(): void {
    for (const port of this.#ports) void port.close(0);
  }

  #port(parsed: ParsedAddress, attach: "bind" | "connect"): PublisherPort {
    const { maxQueuedMessages = 10_000 } = this.#options;
    const own = {
      // Without it each topic is told once for all connections, so that nobody is seen to go.
      verbosity: "allSubsUnsubs",
      sendHighWaterMark: maxQueuedMessages,
      receiveHighWaterMark: 0,
      // A connection that is lost takes its subscriptions along.
      immediate: attach === "connect",
    };
    const plan = {
      kind: "xpub",
      mode: attach,
      parsed,
      settings: this.#settings,
      maxFrameBytes: maxSubscriptionBytes,
      own,
    } as const;
    const answers = {
      epoch: this.#epoch,
      keepsEvents: this.#kept.enabled,
      rules: this.#rules,
      table: (method: string) => this.#tables.get(method),
    };
    const audience = this.#audience.addPort();
    const owner = {
      answers,
      audience,
      rules: this.#rules,
      flush: () => this.#outgoing.flush(),
      lost: (events: number, id: string) => this.#lost(events, id),
      trouble: (kind: string, describe: () => string) => this.#trouble(kind, describe),
      refused: (why: string | undefined) => this.#waiting.refuse(parsed.address, why),
    };
    return new PublisherPort(owner, plan);
  }

  #guard({ path, requires }: TopicTemplate): void {
    checkCanGuard(this.#attach, `what ${path} requires`);
    if (this.#rules.require(path, requires) && this.state !== "created")
      throw new Error(
        `${path} requires roles (${requires.join(", ")}), and the publisher is ${this.state}: give it the contract before it is opened`,
      );
  }

  #table({ path, prefix }: TopicTemplate): TopicTable {
    let table = this.#tables.get(path);
    if (!table) {
      const make = (topic: string): TopicState =>
        new TopicState(this.#epoch, path, topic, ++this.#starts, this.#rules.exist);
      const forget = (state: TopicState): void => {
        this.#kept.forget(state);
        this.#beats.forget(state);
      };
      table = new TopicTable(path, prefix, this.#options.maxTopics ?? 100_000, make, forget);
      this.#tables.set(path, table);
    }
    return table;
  }

  #publish(template: TopicTemplate, table: TopicTable, event: unknown): void {
    const { path, type } = template;
    if (this.state === "closing" || this.state === "closed")
      throw new Error(`${path} cannot be published: the publisher is ${this.state}`);
    if (typeof event !== "object" || event === null)
      throw new TypeError(`${path} takes a ${type.$type}, not ${kindOf(event)}`);
    const message = wholeMessage(template, event);
    const topic = template.render(message);
    const body = encodeEvent(template, message);
    const { maxMessageBytes = 4 * 2 ** 20 } = this.#options;
    if (body.length > maxMessageBytes)
      throw new RangeError(
        `${path}: the event has ${body.length} bytes, more than maxMessageBytes (${maxMessageBytes})`,
      );
    this.#openSoon();
    const state = table.touch(topic);
    this.#published++;
    this.#kept.keep(state, body);
    this.#beats.published(state);
    this.#outgoing.add(state, body);
  }

  #openSoon(): void {
    // Whoever calls open() gets the failure, and `closed` tells it to everybody.
    if (this.state === "created") this.opened().catch((error: unknown) => this.#trouble("open", () => String(error)));
  }

  #send(frames: Uint8Array[], bodies: number): void {
    let sent = false;
    for (const port of this.#ports) sent = port.send(frames) || sent;
    if (!sent || this.#audience.subscriptions === 0) this.#troubles.counts.add("unheard", bodies);
  }

  #beat(state: TopicState): void {
    this.#outgoing.flush();
    const header = state.header(state.next);
    for (const port of this.#ports) port.send([state.frame, header]);
  }

  #lost(events: number, id: string): void {
    this.#troubles.counts.add("lost", events);
    const name = Buffer.from(id, "latin1").toString("hex");
    this.#troubles.tell("lost", () => `the subscriber ${name} was too slow, or cut off, and missed ${events} events`);
  }

  #trouble(kind: string, describe: () => string): void {
    this.#troubles.report(kind, describe);
  }
}
