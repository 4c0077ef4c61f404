import { Metadata } from "./metadata.ts";
import type { MessageType } from "./contract.ts";
import { BinaryWriter } from "./wire.ts";
import { FrameReader, copyOf } from "./records.ts";

/** The parts of a message besides its body. */
export interface MessageParts {
  readonly path?: string;
  readonly headers?: Metadata;
  readonly properties?: ReadonlyMap<string, unknown>;
}

/**
 * A message below the level of types, as message elements and channel-level programs see it.
 *
 * `headers` travel; `properties` stay in this process. The body is encoded, may be read any number of times, and must
 * not be changed: give a new message instead.
 */
export class Message {
  readonly body: Uint8Array;
  /** `package.Service/Method`, where known. */
  readonly path: string;
  readonly headers: Metadata;
  readonly properties: ReadonlyMap<string, unknown>;

  constructor(body: Uint8Array, parts: MessageParts = {}) {
    this.body = body;
    this.path = parts.path ?? "";
    this.headers = parts.headers ?? new Metadata();
    this.properties = parts.properties ?? new Map();
  }

  /** The same message with another body. */
  withBody(body: Uint8Array): Message {
    return new Message(body, this);
  }
}

/** Bodies that are bytes already: what channel-level programs exchange. Decoded arrays are copies. */
export const rawType: MessageType<Uint8Array> = {
  $type: "bytes",
  encode: (body, writer = new BinaryWriter()) => writer.raw(body),
  decode(input, length) {
    if (input instanceof Uint8Array) return copyOf(input);
    if (!(input instanceof FrameReader)) throw new TypeError("raw bodies can only be read from a FrameReader");
    const end = length === undefined ? input.len : input.pos + length;
    const body = copyOf(input.frame.subarray(input.pos, end));
    input.pos = end;
    return body;
  },
  fromPartial: (body) => body,
};
