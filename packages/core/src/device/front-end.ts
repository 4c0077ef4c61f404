import type { StackParts } from "../binding.ts";
import { endInfo } from "../end.ts";
import { metadataToEntries } from "../metadata.ts";
import { Flag } from "../records.ts";
import { unimplemented } from "../refusals.ts";
import { RpcError } from "../rpc-error.ts";
import { readyBatch } from "../server-session.ts";
import { maxFrameBytes } from "../session-parts.ts";
import type { SessionCount } from "../session-count.ts";
import type { EndSettings, SessionSettings } from "../session.ts";
import { Status } from "../status.ts";
import { now } from "../timer-wheel.ts";
import type { Attachment, AttachmentListener, Link, LinkReceiver, PlainRequest } from "../transport.ts";
import type { CallSwitch } from "./call-switch.ts";
import type { DeviceEndpoint } from "./device-options.ts";
import { FrontSession, methodOf } from "./front-session.ts";
import type { FrontSessionOwner } from "./front-session.ts";
import { passingParts } from "./passing.ts";
import { PlainCall } from "./plain-call.ts";

/** What the ends of a device have in common. */
export interface DeviceEndSettings {
  readonly hub: CallSwitch;
  readonly session: EndSettings;
  readonly onTrouble: (problem: string) => void;
}

/** What those in front have besides. */
export interface FrontEndSettings extends DeviceEndSettings {
  readonly epoch: Uint8Array;
  /** Sessions of all ends in front together. */
  readonly sessions: SessionCount;
  /** Told whenever a call or a session has ended. */
  readonly moved: () => void;
}

/** How long a plain request has that does not say. */
const plainTimeoutMs = 30_000;
/** How long an answer that was just handed over may need to leave the process. */
const lingerMs = 1_000;

/** One address in front of a device: its clients. */
export class FrontEnd implements AttachmentListener, FrontSessionOwner {
  draining = false;
  readonly hub: CallSwitch;
  readonly epoch: Uint8Array;
  readonly info: string = endInfo;
  readonly moved: () => void;
  readonly #endpoint: DeviceEndpoint;
  readonly #stack: StackParts;
  readonly #settings: FrontEndSettings;
  readonly #session: SessionSettings;
  readonly #sessions = new Set<FrontSession>();
  readonly #plain = new Set<PlainCall>();
  /** Those that were owed something when draining began. */
  #owed: readonly FrontSession[] = [];
  #attachment: Attachment | undefined;

  constructor(endpoint: DeviceEndpoint, stack: StackParts, settings: FrontEndSettings) {
    this.#endpoint = endpoint;
    this.#stack = stack;
    this.#settings = settings;
    this.hub = settings.hub;
    this.epoch = settings.epoch;
    this.moved = settings.moved;
    this.#session = { ...settings.session, ...passingParts(stack) };
  }

  /** The real address, once attached. */
  get address(): string {
    return this.#attachment?.address ?? "";
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** Calls that have not ended, and answers that have not left. */
  get openCalls(): number {
    let open = this.#plain.size;
    for (const session of this.#sessions) open += session.openCalls + (session.outbox.isHolding ? 1 : 0);
    return open;
  }

  /** Whether clients that were owed something are still there. */
  get isOwing(): boolean {
    return this.#owed.some(({ over }) => !over);
  }

  async attach(): Promise<void> {
    const { address, attach: mode = "bind" } = this.#endpoint;
    // What the workers behind serve changes with them, so nothing is promised and nothing ruled out.
    const greeting = mode === "connect" ? { greeting: readyBatch([], this.info) } : {};
    const options = { mode, maxFrameBytes: maxFrameBytes(this.#session.limits), ...greeting };
    this.#attachment = await this.#stack.transport.attach(address, options, this);
  }

  /** Takes nothing new, and asks clients to go elsewhere. */
  drain(): void {
    this.draining = true;
    this.#owed = [...this.#sessions].filter((session) => session.openCalls > 0 || session.isOwed);
    for (const session of [...this.#sessions]) session.goAway("the device is closing");
  }

  /** Ends every call and session and frees the address. */
  async close(): Promise<void> {
    this.draining = true;
    for (const session of [...this.#sessions]) session.failAll(closing);
    for (const call of [...this.#plain]) call.fail(closing(call.method.path));
    for (const session of [...this.#sessions]) session.hangUp("the device is closing");
    await this.#attachment?.close(lingerMs);
    this.#attachment = undefined;
  }

  accept(link: Link): LinkReceiver {
    const session = new FrontSession(link, this.#session, this);
    this.#sessions.add(session);
    return session;
  }

  acceptPlain(request: PlainRequest): void {
    const { path, body, metadata, timeoutMs } = request;
    const method = methodOf(path);
    const refusal = this.#plainRefusal(request);
    if (refusal || !method) {
      this.#settings.session.count("refused call");
      request.fail(refusal ?? unimplemented(path));
      return;
    }
    const opening = {
      method,
      metadata: metadata ? metadataToEntries(metadata) : [],
      metadataBytes: metadata?.byteLength ?? 0,
      deadlineMs: now() + (timeoutMs > 0 ? timeoutMs : plainTimeoutMs),
      flags: Flag.END | Flag.MESSAGE,
      body,
    };
    const call: PlainCall = new PlainCall(this.hub, request, opening, () => {
      this.#plain.delete(call);
      this.moved();
    });
    this.#plain.add(call);
    call.dispatch();
  }

  trouble(problem: string): void {
    this.#settings.onTrouble(problem);
  }

  admitSession(): boolean {
    return this.#settings.sessions.admit();
  }

  over(session: FrontSession, admitted: boolean): void {
    this.#sessions.delete(session);
    if (admitted) this.#settings.sessions.leave();
    this.moved();
  }

  #plainRefusal({ path, body }: PlainRequest): RpcError | undefined {
    const { limits, encoding, elements } = this.#session;
    if (body.byteLength > limits.maxMessageBytes) {
      const text = `the request has ${body.byteLength} bytes, more than the ${limits.maxMessageBytes} that the device accepts (its limit maxMessageBytes)`;
      return new RpcError(Status.RESOURCE_EXHAUSTED, text);
    }
    if (this.draining) return closing(path);
    if (encoding === "protobuf" && elements.length === 0) return undefined;
    const text = `${path}: plain requests cannot pass a device whose binding has message elements or an encoder of its own`;
    return new RpcError(Status.UNIMPLEMENTED, text);
  }
}

/** The answer to calls that a closing device does not wait for. */
function closing(path: string): RpcError {
  return new RpcError(Status.UNAVAILABLE, `${path}: the device is closing`);
}
