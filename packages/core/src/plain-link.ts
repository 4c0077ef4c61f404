import { encodePlainRequest, isPlainPath, readPlainReply } from "./plain-frames.ts";
import type { PlainAnswer, PlainHeaderUse } from "./plain-frames.ts";
import { PlainSession, plainSessionSettings } from "./plain-session.ts";
import type { IncomingCall } from "./operation.ts";
import { RpcError } from "./rpc-error.ts";
import type { SessionSettings } from "./session.ts";
import { Status } from "./status.ts";
import { TimerWheel } from "./timer-wheel.ts";
import type { AttachOptions, Link, LinkReceiver } from "./transport.ts";
import { inNextTurn } from "./turn.ts";

/** Pause before a peer is offered again to a user who has hung up without being asked to. */
const reopenMs = 1_000;

/** What a transport does for a peer that knows only the plain profile. */
export interface PlainPeer {
  /** Where the peer is; for people and logs. */
  readonly remoteAddress: string;
  /**
   * Hands over the body frames of one request, which the transport owns from then on. What the peer says to it comes
   * by `PlainLink.answer` with the same id; where nothing is ever said, `PlainLink.sent` ends it. False: it cannot be
   * sent, since the peer is gone.
   */
  send(id: number, frames: Uint8Array[]): boolean;
}

/** How a transport wants its plain peers to be used. */
export interface PlainUse {
  /** Requests that a peer may hold at once, those included that nobody waits for any more. */
  readonly callsPerPeer: number;
  /** Calls that the user of the link may have open; those beyond `callsPerPeer` wait here. Default: as many. */
  readonly maxOpenCalls?: number;
  readonly header: PlainHeaderUse;
  /** Whether no answers come, so that only one-way calls are taken. */
  readonly oneWayOnly: boolean;
  /** Told in words of what is dropped; `kind` is one of a few. */
  trouble(kind: string, describe: () => string): void;
}

/** What the links of one attachment have in common. */
export class PlainGateway {
  readonly use: PlainUse;
  readonly settings: SessionSettings;
  /** Deadlines of calls that are translated; nothing that keeps the process alive by itself. */
  readonly wheel: TimerWheel = new TimerWheel(false);
  readonly accept: (link: Link) => LinkReceiver;
  /** First message of each session, if whoever uses the links speaks first. */
  readonly greeting: Uint8Array | undefined;

  constructor({ greeting, maxFrameBytes }: AttachOptions, accept: (link: Link) => LinkReceiver, use: PlainUse) {
    this.greeting = greeting;
    this.accept = accept;
    this.use = use;
    this.settings = plainSessionSettings(maxFrameBytes, use.maxOpenCalls ?? use.callsPerPeer, (what) =>
      use.trouble(what, () => `something came that was not expected and was dropped: ${what}`),
    );
  }

  close(): void {
    this.wheel.clear();
  }
}

/**
 * Stands between the native protocol and one plain peer: offers itself as a link to a calling end, answers that end in
 * this process as a server would, and turns unary and one-way calls into plain requests.
 *
 * A peer has at most `callsPerPeer` requests. One whose caller has cancelled it still occupies the peer, which knows
 * nothing of that: when it holds nothing else any more, the link says GOAWAY, and comes back as a new one when the
 * peer has answered. One-way calls are done when the peer has answered, or, where none answer, when they are sent.
 */
