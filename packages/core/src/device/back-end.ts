import type { StackParts } from "../binding.ts";
import { helloBatch } from "../client-session.ts";
import { endInfo } from "../end.ts";
import { maxFrameBytes } from "../session-parts.ts";
import type { SessionSettings } from "../session.ts";
import type { Attachment, AttachmentListener, Link, LinkReceiver } from "../transport.ts";
import { BackSession } from "./back-session.ts";
import type { BackSessionOwner } from "./back-session.ts";
import type { CallSwitch } from "./call-switch.ts";
import type { DeviceEndpoint } from "./device-options.ts";
import type { DeviceEndSettings } from "./front-end.ts";
import { passingParts } from "./passing.ts";

/** How long a CANCEL that was just handed over may need to leave the process. */
const lingerMs = 250;

/** One address behind a device: its workers. */
export class BackEnd implements AttachmentListener, BackSessionOwner {
  readonly hub: CallSwitch;
  readonly hello: Uint8Array;
  readonly #endpoint: DeviceEndpoint;
  readonly #stack: StackParts;
  readonly #settings: DeviceEndSettings;
  readonly #session: SessionSettings;
  readonly #sessions = new Set<BackSession>();
  #attachment: Attachment | undefined;

  constructor(endpoint: DeviceEndpoint, stack: StackParts, settings: DeviceEndSettings) {
    this.#endpoint = endpoint;
    this.#stack = stack;
    this.#settings = settings;
    this.hub = settings.hub;
    this.#session = { ...settings.session, ...passingParts(stack) };
    this.hello = helloBatch(this.#session, endInfo);
  }

  /** The real address, once attached. */
  get address(): string {
    return this.#attachment?.address ?? "";
  }

  /** Calls that workers have. */
  get openCalls(): number {
    let open = 0;
    for (const session of this.#sessions) open += session.openCalls;
    return open;
  }

  /** Whether something of a call has still to leave. */
  get isHolding(): boolean {
    return [...this.#sessions].some(({ outbox }) => outbox.isHolding);
  }

  async attach(): Promise<void> {
    const { address, attach: mode = "bind" } = this.#endpoint;
    const greeting = mode === "connect" ? { greeting: this.hello } : {};
    const options = { mode, maxFrameBytes: maxFrameBytes(this.#session.limits), ...greeting };
    this.#attachment = await this.#stack.transport.attach(address, options, this);
  }

  async close(): Promise<void> {
    for (const session of [...this.#sessions]) session.hangUp("the device is closing");
    await this.#attachment?.close(lingerMs);
    this.#attachment = undefined;
  }

  accept(link: Link): LinkReceiver {
    const session = new BackSession(link, this.#session, this);
    this.#sessions.add(session);
    return session;
  }

  trouble(problem: string): void {
    this.#settings.onTrouble(problem);
  }

  over(session: BackSession, reason: string, isFatal: boolean): void {
    this.#sessions.delete(session);
    if (isFatal || session.wasRefused) this.#settings.onTrouble(`a worker at ${session.link.remoteAddress}: ${reason}`);
  }
}
