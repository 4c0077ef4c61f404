import type { MessagePort } from "node:worker_threads";
import { binding } from "@zerobind/core";
import type { AttachOptions, Attachment, AttachmentListener, Binding, Link, TransportElement } from "@zerobind/core";
import { structured } from "./structured-encoder.ts";

/** Both ends of a port are one connection: there is only one, and no other takes its place. */
const address = "thread://port";

/**
 * How the two ends of a MessagePort talk: the calls of every other binding, with messages as structured clones.
 * `keepsAlive`: whether the thread of this end goes on for as long as the port is open.
 */
export function portBinding(port: MessagePort, keepsAlive: boolean): Binding {
  return binding(structured, portTransport(port, keepsAlive));
}

/** The address that either end attaches to. */
export const portAddress: string = address;

function portTransport(port: MessagePort, keepsAlive: boolean): TransportElement {
  return {
    kind: "transport",
    name: "thread",
    schemes: ["thread"],
    check: () => undefined,
    attach(_address, options, listener) {
      const attachment = attach(port, options, listener);
      if (!keepsAlive) port.unref();
      return Promise.resolve(attachment);
    },
  };
}

function attach(port: MessagePort, { greeting }: AttachOptions, listener: AttachmentListener): Attachment {
  const link = new PortLink(port);
  const receiver = listener.accept(link);
  port.on("message", (frames: Uint8Array[]) => {
    if (!link.closed) receiver.receive(frames);
  });
  port.on("close", () => {
    if (link.closed) return;
    link.closed = true;
    receiver.lost("the thread has ended");
  });
  if (greeting) link.send([greeting]);
  return {
    address,
    close: () => {
      link.close();
      return Promise.resolve();
    },
  };
}

class PortLink implements Link {
  readonly remoteAddress: string = address;
  readonly #port: MessagePort;
  closed = false;

  constructor(port: MessagePort) {
    this.#port = port;
  }

  send(frames: readonly Uint8Array[]): boolean {
    if (this.closed) return false;
    // A copy that goes over as it is: cloning a part of a larger buffer would take all of it along.
    const copies = frames.map((frame) => new Uint8Array(frame));
    this.#port.postMessage(
      copies,
      copies.map(({ buffer }) => buffer),
    );
    return true;
  }

  retire(): void {
    // There is no other connection to look for.
  }

  close(): void {
    this.closed = true;
    this.#port.close();
  }
}