export class PlainLink {
  readonly #gateway: PlainGateway;
  readonly #peer: PlainPeer;
  /** By the id that the peer gives back. */
  readonly #held = new Map<number, IncomingCall>();
  readonly #heldCalls = new Set<IncomingCall>();
  /** Calls that wait until the peer may have another request. */
  readonly #waiting = new Set<IncomingCall>();
  #nextId = 1;
  /** Of those that the peer holds: calls that have ended without its answer. */
  #forgotten = 0;
  #session: PlainSession | undefined;
  #isUp = false;
  #isClosing = false;
  /** Told when all calls have left or the peer is gone. */
  #idle: (() => void) | undefined;
  #reopenTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(gateway: PlainGateway, peer: PlainPeer) {
    this.#gateway = gateway;
    this.#peer = peer;
  }

  /** The peer is there, for the first time or again: offers it as a link. */
  open(): void {
    if (this.#isUp) return;
    this.#isUp = true;
    this.#offer();
    this.#serve();
  }

  /** What the peer said to a request: the body frames of its message. Anything may be given. */
  answer(id: number, frames: readonly Uint8Array[]): void {
    const call = this.#take(id);
    if (!call)
      return this.#gateway.use.trouble("strange reply", () => "a reply to a request that was never sent was dropped");
    if (call.ended)
      this.#gateway.use.trouble("late reply", () => `a reply came after its call of ${call.path} had ended`);
    else if (call.oneWay) call.reply();
    else settle(call, readPlainReply(frames));
    this.#freed();
  }

  /** A request has left to a peer that never answers. */
  sent(id: number): void {
    const call = this.#take(id);
    if (call && !call.ended) call.reply();
    this.#freed();
  }

  /** The peer is gone, with all that it held. It may be opened again. */
  lose(reason: string): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    clearTimeout(this.#reopenTimer);
    this.#idle?.();
    // Where nobody answers, what is here waits for the next peer.
    const gone = this.#gateway.use.oneWayOnly ? [] : this.#clear();
    this.#session?.lose(reason);
    for (const call of gone) this.#drop(call, reason);
  }

  /**
   * Ends it, of which the user of the link is not told. One-way calls that are still here, since the peer has as many
   * as it may have, get up to `lingerMs` to leave; of those that do not, `trouble` is told.
   */
  async close(lingerMs: number): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#reopenTimer);
    this.#session?.close();
    // What the user has said before it hung up may still be on its way within this process.
    await new Promise<void>(inNextTurn);
    if (this.#unsent > 0 && this.#isUp) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, lingerMs);
        this.#idle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#isUp = false;
    for (const call of this.#clear()) this.#drop(call, "the transport was closed");
  }

  /** Calls that have not left yet. */
  get #unsent(): number {
    return this.#waiting.size + (this.#gateway.use.oneWayOnly ? this.#held.size : 0);
  }

  #offer(): void {
    if (!this.#isUp || this.#isClosing || this.#forgotten >= this.#gateway.use.callsPerPeer) return;
    if (this.#session?.draining) this.#session.hangUp("the peer is free again");
    if (this.#session) return;
    const session = new PlainSession(this.#gateway, this.#peer.remoteAddress, {
      run: (call) => this.#run(call),
      ended: (call) => this.#ended(call),
      refuse: (path, oneWay, isWhole) => this.#refusal(path, oneWay, isWhole),
      over: () => {
        if (this.#session === session) this.#over(session);
      },
    });
    this.#session = session;
    session.open();
  }

  /** Whoever used the link has hung up; it is offered again, at once only if this end asked for that. */
  #over({ draining }: PlainSession): void {
    this.#session = undefined;
    clearTimeout(this.#reopenTimer);
    if (!this.#isUp || this.#isClosing) return;
    if (draining) this.#offer();
    else this.#reopenTimer = setTimeout(() => this.#offer(), reopenMs);
  }

  #refusal(path: string, oneWay: boolean, isWhole: boolean): RpcError | undefined {
    if (!isWhole) return unimplemented(`${path} streams its requests`);
    if (!oneWay && this.#gateway.use.oneWayOnly) return unimplemented(`${path} wants a reply`);
    return isPlainPath(path) ? undefined : unimplemented(`${JSON.stringify(path.slice(0, 80))} is no name of a method`);
  }

  #run(call: IncomingCall): void {
    if (this.#isUp && this.#held.size < this.#gateway.use.callsPerPeer) this.#send(call);
    else this.#waiting.add(call);
  }

  #send(call: IncomingCall): void {
    while (this.#held.has(this.#nextId)) this.#nextId = (this.#nextId % 0xffffffff) + 1;
    const id = this.#nextId;
    this.#nextId = (id % 0xffffffff) + 1;
    const { path, metadata } = call;
    const parts = { path, metadata, body: call.request as Uint8Array, timeoutMs: call.timeRemainingMs() };
    this.#held.set(id, call);
    this.#heldCalls.add(call);
    if (!this.#peer.send(id, encodePlainRequest(parts, this.#gateway.use.header))) this.lose("the peer is gone");
  }

  /** A call is over, however it ended. */
  #ended(call: IncomingCall): void {
    if (this.#waiting.delete(call) && call.oneWay && call.status === "aborted")
      this.#gateway.use.trouble("one-way", () => `a one-way call of ${call.path} waited longer than its time-out`);
    if (!this.#heldCalls.has(call)) return;
    this.#forgotten += 1;
    if (this.#forgotten >= this.#gateway.use.callsPerPeer) this.#session?.goAway("the peer is still busy");
  }

  #take(id: number): IncomingCall | undefined {
    const call = this.#held.get(id);
    if (!call) return undefined;
    this.#held.delete(id);
    this.#heldCalls.delete(call);
    if (call.ended) this.#forgotten -= 1;
    return call;
  }

  /** Forgets all calls, and returns them. */
  #clear(): readonly IncomingCall[] {
    const calls = [...this.#heldCalls, ...this.#waiting];
    this.#held.clear();
    this.#heldCalls.clear();
    this.#waiting.clear();
    this.#forgotten = 0;
    return calls;
  }

  #freed(): void {
    this.#serve();
    if (this.#unsent === 0) this.#idle?.();
    this.#offer();
  }

  #serve(): void {
    for (const call of this.#waiting) {
      if (!this.#isUp || this.#held.size >= this.#gateway.use.callsPerPeer) return;
      this.#waiting.delete(call);
      this.#send(call);
    }
  }

  /** Only one-way calls outlive their session; nobody hears of it if not here. */
  #drop(call: IncomingCall, reason: string): void {
    if (call.ended) return;
    call.fail(new RpcError(Status.UNAVAILABLE, reason));
    this.#gateway.use.trouble(
      "one-way",
      () => `a one-way call of ${call.path} may not have been carried out: ${reason}`,
    );
  }
}

/** Ends a call as its answer says. */
function settle(call: IncomingCall, { error, body, header, trailer }: PlainAnswer): void {
  try {
    if (header) call.setHeader(header);
    if (trailer) call.setTrailer(trailer);
  } catch (cause) {
    call.fail(new RpcError(Status.RESOURCE_EXHAUSTED, (cause as Error).message));
    return;
  }
  if (error) call.fail(error);
  else call.reply(body);
}

function unimplemented(why: string): RpcError {
  return new RpcError(Status.UNIMPLEMENTED, `${why}, which the plain peer at the other end cannot do`);
}
