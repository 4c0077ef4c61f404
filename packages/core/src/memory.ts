import type { TransportElement } from "./binding.ts";
import { PairedLink } from "./paired-link.ts";
import type { AttachOptions, Attachment, AttachmentListener } from "./transport.ts";
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

/** Resolves when what was sent before has arrived. */
function delivered(): Promise<void> {
  return new Promise(inNextTurn);
}

class MemoryListener implements Attachment {
  readonly address: string;
  readonly #listener: AttachmentListener;
  readonly #links = new Set<PairedLink>();

  constructor(address: string, listener: AttachmentListener) {
    this.address = address;
    this.#listener = listener;
  }

  /** Takes the other end of a new connection. */
  accept(peer: PairedLink): void {
    const link = new PairedLink("memory", { close: (closed) => this.#links.delete(closed) });
    this.#links.add(link);
    PairedLink.join(link, peer);
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
  readonly #links = new Set<PairedLink>();
  /** The newest link; it is the one that is replaced when it closes. */
  #current: PairedLink | undefined;
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
    const successor = (link: PairedLink): void => {
      if (this.#current !== link) return;
      this.#current = undefined;
      this.connectSoon(reconnectMs);
    };
    const link = new PairedLink(this.address, {
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
