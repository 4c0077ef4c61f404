import { bodyCodec, protobuf } from "./binding.ts";
import type { StackParts } from "./binding.ts";
import type { CallPort } from "./call-half.ts";
import { defaultLimits } from "./limits.ts";
import type { Limits } from "./limits.ts";
import { Outbox } from "./outbox.ts";
import { FrameReader } from "./records.ts";
import type { Operation, OperationTable } from "./operation.ts";
import { ServerCall } from "./request-context.ts";
import type { CalleeOwner, ReplyInstead } from "./request-context.ts";
import { RpcError } from "./rpc-error.ts";
import { unimplemented } from "./refusals.ts";
import { ServerSession, readyBatch } from "./server-session.ts";
import type { ServerSessionOwner } from "./server-session.ts";
import { peerOf } from "./session-context.ts";
import type { SessionCount } from "./session-count.ts";
import { maxFrameBytes, sessionParts } from "./session-parts.ts";
import type { EndSettings, SessionSettings } from "./session.ts";
import { Status } from "./status.ts";
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

/** How long a plain request has that does not say: nothing tells when its caller has gone. */
const plainTimeoutMs = 30_000;
/** How long an answer that was just handed over may need to leave the process. */
const lingerMs = 1_000;
/** How long clients that are owed nothing may take to hang up. */
const hangUpMs = 250;

/** The serving side of one address: its sessions, its plain requests, and how both end. */
export class ServingEnd implements AttachmentListener, ServerSessionOwner, CalleeOwner {
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
  readonly #plain: CallPort;
  /** Calls that belong to no session, or no longer. */
  readonly #loose = new Set<ServerCall>();
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
    this.#plain = plainPort(settings.session.limits);
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
    const operation = this.table.resolve(request.path);
    const refusal = this.#plainRefusal(request, operation);
    if (refusal || !operation) {
      request.fail(refusal ?? unimplemented(request.path));
      return;
    }
    const deadlineMs = now() + (request.timeoutMs > 0 ? request.timeoutMs : plainTimeoutMs);
    const oneWay = operation.oneWay || request.over !== undefined;
    const head = {
      operation,
      session: undefined,
      peer: peerOf(request),
      metadata: request.metadata,
      deadlineMs,
      oneWay,
    };
    const call = new ServerCall(this, this.#plain, 0, head, new PlainReply(request));
    this.#loose.add(call);
    if (!oneWay)
      request.onGone((reason) => call.abort(new RpcError(Status.CANCELLED, `the caller is gone: ${reason}`)));
    // A REQ waits for its answer even where the contract has none.
    if (operation.oneWay && !request.over) request.reply(new Uint8Array(), undefined, undefined);
    const body = new FrameReader(request.body);
    let message: unknown;
    try {
      message = this.#plain.codec.read(operation.descriptor.input, body, body.len);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      call.fail(
        new RpcError(Status.INTERNAL, `the second frame is no ${operation.descriptor.input.$type}: ${why}`, { cause }),
      );
      return;
    }
    call.openWith(message);
  }

  trouble(problem: string): void {
    this.#settings.onTrouble(problem);
  }

  admitSession(): boolean {
    return this.#settings.sessions.admit();
  }

  enter(call: ServerCall): void {
    this.table.enter(call);
  }

  callOver(call: ServerCall): void {
    if (this.#loose.size > 0) this.#loose.delete(call);
    this.#idle?.();
  }

  outlives(call: ServerCall): void {
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

  finished(call: ServerCall): void {
    if (!this.#loose.delete(call)) return;
    this.table.released(call);
    this.#idle?.();
  }

  get #openCalls(): number {
    let open = this.#loose.size;
    for (const session of this.#sessions) open += session.incomingCalls + (session.outbox.isHolding ? 1 : 0);
    return open;
  }

  #plainRefusal({ path, body }: PlainRequest, operation: Operation | undefined): RpcError | undefined {
    const { maxMessageBytes } = this.#session.limits;
    if (body.byteLength > maxMessageBytes) {
      return new RpcError(
        Status.RESOURCE_EXHAUSTED,
        `the request has ${body.byteLength} bytes, more than the ${maxMessageBytes} that the server accepts (its limit maxMessageBytes)`,
      );
    }
    if (this.draining) return closing(path);
    if (!operation) return undefined;
    if (operation.notPlain === undefined) return this.table.admit(operation);
    const text = `${path} ${operation.notPlain}, which the plain profile cannot carry; call it with the native profile`;
    return new RpcError(Status.UNIMPLEMENTED, text);
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

/** The answer to calls that a closing server does not wait for. */
function closing(path: string): RpcError {
  return new RpcError(Status.UNAVAILABLE, `${path}: the server is closing`);
}

/** Plain requests know no elements, windows or fragments; their port only decodes. */
function plainPort(limits: Limits): CallPort {
  const codec = bodyCodec({ elements: [], encoder: protobuf });
  const nothing = (): void => undefined;
  const told = { sendFailed: nothing, released: nothing, relieved: nothing, overrun: nothing };
  const port = { openCalls: 0, send: () => false, ...told };
  const outbox = new Outbox(port, codec);
  outbox.close();
  return { outbox, codec, limits, peerLimits: defaultLimits, joining: 0 };
}

/** Answers a plain request in the place of records. */
class PlainReply implements ReplyInstead {
  readonly #request: PlainRequest;

  constructor(request: PlainRequest) {
    this.#request = request;
  }

  end(call: ServerCall, error: RpcError | undefined, value: unknown): void {
    if (this.#request.over) return this.#request.over(error);
    if (call.operation.oneWay) return;
    if (error) {
      const { code, message, details } = error;
      this.#request.fail(
        new RpcError(code, message, {
          details,
          header: call.blocks.header,
          trailer: error.trailer ?? call.blocks.trailer,
        }),
      );
      return;
    }
    const body = call.encodeReply(value);
    if (body instanceof RpcError) this.#request.fail(body);
    else this.#request.reply(body, call.blocks.header, call.blocks.trailer);
  }
}
