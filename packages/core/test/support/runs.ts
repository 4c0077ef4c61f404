import { binding, memory } from "@zerobind/core";
import type { AttachmentListener, BindingLike, CompressionElement, Link, TransportElement } from "@zerobind/core";
import { Flag, RecordType } from "../../src/records.ts";
import { recordsOf } from "./raw-peer.ts";
import type { ReceivedRecord } from "./raw-peer.ts";

/** A compression that anybody can read: pairs of a count and the byte that stands so often. */
export interface Runs extends CompressionElement {
  /** Sizes of the messages that it was given to compress, and those that it was told to inflate to. */
  readonly compressed: number[];
  readonly inflated: number[];
}

export function runs({ name = "runs", thresholdBytes = 0 } = {}): Runs {
  const compressed: number[] = [];
  const inflated: number[] = [];
  return {
    ...{ kind: "compression", name, thresholdBytes, compressed, inflated },
    compress(body) {
      compressed.push(body.byteLength);
      return pack(body);
    },
    decompress(packed, bytes) {
      inflated.push(bytes);
      const body = new Uint8Array(bytes);
      let end = 0;
      for (let at = 0; at < packed.byteLength; at += 2) {
        if (end + packed[at]! > bytes) throw new Error(`it has more than ${bytes} bytes`);
        body.fill(packed[at + 1]!, end, (end += packed[at]!));
      }
      return body.subarray(0, end);
    },
  };
}

export function pack(body: Uint8Array): Uint8Array {
  const pairs: number[] = [];
  for (let at = 0; at < body.byteLength;) {
    let end = at + 1;
    while (end < body.byteLength && end - at < 255 && body[end] === body[at]) end += 1;
    pairs.push(end - at, body[at]!);
    at = end;
  }
  return Uint8Array.from(pairs);
}

/** Notes the records that both ends of a session send. */
export class Wiretap {
  readonly client: ReceivedRecord[] = [];
  readonly server: ReceivedRecord[] = [];
  readonly #transport: TransportElement;

  constructor(transport: TransportElement = memory()) {
    this.#transport = {
      ...transport,
      attach: (address, options, listener) => {
        const seen = options.mode === "bind" ? this.server : this.client;
        for (const record of options.greeting ? recordsOf([options.greeting]) : []) seen.push(record);
        return transport.attach(address, options, tapped(listener, seen));
      },
    };
  }

  binding(...elements: CompressionElement[]): BindingLike {
    return binding(...elements, this.#transport);
  }

  /** Which messages of each end were compressed; of those in fragments, each fragment counts. */
  get flags(): { client: boolean[]; server: boolean[] } {
    return { client: compressed(this.client), server: compressed(this.server) };
  }
}

function compressed(records: readonly ReceivedRecord[]): boolean[] {
  const messages = records.filter(({ type, flags }) => type >= RecordType.CALL && (flags & Flag.MESSAGE) !== 0);
  return messages.map(({ flags }) => (flags & Flag.COMPRESSED) !== 0);
}

function tapped(listener: AttachmentListener, seen: ReceivedRecord[]): AttachmentListener {
  return {
    accept: (link) => listener.accept(tappedLink(link, seen)),
    trouble: (problem) => listener.trouble(problem),
  };
}

function tappedLink(link: Link, seen: ReceivedRecord[]): Link {
  return {
    remoteAddress: link.remoteAddress,
    send(frames) {
      seen.push(...recordsOf(frames));
      return link.send(frames);
    },
    retire: () => link.retire(),
    close: () => link.close(),
  };
}
