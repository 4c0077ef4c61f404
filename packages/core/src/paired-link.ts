import type { Link, LinkReceiver } from "./transport.ts";
import { inNextTurn } from "./turn.ts";

/** One end of a connection within the process: what it sends arrives at the other end a turn later. */
export class PairedLink implements Link {
  readonly remoteAddress: string;
  readonly #onClose: (link: PairedLink) => void;
  readonly #onRetire: (link: PairedLink) => void;
  readonly #inbox: (readonly Uint8Array[] | string)[] = [];
  #receiver: LinkReceiver | undefined;
  #other: PairedLink | undefined;
  #delivering = false;

  constructor(remoteAddress: string, on: { close: (link: PairedLink) => void; retire?: (link: PairedLink) => void }) {
    this.remoteAddress = remoteAddress;
    this.#onClose = on.close;
    this.#onRetire = on.retire ?? (() => undefined);
  }

  static join(left: PairedLink, right: PairedLink): void {
    left.#other = right;
    right.#other = left;
  }

  receiveWith(receiver: LinkReceiver): void {
    this.#receiver = receiver;
  }

  send(frames: readonly Uint8Array[]): boolean {
    if (!this.#other) return false;
    this.#other.#deliver([...frames]);
    return true;
  }

  retire(): void {
    this.#onRetire(this);
  }

  close(): void {
    this.end("the other end has closed the connection");
  }

  /** Closes this end, and tells the other one why. */
  end(reason: string): void {
    this.#onClose(this);
    this.#receiver = undefined;
    const other = this.#other;
    this.#other = undefined;
    if (!other) return;
    other.#other = undefined;
    other.#deliver(reason);
  }

  /** Frames, or why the connection has ended, in their order. */
  #deliver(message: readonly Uint8Array[] | string): void {
    this.#inbox.push(message);
    if (this.#delivering) return;
    this.#delivering = true;
    inNextTurn(() => {
      this.#delivering = false;
      for (const message of this.#inbox.splice(0)) {
        const receiver = this.#receiver;
        if (typeof message !== "string") receiver?.receive(message);
        else {
          this.#receiver = undefined;
          this.#onClose(this);
          receiver?.lost(message);
        }
      }
    });
  }
}
