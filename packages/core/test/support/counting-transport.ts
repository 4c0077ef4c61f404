import type { AttachmentListener, BindingLike, Link, TransportElement } from "@zerobind/core";
import { binding } from "@zerobind/core";

/** What one end has handed to its transport. */
export interface Traffic {
  messages: number;
  frames: number;
  bytes: number;
}

/** A transport with a counter at each end; the ends must use one and the same instance. */
export class CountingTransport {
  readonly binding: BindingLike;
  readonly #sent = { client: nothing(), server: nothing() };

  constructor(transport: TransportElement) {
    const element: TransportElement = {
      ...transport,
      attach: (address, options, listener) => {
        const counter = options.mode === "bind" ? this.#sent.server : this.#sent.client;
        return transport.attach(address, options, counting(listener, counter));
      },
    };
    this.binding = binding(element);
  }

  /** What each end has sent while something ran. */
  async during(run: () => Promise<unknown>): Promise<{ client: Traffic; server: Traffic }> {
    const { client, server } = this.#sent;
    const before = { client: { ...client }, server: { ...server } };
    await run();
    return { client: minus(client, before.client), server: minus(server, before.server) };
  }
}

function nothing(): Traffic {
  return { messages: 0, frames: 0, bytes: 0 };
}

function minus(left: Traffic, right: Traffic): Traffic {
  return {
    messages: left.messages - right.messages,
    frames: left.frames - right.frames,
    bytes: left.bytes - right.bytes,
  };
}

function counting(listener: AttachmentListener, counter: Traffic): AttachmentListener {
  return {
    accept: (link) => listener.accept(countingLink(link, counter)),
    acceptPlain: (request) => listener.acceptPlain?.(request),
    trouble: (problem) => listener.trouble(problem),
  };
}

function countingLink(link: Link, counter: Traffic): Link {
  return {
    remoteAddress: link.remoteAddress,
    send(frames) {
      counter.messages += 1;
      counter.frames += frames.length;
      for (const frame of frames) counter.bytes += frame.byteLength;
      return link.send(frames);
    },
    retire: () => link.retire(),
    close: () => link.close(),
  };
}
