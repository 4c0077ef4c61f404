import { authBatch, readAuth, sessionTag, unauthenticatedBatch, unknownSessionBatch } from "@zerobind/core";
import type { LinkAuth, Principal } from "@zerobind/core";
import type { PeerConnection } from "../peer.ts";
import type { CurveServer } from "./server-curve.ts";
import { challengeBytes } from "./proof.ts";

/** Who is asked at once, over one connection and in all. */
const maxVisitorsPerConnection = 1_024;
const maxVisitors = 65_536;
/** A first message has a greeting, and nothing large. */
const maxGreetingBytes = 65_536;
/** Of all greetings that are kept, of one connection and in all. */
const maxKeptPerConnection = 1_048_576;
const maxKept = 67_108_864;

/** Somebody who has said something and was asked who it is. */
interface Visitor {
  readonly challenge: Uint8Array;
  readonly greeting: readonly Buffer[];
  readonly timer: NodeJS.Timeout;
  answered: boolean;
}

/** Whoever sends a message, by the way back to it. */
export interface Sender {
  readonly connection: PeerConnection;
  readonly route: string;
  readonly envelope: readonly Buffer[];
}

/** What a doorkeeper needs of its listener. */
export interface DoorOwner {
  /** Sends a message of one frame back. */
  answer(sender: Sender, batch: Uint8Array): void;
  /** Somebody has proved who it is: a link, which begins with its greeting. */
  admit(sender: Sender, key: string, principal: Principal, greeting: readonly Buffer[]): void;
  peerName(envelope: readonly Buffer[]): string;
  trouble(kind: string, describe: () => string): void;
}

/**
 * Asks those that have come to a bound address who they are, before anything that they say gets any further. CURVE has
 * let them in, but does not say which of those that may come in a connection belongs to.
 */
export class Doorkeeper {
  readonly #curve: CurveServer;
  readonly #timeoutMs: number;
  readonly #owner: DoorOwner;
  readonly #visitors = new Map<PeerConnection, Map<string, Visitor>>();
  readonly #keptBytes = new Map<PeerConnection, number>();
  #count = 0;
  #kept = 0;

  constructor(curve: CurveServer, timeoutMs: number, owner: DoorOwner) {
    this.#curve = curve;
    this.#timeoutMs = timeoutMs;
    this.#owner = owner;
  }

  /** A native message of somebody who is no link. */
  message(sender: Sender, body: readonly Buffer[]): void {
    const visitor = this.#visitors.get(sender.connection)?.get(sender.route);
    if (!visitor) return this.#first(sender, body);
    const auth = readAuth(body);
    if (auth && !visitor.answered) void this.#answered(sender, visitor, auth);
    else this.#drop(sender, "came before it was known who it is from");
  }

  /** A connection is gone, with all that was to come of it. */
  gone(connection: PeerConnection): void {
    for (const route of [...(this.#visitors.get(connection)?.keys() ?? [])]) this.#forget({ connection, route });
  }

  close(): void {
    for (const connection of [...this.#visitors.keys()]) this.gone(connection);
  }

  #first(sender: Sender, body: readonly Buffer[]): void {
    const tag = sessionTag(body[0]!);
    if (tag !== 0) return this.#owner.answer(sender, unknownSessionBatch(tag));
    if (readAuth(body)) return this.#drop(sender, "answers what was not asked, or not any more");
    if (body.length > 1 || body[0]!.length > maxGreetingBytes) return this.#drop(sender, "is too large for a greeting");
    const known = this.#visitors.get(sender.connection) ?? new Map<string, Visitor>();
    // A copy: what ZeroMQ delivers may keep much more in memory than itself.
    const greeting = Buffer.from(body[0]!);
    const isFull = known.size >= maxVisitorsPerConnection || this.#count >= maxVisitors;
    if (isFull || !this.#keep(sender.connection, greeting.length))
      return this.#drop(sender, "comes from one too many who have not said who they are");
    const challenge = globalThis.crypto.getRandomValues(new Uint8Array(challengeBytes));
    const late = (): void => this.#refuse(sender, `who it is was not proved within ${this.#timeoutMs} ms`);
    const visitor = { challenge, greeting: [greeting], timer: setTimeout(late, this.#timeoutMs), answered: false };
    this.#visitors.set(sender.connection, known.set(sender.route, visitor));
    this.#count += 1;
    sender.connection.visitors += 1;
    this.#owner.answer(sender, authBatch({ challenge }));
  }

  async #answered(sender: Sender, visitor: Visitor, auth: LinkAuth): Promise<void> {
    visitor.answered = true;
    let proven: [string, Principal] | undefined;
    let why = "its key is not allowed here, or the proof is not of that key";
    try {
      proven = await this.#curve.whoIs(auth, visitor.challenge, this.#owner.peerName(sender.envelope));
    } catch (error) {
      why = "whether its key is allowed could not be decided";
      this.#owner.trouble("allow", () => `${why}: ${String(error)}`);
    }
    // It may be gone, be late, or have been revoked since.
    if (this.#visitors.get(sender.connection)?.get(sender.route) !== visitor) return;
    if (proven && this.#curve.isAdmitted(proven[0])) {
      this.#forget(sender);
      this.#owner.admit(sender, ...proven, visitor.greeting);
    } else this.#refuse(sender, why);
  }

  #refuse(sender: Sender, why: string): void {
    this.#forget(sender);
    this.#owner.trouble("refused", () => `${this.#owner.peerName(sender.envelope)} was refused: ${why}`);
    this.#owner.answer(sender, unauthenticatedBatch(why));
    sender.connection.removed();
  }

  #forget({ connection, route }: Pick<Sender, "connection" | "route">): void {
    const known = this.#visitors.get(connection);
    const visitor = known?.get(route);
    if (!known || !visitor) return;
    clearTimeout(visitor.timer);
    known.delete(route);
    this.#count -= 1;
    connection.visitors -= 1;
    this.#keep(connection, -visitor.greeting[0]!.length);
    if (known.size > 0) return;
    this.#visitors.delete(connection);
    this.#keptBytes.delete(connection);
  }

  /** Counts bytes that are kept from now on, or not any more; false if they are too many. */
  #keep(connection: PeerConnection, bytes: number): boolean {
    const kept = (this.#keptBytes.get(connection) ?? 0) + bytes;
    if (bytes > 0 && (kept > maxKeptPerConnection || this.#kept + bytes > maxKept)) return false;
    this.#keptBytes.set(connection, kept);
    this.#kept += bytes;
    return true;
  }

  #drop({ envelope }: Sender, problem: string): void {
    this.#owner.trouble(
      "stranger",
      () => `a message of ${this.#owner.peerName(envelope)} was dropped, since it ${problem}`,
    );
  }
}
