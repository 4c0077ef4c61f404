import type { AttachmentListener, Link, LinkReceiver, TransportElement } from "@zerobind/core";
import { recordsOf } from "./raw-peer.ts";
import type { ReceivedRecord } from "./raw-peer.ts";

/** One connection, whose other end is the test: what it is given arrives at once, what is sent to it is kept. */
export class DirectLink implements Link {
  readonly remoteAddress: string = "direct";
  /** Messages that our end has sent and the test has not taken. */
  sent: (readonly Uint8Array[])[] = [];
  /** Whether our end has closed it, or the test has. */
  closed = false;
  retired = false;
  #receiver: LinkReceiver | undefined;

  /** Announces it to a listener. */
  static to(listener: AttachmentListener): DirectLink {
    const link = new DirectLink();
    link.#receiver = listener.accept(link);
    return link;
  }

  send(frames: readonly Uint8Array[]): boolean {
    if (this.closed) return false;
    this.sent.push(frames);
    return true;
  }

  retire(): void {
    this.retired = true;
  }

  close(): void {
    this.closed = true;
  }

  /** One message of the test. */
  receive(...frames: Uint8Array[]): void {
    if (!this.closed) this.#receiver?.receive(frames);
  }

  /** The test ends the connection. */
  lose(): void {
    if (this.closed) return;
    this.closed = true;
    this.#receiver?.lost("the test has ended it");
  }

  /** The records that our end has sent since they were taken last. */
  take(): ReceivedRecord[] {
    return this.sent.splice(0).flatMap((frames) => recordsOf(frames));
  }
}

/** A transport without anything between the two ends, for tests that say more than any transport could carry. */
export class DirectTransport {
  readonly element: TransportElement;
  #listener: AttachmentListener | undefined;

  constructor() {
    this.element = {
      kind: "transport",
      name: "direct",
      schemes: ["direct"],
      check: () => undefined,
      attach: (address, _options, listener) => {
        this.#listener = listener;
        return Promise.resolve({ address, close: () => Promise.resolve() });
      },
    };
  }

  /** A new connection. */
  connect(): DirectLink {
    if (!this.#listener) throw new Error("nothing is attached yet");
    return DirectLink.to(this.#listener);
  }
}

/** Resolves when what this turn of the event loop had to say has been sent. */
export function endOfTurn(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
