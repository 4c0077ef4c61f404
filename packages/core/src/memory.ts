import type { TransportElement } from "./binding.ts";
import type { AttachOptions, Attachment, AttachmentListener, Link, LinkReceiver } from "./transport.ts";
import { inNextTurn } from "./turn.ts";

const reconnectMs = 10;

/** Names of one process, like the endpoints of ZeroMQ's inproc: who binds them, and who waits for that. */
const bound = new Map<string, MemoryListener>();
const waiting = new Map<string, Set<MemoryConnector>>();
let generated = 0;

/**
 * The transport that stays in the process: `memory://NAME`, or `memory://*` to bind a name of its own. Messages are
 * the same frames as everywhere else, delivered in a later turn of the event loop. Both ends may start in any order.
 * Connections keep no process alive.
 */
export function memory(): TransportElement {
  return {
    kind: "transport",
    name: "memory",
    schemes: ["memory"],
    check,
    attach(address, options, listener) {
      check(address, options.mode);
      return Promise.resolve(
        options.mode === "bind" ? bind(address, listener) : new MemoryConnector(address, options, listener),
      );
    },
  };
}

function check(address: string, mode: AttachOptions["mode"]): void {
  if (!/^memory:\/\/\S+$/.test(address))
    throw new TypeError(`"${address}" is no address of the memory transport, which look like memory://name`);
  if (mode === "connect" && address === "memory://*")
    throw new TypeError(`"${address}" can only be bound; connect to the address that the host tells`);
}

function bind(address: string, listener: AttachmentListener): Attachment {
  const name = address === "memory://*" ? `memory://generated-${++generated}` : address;
  if (bound.has(name)) throw new Error(`${name} is in use: something else in this process has bound it`);
  const attachment = new MemoryListener(name, listener);
  bound.set(name, attachment);
  for (const connector of waiting.get(name) ?? []) connector.connectSoon(0);
  return attachment;
}

/** One end of a connection: what it sends arrives at the other end a turn later. */
class MemoryLink implements Link {
  readonly remoteAddress: string;
  readonly #onClose: (link: MemoryLink) => void;
  readonly #onRetire: (link: MemoryLink) => void;
  readonly #inbox: (readonly Uint8Array[])[] = [];
  #receiver: LinkReceiver | undefined;
  #other: MemoryLink | undefined;
  #delivering = false;

  constructor(remoteAddress: string, on: { close: (link: MemoryLink) => void; retire?: (link: MemoryLink) => void }) {
    this.remoteAddress = remoteAddress;
    this.#onClose = on.close;
    this.#onRetire = on.retire ?? (() => undefined);
  }

  static join(left: MemoryLink, right: MemoryLink): void {
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
    this.#onClose(this);
    this.#receiver = undefined;
    const other = this.#other;
    this.#other = undefined;
    if (!other) return;
    other.#other = undefined;
    other.#deliver(undefined);
  }

  /** Frames, or the end of the connection, in their order. */
  #deliver(frames: readonly Uint8Array[] | undefined): void {
    this.#inbox.push(frames ?? []);
    if (this.#delivering) return;
    this.#delivering = true;
    inNextTurn(() => {
      this.#delivering = false;
      for (const message of this.#inbox.splice(0)) {
        const receiver = this.#receiver;
        if (message.length > 0) receiver?.receive(message);
        else {
          this.#receiver = undefined;
          this.#onClose(this);
          receiver?.lost("the other end has closed the connection");
        }
      }
    });
  }
}

/** Resolves when what was sent before has arrived. */
function delivered(): Promise<void> {
  return new Promise(inNextTurn);
}

class MemoryListener implements Attachment {
  readonly address: string;
  readonly #listener: AttachmentListener;
  readonly #links = new Set<MemoryLink>();

  constructor(address: string, listener: AttachmentListener) {
    this.address = address;
    this.#listener = listener;
  }

  /** Takes the other end of a new connection. */
  accept(peer: MemoryLink): void {
    const link = new MemoryLink("memory", { close: (closed) => this.#links.delete(closed) });
    this.#links.add(link);
    MemoryLink.join(link, peer);
    link.receiveWith(this.#listener.accept(link));
  }

  close(): Promise<void> {
    if (bound.get(this.address) === this) bound.delete(this.address);
    for (const link of [...this.#links]) link.close();
    return delivered();
  }
}

class MemoryConnector implements Attachment {
  readonly address: string;
  readonly #greeting: Uint8Array | undefined;
  readonly #listener: AttachmentListener;
  readonly #links = new Set<MemoryLink>();
  /** The newest link; it is the one that is replaced when it closes. */
  #current: MemoryLink | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(address: string, options: AttachOptions, listener: AttachmentListener) {
    this.address = address;
    this.#greeting = options.greeting;
    this.#listener = listener;
    const others = waiting.get(address) ?? new Set();
    waiting.set(address, others.add(this));
    this.#connect();
  }

  /** Connects after a pause, unless it does already. */
  connectSoon(delayMs: number): void {
    if (this.#closed || this.#current || this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#connect();
    }, delayMs);
  }

  close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const others = waiting.get(this.address);
    others?.delete(this);
    if (others?.size === 0) waiting.delete(this.address);
    for (const link of [...this.#links]) link.close();
    return delivered();
  }

  #connect(): void {
    if (this.#closed || this.#current) return;
    const listener = bound.get(this.address);
    if (!listener) {
      // Whoever binds the name will wake everybody that waits for it.
      this.#listener.trouble(`${this.address}: nothing in this process has bound it yet`);
      return;
    }
    const successor = (link: MemoryLink): void => {
      if (this.#current !== link) return;
      this.#current = undefined;
      this.connectSoon(reconnectMs);
    };
    const link = new MemoryLink(this.address, {
      close: (closed) => {
        this.#links.delete(closed);
        successor(closed);
      },
      retire: successor,
    });
    this.#current = link;
    this.#links.add(link);
    listener.accept(link);
    link.receiveWith(this.#listener.accept(link));
    if (this.#greeting) link.send([this.#greeting]);
  }
}
