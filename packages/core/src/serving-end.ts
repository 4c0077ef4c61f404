import type { StackParts } from "./binding.ts";
import type { LooseCall } from "./incoming-calls.ts";
import type { OperationTable } from "./operation.ts";
import { PlainCalls, closing } from "./plain-calls.ts";
import { ServerSession, readyBatch } from "./server-session.ts";
import type { ServerSessionOwner } from "./server-session.ts";
import type { SessionCount } from "./session-count.ts";
import { maxFrameBytes, sessionParts } from "./session-parts.ts";
import type { EndSettings, SessionSettings } from "./session.ts";
import { now } from "./timer-wheel.ts";
import type { TimerWheel } from "./timer-wheel.ts";
import type { Attachment, AttachmentListener, Link, LinkReceiver, PlainRequest } from "./transport.ts";
import { inNextTurn } from "./turn.ts";

/** What all endpoints of a host have in common. */
export interface ServingSettings {
  readonly table: OperationTable;
  readonly wheel: TimerWheel;
  readonly epoch: Uint8Array;
  readonly info: string;
  readonly session: EndSettings;
  readonly maxStreamsPerSession: number;
  /** Sessions of all endpoints together. */
  readonly sessions: SessionCount;
  readonly onTrouble: (problem: string) => void;
}

/** How long an answer that was just handed over may need to leave the process. */
const lingerMs = 1_000;
/** How long clients that are owed nothing may take to hang up. */
const hangUpMs = 250;

/** The serving side of one address: its sessions, its plain requests, and how both end. */
export class ServingEnd implements AttachmentListener, ServerSessionOwner {
  draining = false;
  readonly wheel: TimerWheel;
  readonly epoch: Uint8Array;
  readonly info: string;
  readonly table: OperationTable;
  readonly maxStreamsPerSession: number;
  readonly count: (what: string) => void;
  readonly #settings: ServingSettings;
  readonly #stack: StackParts;
  readonly #session: SessionSettings;
  readonly #sessions = new Set<ServerSession>();
  readonly #plain: PlainCalls;
  /** Calls that belong to no session, or no longer. */
  readonly #loose = new Set<LooseCall>();
  #attachment: Attachment | undefined;
  #idle: (() => void) | undefined;
  #drainCut = false;

  constructor(stack: StackParts, settings: ServingSettings) {
    this.#stack = stack;
    this.#settings = settings;
    this.wheel = settings.wheel;
    this.epoch = settings.epoch;
    this.info = settings.info;
    this.table = settings.table;
    this.maxStreamsPerSession = settings.maxStreamsPerSession;
    this.count = settings.session.count;
    this.#session = { ...settings.session, ...sessionParts(stack) };
    this.#plain = new PlainCalls(this, settings.session.limits, this.#loose);
  }

  /** The real address. */
  get address(): string {
    return this.#attachment?.address ?? "";
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** Begins to serve; rejects if the address cannot be bound. */
  async attach(address: string, mode: "bind" | "connect"): Promise<void> {
    const greeting = mode === "connect" ? { greeting: readyBatch(this.#settings.table.services, this.info) } : {};
    const options = { mode, maxFrameBytes: maxFrameBytes(this.#session.limits), ...greeting };
    this.#attachment = await this.#stack.transport.attach(address, options, this);
  }

  /** Refuses what is new and waits, at most so long, for what is open; resolves whether all of it ended. */
  async drain(timeoutMs: number): Promise<boolean> {
    this.draining = true;
    // Those that are owed something get the whole time to receive it, even when the last byte has left this process.
    const owed = [...this.#sessions].filter((session) => session.incomingCalls > 0 || session.isOwed);
    for (const session of [...this.#sessions]) session.goAway("the server is closing");
    const deadline = now() + timeoutMs;
    const ended = await this.#until(() => this.#openCalls === 0, deadline);
    // Clients hang up by themselves; those that do not are not waited for.
    if (ended) await this.#until(() => owed.every(({ over }) => over), deadline);
    if (ended) await this.#until(() => this.#sessions.size === 0, Math.min(deadline, now() + hangUpMs));
    return ended;
  }

  /** Ends a drain that is under way. */
  stopDraining(): void {
    this.#drainCut = true;
    this.#idle?.();
  }

  /** Ends every call and session and frees the address. */
  async close(): Promise<void> {
    this.draining = true;
    for (const session of [...this.#sessions]) session.failAll(closing);
    for (const call of [...this.#loose]) call.failHere(closing(call.path));
    for (const session of [...this.#sessions]) session.hangUp("the server is closing");
    await this.#attachment?.close(lingerMs);
    this.#attachment = undefined;
  }

  accept(link: Link): LinkReceiver {
    const session = new ServerSession(link, this.#session, this);
    this.#sessions.add(session);
    return session;
  }

  acceptPlain(request: PlainRequest): void {
    this.#plain.accept(request);
  }

  trouble(problem: string): void {
    this.#settings.onTrouble(problem);
  }

  admitSession(): boolean {
    return this.#settings.sessions.admit();
  }

  callOver(call: LooseCall): void {
    if (this.#loose.size > 0) this.#loose.delete(call);
    this.#idle?.();
  }

  outlives(call: LooseCall): void {
    this.#loose.add(call);
    // It may have waited for its caller to read, who never will.
    this.table.relieved();
  }

  outboxMoved(): void {
    this.#idle?.();
  }

  over(session: ServerSession, admitted: boolean): void {
    this.#sessions.delete(session);
    if (admitted) this.#settings.sessions.leave();
    this.#idle?.();
  }

  get #openCalls(): number {
    let open = this.#loose.size;
    for (const session of this.#sessions) open += session.incomingCalls + (session.outbox.isHolding ? 1 : 0);
    return open;
  }

  /** Waits until something is so, looking again whenever a call or session has ended. */
  async #until(isSo: () => boolean, deadlineMs: number): Promise<boolean> {
    while (!isSo() && !this.#drainCut) {
      const leftMs = deadlineMs - now();
      if (leftMs <= 0) return false;
      await new Promise<void>((resolve) => {
        const timer = leftMs === Infinity ? undefined : setTimeout(resolve, Math.min(leftMs, 0x7fffffff));
        this.#idle = () => {
          clearTimeout(timer);
          // Several end in one turn; one look after it is enough.
          inNextTurn(resolve);
        };
      });
      this.#idle = undefined;
    }
    return isSo();
  }
}
