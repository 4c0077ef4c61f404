import { bodyCodec, protobuf } from "./binding.ts";
import type { MethodDescriptor } from "./contract.ts";
import { defaultLimits } from "./limits.ts";
import { rawType } from "./message.ts";
import type { IncomingCall, Operation, OperationTable } from "./operation.ts";
import { PairedLink } from "./paired-link.ts";
import { Flag } from "./records.ts";
import type { RpcError } from "./rpc-error.ts";
import { ServerSession, readyBatch } from "./server-session.ts";
import type { ServerSessionOwner } from "./server-session.ts";
import type { SessionSettings } from "./session.ts";
import { TimerWheel } from "./timer-wheel.ts";
import type { Link, LinkReceiver } from "./transport.ts";

const info = "plain peer";
/** For signs of life, which nothing here asks for: the other end is in the same process. */
const idleWheel = new TimerWheel(false);

/** The settings of a session that is answered in the place of a plain peer. */
export function plainSessionSettings(
  maxFrameBytes: number,
  maxConcurrentCalls: number,
  count: (what: string) => void,
): SessionSettings {
  return {
    limits: { ...defaultLimits, maxMessageBytes: maxFrameBytes, maxConcurrentCalls },
    codec: bodyCodec({ elements: [], encoder: protobuf }),
    // What the plain profile says that bodies are.
    encoding: protobuf.name,
    elements: [],
    compression: undefined,
    pingIntervalMs: Infinity,
    pingTimeoutMs: Infinity,
    watchWheel: idleWheel,
    count,
    onDefect: (error) => count(`an internal error: ${String(error)}`),
  };
}

/** What the sessions of one attachment share. */
export interface PlainSessionParts {
  readonly settings: SessionSettings;
  readonly wheel: TimerWheel;
  readonly accept: (link: Link) => LinkReceiver;
  readonly greeting: Uint8Array | undefined;
}

/** What a session does with its calls. */
export interface PlainSessionOwner {
  /** The request of a call is there. */
  run(call: IncomingCall): void;
  /** A call is over, however it ended. */
  ended(call: IncomingCall): void;
  /** Why a call cannot be taken; `isWhole`: its request is not a stream. */
  refuse(path: string, oneWay: boolean, isWhole: boolean): RpcError | undefined;
  /** Whoever used the link has hung up. */
  over(): void;
}

/** One session with a calling end in this process, answered in the place of a plain peer. */
export class PlainSession implements ServerSessionOwner {
  readonly table: OperationTable;
  readonly wheel: TimerWheel;
  readonly maxStreamsPerSession = 0;
  readonly count: (what: string) => void;
  readonly epoch: Uint8Array = globalThis.crypto.getRandomValues(new Uint8Array(8));
  readonly info: string = info;
  draining = false;
  readonly #parts: PlainSessionParts;
  readonly #owner: PlainSessionOwner;
  readonly #session: ServerSession;
  /** The end that the session has, and the end that its user has. */
  readonly #here: PairedLink;
  readonly #there: PairedLink;

  constructor(parts: PlainSessionParts, remoteAddress: string, owner: PlainSessionOwner) {
    this.#parts = parts;
    this.#owner = owner;
    this.wheel = parts.wheel;
    this.count = parts.settings.count;
    this.table = tableOf(owner);
    const nothing = { close: () => undefined };
    this.#here = new PairedLink(remoteAddress, nothing);
    this.#there = new PairedLink(remoteAddress, nothing);
    PairedLink.join(this.#here, this.#there);
    this.#session = new ServerSession(this.#here, parts.settings, this);
    this.#here.receiveWith(this.#session);
  }

  /** Offers the link, and lets the end greet that would if the peer could. */
  open(): void {
    const { accept, greeting } = this.#parts;
    this.#there.receiveWith(accept(this.#there));
    if (greeting) this.#there.send([greeting]);
    else this.#here.send([readyBatch([], info)]);
  }

  /** Asks the user to hang up, and takes no more calls. */
  goAway(reason: string): void {
    if (this.draining) return;
    this.draining = true;
    this.#session.goAway(reason);
  }

  hangUp(reason: string): void {
    this.#session.hangUp(reason);
  }

  /** The peer is gone, of which the user is told. */
  lose(reason: string): void {
    this.#here.end(reason);
    this.#session.lost(reason);
  }

  /** Ends it without telling its user, when what that has said before is read. */
  close(): void {
    this.#there.close();
  }

  admitSession(): boolean {
    return true;
  }

  over(): void {
    this.#owner.over();
  }

  callOver(): void {
    // The table has heard of it.
  }

  outlives(): void {
    // One-way calls go on: what they need of their session they have.
  }

  outboxMoved(): void {
    // Nobody waits for that.
  }
}

/** Every method is there, as far as this end knows. */
function tableOf(owner: PlainSessionOwner): OperationTable {
  return {
    services: [],
    resolve: (path) => operationOf(path, owner),
    admit: () => undefined,
    enter(call) {
      call.stage = "running";
      call.operation.run(call);
    },
    relieved: () => undefined,
    released: (call) => owner.ended(call),
    dropped: () => undefined,
  };
}

function operationOf(path: string, owner: PlainSessionOwner): Operation {
  const name = path.slice(path.indexOf("/") + 1);
  const descriptor: MethodDescriptor = { name, localName: name, kind: "unary", input: rawType, output: rawType };
  return {
    path,
    descriptor,
    clientStreams: false,
    serverStreams: false,
    oneWay: false,
    notPlain: undefined,
    callback: undefined,
    lane: undefined,
    guard: undefined,
    refusal: (flags) => owner.refuse(path, (flags & Flag.ONEWAY) !== 0, (flags & (Flag.END | Flag.MORE)) !== 0),
    run: (call) => owner.run(call),
  };
}
