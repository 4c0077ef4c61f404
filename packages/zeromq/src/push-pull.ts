import { PlainGateway, PlainLink, RpcError, Status } from "@zerobind/core";
import type { AttachOptions, Attachment, AttachmentListener, PlainPeer, TransportElement } from "@zerobind/core";
import { AddressGate } from "./gate.ts";
import { openSocket, socketTroubles, unheardOptions } from "./open-socket.ts";
import type { OpenSocket, SocketPlan } from "./open-socket.ts";
import { toSettings, zeromqOptions } from "./options.ts";
import type { ZeromqOptions } from "./options.ts";
import { readPlainCall } from "./plain.ts";
import type { PlainCall } from "./plain.ts";
import { PulledCall } from "./pulled-call.ts";
import type { SocketEvents } from "./socket.ts";
import { Troubles } from "./trouble.ts";

/** Settings of one-way calls over PUSH and PULL. */
export interface PushPullOptions extends Omit<ZeromqOptions, "profile" | "callsPerPeer" | "answerTimeoutMs"> {
  /**
   * Messages that ZeroMQ keeps for each connection, on each end. They are lost with the process that has them, and
   * those for one peer wait for it even if others are idle. Default 100.
   */
  readonly highWaterMark?: number;
  /**
   * Bytes that the system is to keep for each connection, on this end, beyond those messages. Small jobs pile up there
   * by thousands, at the first host that connects; the sender's end counts most. Small buffers make far networks slow.
   * For tcp; the system may keep twice as much, or not allow so much. Default 0: as the system has it, some megabytes.
   */
  readonly bufferBytes?: number;
  /** Client: calls that wait in this process for room at a server, before the channel makes callers wait. Default 1,000. */
  readonly maxWaitingCalls?: number;
  /**
   * Host: calls whose handlers may run at once; more are not received, so that they wait at their clients or go to
   * other hosts. Default 100. It must not be more than the host's own limits allow, which refuse what is beyond.
   */
  readonly maxRunningCalls?: number;
}

const ownDefaults = { highWaterMark: 100, maxWaitingCalls: 1_000, maxRunningCalls: 100, bufferBytes: 0 };
type OwnSettings = typeof ownDefaults;
const known = ["tcp", "ipc", "ws"] as const;
const unfit = ["profile", "callsPerPeer", "answerTimeoutMs"];
const optionNames = [...Object.keys(ownDefaults), ...zeromqOptions.filter((name) => !unfit.includes(name))];

/**
 * A transport for one-way calls and nothing else: PUSH on the calling end, PULL on the serving end; either may bind. Calls
 * go in turn to all hosts that have room. A call resolves when this process has it in its queue; what happens to it
 * then, nobody is told. Contracts with methods that are not one-way are refused. Peers of other languages send, or
 * receive, `[method][message]`, see docs/protocol.md. TypeError for options that do not exist or cannot be.
 */
export function pushPull(options: PushPullOptions = {}): TransportElement {
  const own = { ...ownDefaults };
  const rest: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    if (!optionNames.includes(name))
      throw new TypeError(`pushPull() has no option "${name}"; it has ${optionNames.join(", ")}`);
    if (!Object.hasOwn(ownDefaults, name)) rest[name] = value;
    else if (value !== undefined) own[name as keyof OwnSettings] = countOf(name, value);
  }
  const settings = toSettings(rest);
  const gate = new AddressGate(settings);
  return {
    kind: "transport",
    name: "push/pull",
    schemes: known,
    lacks: ["replies", "streams", "sessions", "callbacks"],
    check: (address, mode) => void gate.check(address, mode),
    async attach(address, attachOptions, listener) {
      const { mode, maxFrameBytes } = attachOptions;
      const parsed = gate.pass(address, mode);
      const isHost = listener.acceptPlain !== undefined;
      const plan: SocketPlan = {
        kind: isHost ? "pull" : "push",
        mode,
        parsed,
        settings,
        maxFrameBytes,
        own: { ...unheardOptions, ...(isHost ? pullOptions(own) : pushOptions(own)) },
      };
      const end = isHost ? new PullEnd(plan, own, listener) : new PushEnd(plan, own, attachOptions, listener);
      await end.open();
      return end;
    },
  };
}

function countOf(name: string, value: unknown): number {
  const [from, to] = name === "bufferBytes" ? [0, 0x7fffffff] : [1, 1_000_000];
  if (typeof value === "number" && Number.isInteger(value) && value >= from && value <= to) return value;
  throw new TypeError(
    `option ${name} of pushPull() must be a whole number from ${from} to ${to}, not ${String(value)}`,
  );
}

function pushOptions({ highWaterMark, bufferBytes }: OwnSettings): Readonly<Record<string, unknown>> {
  const buffer = bufferBytes > 0 && { sendBufferSize: bufferBytes };
  return { sendTimeout: -1, sendHighWaterMark: highWaterMark, ...buffer };
}

function pullOptions({ highWaterMark, bufferBytes }: OwnSettings): Readonly<Record<string, unknown>> {
  return { receiveHighWaterMark: highWaterMark, ...(bufferBytes > 0 && { receiveBufferSize: bufferBytes }) };
}

/** What both ends have in common. */
abstract class PipeEnd implements Attachment, SocketEvents {
  protected readonly plan: SocketPlan;
  protected readonly troubles: Troubles;
  protected opened: OpenSocket | undefined;
  #closing: Promise<void> | undefined;

