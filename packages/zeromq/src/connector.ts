import type { AttachOptions, Attachment, AttachmentListener } from "@zerobind/core";
import type { ParsedAddress } from "./address.ts";
import { Connection } from "./connection.ts";
import type { Attempt, ConnectionOwner } from "./connection.ts";
import { mechanismAt } from "./curve/mechanism-probe.ts";
import { cutText } from "./handshake.ts";
import type { Refusal } from "./handshake.ts";
import type { ZeromqSettings } from "./options.ts";
import { Troubles } from "./trouble.ts";

/** A link that lived so long shows that the address works: the next pause is the shortest again. */
const provenMs = 3_000;
/** Whoever is not let in asks again more and more rarely, up to this pause: somebody has to change something first. */
const refusedMaxMs = 60_000;

/** Connects a DEALER, and goes on connecting until closed. Nobody needs to be there yet. */
export function connect(
  address: ParsedAddress,
  settings: ZeromqSettings,
  options: AttachOptions,
  listener: AttachmentListener,
): Attachment {
  return keepConnected(address, settings, listener, (owner) => new Connection(address, settings, options, owner));
}

/** Keeps one connection to an address, made by `make`, and makes another whenever it is lost. */
export function keepConnected(
  address: ParsedAddress,
  settings: ZeromqSettings,
  listener: AttachmentListener,
  make: (owner: ConnectionOwner) => Attempt,
): Attachment {
  const connector = new Connector(address, settings, listener, make);
  connector.connect();
  return connector;
}

/** Keeps one connection to an address; each is a DEALER of its own and makes one link at most. */
class Connector implements Attachment {
  readonly #target: ParsedAddress;
  readonly #settings: ZeromqSettings;
  readonly #make: (owner: ConnectionOwner) => Attempt;
  readonly #listener: AttachmentListener;
  readonly #troubles: Troubles;
  /** The current one, retired ones that are still in use, and those whose sockets are on their way out. */
  readonly #connections = new Set<Attempt>();
  #current: Attempt | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Attempts in a row that came to nothing, or to nothing that lasted. */
  #failures = 0;
  /** Attempts in a row that the other end refused, and those that look so. */
  #refusals = 0;
  #suspicions = 0;
  #closing: Promise<void> | undefined;

  constructor(
    target: ParsedAddress,
    settings: ZeromqSettings,
    listener: AttachmentListener,
    make: (owner: ConnectionOwner) => Attempt,
  ) {
    this.#target = target;
    this.#settings = settings;
    this.#make = make;
    this.#listener = listener;
    this.#troubles = new Troubles((problem) => listener.trouble(`${this.address}: ${problem}`));
  }

  get address(): string {
    return this.#target.endpoint;
  }

  connect(): void {
    const connection = this.#make({
      linked: () => this.#linked(),
      accept: (link) => this.#listener.accept(link),
      trouble: (kind, describe, refusal) => this.#trouble(kind, describe, refusal),
      retired: (retired) => this.#replace(retired, () => Math.random() * this.#settings.reconnectMinMs),
      ended: (ended, gone) => this.#ended(ended, gone),
    });
    this.#current = connection;
    this.#connections.add(connection);
    connection.open();
  }

  #linked(): void {
    this.#troubles.over("connect");
    this.#refusals = 0;
    this.#suspicions = 0;
  }

  #trouble(kind: string, describe: () => string, refusal: Refusal = "no"): void {
    if (refusal === "sure") return this.#refused(describe());
    this.#troubles.report(kind, describe);
    this.#suspicions = refusal === "likely" ? this.#suspicions + 1 : 0;
    if (this.#suspicions === 0) this.#refusals = 0;
    else if (this.#suspicions > 1) void this.#findOut();
  }

  #refused(problem: string): void {
    this.#refusals += 1;
    this.#listener.trouble(`${this.address}: ${problem}`, true);
  }

  /** The other end hangs up again and again, without a word why. */
  async #findOut(): Promise<void> {
    const why = cutText(await mechanismAt(this.#target), this.#settings.curve.client);
    if (why !== undefined && this.#suspicions > 0 && !this.#closing) this.#refused(why);
  }

  close(lingerMs: number): Promise<void> {
    this.#closing ??= this.#close(lingerMs);
    return this.#closing;
  }

  async #close(lingerMs: number): Promise<void> {
    clearTimeout(this.#timer);
    this.#current = undefined;
    await Promise.all([...this.#connections].map((connection) => connection.shut(lingerMs)));
  }

  #ended(connection: Attempt, gone: Promise<void>): void {
    void gone.then(() => this.#connections.delete(connection));
    if (connection.linkedMs >= provenMs) this.#failures = 0;
    this.#replace(connection, () => this.#pauseMs());
  }

  /** Looks for a successor, unless the connection has got one already or nobody wants it any more. */
  #replace(connection: Attempt, pauseMs: () => number): void {
    if (this.#current !== connection) return;
    this.#current = undefined;
    this.#timer = setTimeout(() => this.connect(), pauseMs());
  }

  /** Doubles each time; the jitter keeps clients of a restarted server from coming back all at once. */
  #pauseMs(): number {
    const { reconnectMinMs, reconnectMaxMs } = this.#settings;
    const pause =
      this.#refusals > 0
        ? Math.min(Math.max(refusedMaxMs, reconnectMaxMs), reconnectMaxMs * 2 ** Math.min(this.#refusals - 1, 30))
        : Math.min(reconnectMaxMs, reconnectMinMs * 2 ** Math.min(this.#failures++, 30));
    return pause * (0.5 + Math.random() / 2);
  }
}