  constructor(plan: SocketPlan, listener: AttachmentListener) {
    this.plan = plan;
    this.troubles = new Troubles((problem) => listener.trouble(`${this.address}: ${problem}`));
  }

  get address(): string {
    return this.opened?.address ?? this.plan.parsed.endpoint;
  }

  async open(): Promise<void> {
    this.opened = await openSocket(this.plan, this);
  }

  close(lingerMs: number): Promise<void> {
    this.#closing ??= this.onClose(lingerMs);
    return this.#closing;
  }

  /** Trouble with keys, in words. */
  protected told(type: string, words: string): void {
    this.troubles.report(type, () => words);
  }

  abstract message(frames: Buffer[]): void | Promise<void>;
  protected abstract onClose(lingerMs: number): Promise<void>;

  event(type: string, code: string): void {
    if (type === "connect:retry")
      this.troubles.report(
        "connect",
        () => "connection refused, nobody is listening or the host cannot be found; trying again",
      );
    else if (type === "stranger")
      this.troubles.report(
        type,
        () => `the other end is not the other half of PUSH and PULL, or does not speak ZeroMQ: ${code}`,
      );
    else if (socketTroubles.has(type)) this.told(type, code);
    else if (type === "receive:error")
      this.troubles.report(type, () => `cannot receive any more (${code}); close this end and open it again`);
  }
}

/** The calling end: one PUSH, shown as one link for as long as some PULL is there. */
class PushEnd extends PipeEnd implements PlainPeer {
  readonly #gateway: PlainGateway;
  readonly #link: PlainLink;
  readonly #refused: (words: string) => void;
  #connections = 0;

  constructor(plan: SocketPlan, own: OwnSettings, options: AttachOptions, listener: AttachmentListener) {
    super(plan, listener);
    this.#gateway = new PlainGateway(options, (link) => listener.accept(link), {
      // The next is handed over when this one has found room.
      callsPerPeer: 1,
      maxOpenCalls: own.maxWaitingCalls,
      header: plan.settings.plainHeader,
      oneWayOnly: true,
      trouble: (kind, describe) => this.troubles.report(kind, describe),
    });
    this.#link = new PlainLink(this.#gateway, this);
    this.#refused = (words) => listener.trouble(`${this.address}: ${words}`, true);
  }

  get remoteAddress(): string {
    return this.address;
  }

  send(id: number, frames: Uint8Array[]): boolean {
    void this.opened?.sendWhenRoom(frames).then((isSent) => {
      if (isSent) this.#link.sent(id);
    });
    return true;
  }

  override event(type: string, code: string): void {
    // A connection counts from its beginning, since some transports tell of a handshake twice; the link waits for one.
    if (type === "accept" || type === "connect") this.#connections += 1;
    else if (type === "handshake") this.#link.open();
    else if (type === "disconnect") {
      this.#connections = Math.max(this.#connections - 1, 0);
      if (this.#connections === 0) this.#link.lose("the last peer has disconnected");
    } else if (type === "lost") {
      this.#connections = 0;
      this.#link.lose("its connections were ended, to be made anew");
    } else super.event(type, code);
  }

  /** Calls fail by it, where they do not wait. */
  protected override told(type: string, words: string): void {
    if (type === "refused") this.#refused(words);
    else super.told(type, words);
  }

  message(): void {
    // PUSH receives nothing.
  }

  protected async onClose(lingerMs: number): Promise<void> {
    await this.#link.close(lingerMs);
    await this.opened?.close(lingerMs);
    this.#gateway.close();
  }
}

/** The serving end: one PULL, which receives as long as there is room for another call. */
class PullEnd extends PipeEnd {
  readonly #own: OwnSettings;
  readonly #listener: AttachmentListener;
  #running = 0;
  #isDraining = false;
  #resume: (() => void) | undefined;

  constructor(plan: SocketPlan, own: OwnSettings, listener: AttachmentListener) {
    super(plan, listener);
    this.#own = own;
    this.#listener = listener;
  }

  /** `[method][message][header]?` */
  message(frames: Buffer[]): void | Promise<void> {
    let call: PlainCall;
    try {
      call = readPlainCall(frames, this.plan.settings.maxMetadataBytes);
    } catch (thrown) {
      return this.troubles.report("plain", () => `a one-way call was dropped: ${RpcError.from(thrown).message}`);
    }
    this.#running += 1;
    this.#listener.acceptPlain?.(
      new PulledCall(call, this.address, (error, refused) => this.#over(call, error, refused)),
    );
    if (this.#running < this.#own.maxRunningCalls && !this.#isDraining) return;
    return new Promise((resolve) => (this.#resume = resolve));
  }

  protected async onClose(lingerMs: number): Promise<void> {
    this.#resume?.();
    await this.opened?.close(lingerMs);
  }

  #over({ path }: PlainCall, error: RpcError | undefined, wasRefused: boolean): void {
    this.#running -= 1;
    if (error) this.troubles.report("failed", () => `a one-way call of ${path} failed: ${error.message}`);
    // A host that closes refuses; what it does not receive may still find another.
    this.#isDraining ||= wasRefused && error?.code === Status.UNAVAILABLE;
    if (this.#isDraining || this.#running >= this.#own.maxRunningCalls) return;
    this.#resume?.();
    this.#resume = undefined;
  }
}
