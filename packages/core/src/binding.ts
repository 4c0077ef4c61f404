import { StrangeCompressionError } from "./compression.ts";
import type { CompressionElement, PackedMessage } from "./compression.ts";
import type { AnyMessageType } from "./contract.ts";
import { Message } from "./message.ts";
import type { BodyWriter } from "./outgoing.ts";
import { BatchWriter } from "./batch-writer.ts";
import { FrameReader, WireError, copyOf } from "./records.ts";
import type { Transport } from "./transport.ts";
import type { BinaryReader, BinaryWriter } from "./wire.ts";

/**
 * A layer of the stack that turns one message into another, the same code on both ends: sealing, logging. Both ends must have the same elements in the same order; a peer that has others is refused when they meet.
 * An `incoming` that throws ends the call with INTERNAL.
 */
export interface MessageElement {
  readonly kind: "message";
  /** Compared between the two ends. */
  readonly name: string;
  outgoing(message: Message): Message;
  incoming(message: Message): Message;
}

/** How values become bytes. Protobuf unless the stack says otherwise; at most one, right above the transport. */
export interface EncoderElement {
  readonly kind: "encoder";
  /** Compared between the two ends. */
  readonly name: string;
  encode(type: AnyMessageType, value: unknown, writer: BinaryWriter): void;
  /** Reads exactly `length` bytes from the reader's position. */
  decode(type: AnyMessageType, reader: BinaryReader, length: number): unknown;
}

/** What a contract may need of a binding beyond one-way messages. */
export type Need = "replies" | "streams" | "sessions" | "callbacks";

/** The last element of a stack: what moves the frames. */
export interface TransportElement extends Transport {
  readonly kind: "transport";
  /** Schemes of the addresses it understands, without the colon. */
  readonly schemes: readonly string[];
  /** What it cannot carry; contracts that need it are refused where they meet the binding. Default: nothing. */
  readonly lacks?: readonly Need[];
}

/** Compressions, the preferred one first; message elements, outermost first; then an encoder, if it is not protobuf; last a transport. */
export type BindingStack =
  | readonly [...elements: (CompressionElement | MessageElement)[], transport: TransportElement]
  | readonly [
      ...elements: (CompressionElement | MessageElement)[],
      encoder: EncoderElement,
      transport: TransportElement,
    ];

/** Turns values into bodies and back, as a binding's elements say. */
export interface BodyCodec extends BodyWriter {
  /** Reads `length` bytes from the reader's position, all of them, or throws. */
  read(type: AnyMessageType, reader: FrameReader, length: number): unknown;
  /** A message that came compressed, to be undone later; TooLargeError for one that has more than `maxBytes`. */
  packed(reader: FrameReader, length: number, maxBytes: number): PackedMessage;
  unpack(type: AnyMessageType, packed: PackedMessage): unknown;
}

/** A checked stack: its parts by kind. */
export interface StackParts {
  readonly compressions: readonly CompressionElement[];
  readonly elements: readonly MessageElement[];
  readonly encoder: EncoderElement;
  readonly transport: TransportElement;
}

/** The default encoder: messages encode themselves as protobuf. */
export const protobuf: EncoderElement = {
  kind: "encoder",
  name: "protobuf",
  encode: (type, value, writer) => void type.encode(type.fromPartial(value), writer),
  decode: (type, reader, length) => type.decode(reader, length) as unknown,
};

/** Checks a stack as the types do, for callers that have none; TypeError with the element that is out of place. */
export function checkStack(stack: readonly unknown[]): StackParts {
  const parts = stack as readonly (
    CompressionElement | MessageElement | EncoderElement | TransportElement | undefined
  )[];
  const transport = parts.at(-1);
  if (transport?.kind !== "transport")
    throw new TypeError("a binding ends in a transport, for example binding(zeromq())");
  const above = parts.slice(0, -1);
  const last = above.at(-1);
  const encoder = last?.kind === "encoder" ? last : protobuf;
  const layers = last?.kind === "encoder" ? above.slice(0, -1) : above;
  const compressions: CompressionElement[] = [];
  const elements: MessageElement[] = [];
  for (const [index, element] of layers.entries()) {
    if (element?.kind === "compression" && elements.length === 0) compressions.push(element);
    else if (element?.kind === "message") elements.push(element);
    else throw outOfPlace(index, element);
  }
  const twice = compressions.find(({ name }, index) => compressions.findIndex((one) => one.name === name) < index);
  if (twice) throw new TypeError(`the binding has the compression "${twice.name}" twice`);
  return { compressions, elements, encoder, transport };
}

function outOfPlace(index: number, element: { readonly kind: string; readonly name: string } | undefined): TypeError {
  const found = element === undefined ? "nothing" : `${element.kind} element "${element.name}"`;
  const allowed =
    element?.kind === "compression" ? "no compression may stand any more" : "only message elements may stand";
  return new TypeError(
    `position ${index} of the binding has ${found} where ${allowed}: ` +
      "the order is compressions, then message elements, then at most one encoder, then one transport",
  );
}

/** The codec of a stack without compressions: if it has no message elements, values are encoded and decoded in place. */
export function bodyCodec({ elements, encoder }: Pick<StackParts, "elements" | "encoder">): BodyCodec {
  return elements.length === 0 ? directCodec(encoder) : elementCodec(elements, encoder);
}

/** The codec of an encoder alone. */
export function directCodec(encoder: EncoderElement): BodyCodec {
  return {
    write(type, value, writer) {
      encoder.encode(type, value, writer);
      return 0;
    },
    read(type, reader, length) {
      const end = reader.pos + length;
      const value = encoder.decode(type, reader, length);
      if (reader.pos !== end) throw new WireError("the message runs over its end");
      return value;
    },
    packed: refuseCompressed,
    unpack: refuseCompressed,
  };
}

function elementCodec(elements: readonly MessageElement[], encoder: EncoderElement): BodyCodec {
  const direct = directCodec(encoder);
  const { outward, inward } = layersOf(elements);
  return {
    write(type, value, writer) {
      writer.raw(outward(encodeBody(direct, type, value)));
      return 0;
    },
    read(type, reader, length) {
      const { pos, frame } = reader;
      const body = inward(frame.subarray(pos, pos + length));
      reader.pos = pos + length;
      return direct.read(type, new FrameReader(body), body.byteLength);
    },
    packed: refuseCompressed,
    unpack: refuseCompressed,
  };
}

/** What message elements make of bodies, in both directions. */
export interface BodyLayers {
  readonly outward: (body: Uint8Array) => Uint8Array;
  /** Takes a view of what was received. */
  readonly inward: (body: Uint8Array) => Uint8Array;
}

export function layersOf(elements: readonly MessageElement[]): BodyLayers {
  const upward = elements.toReversed();
  return {
    outward: (body) => elements.reduce((message, element) => element.outgoing(message), new Message(body)).body,
    inward: (body) => upward.reduce((message, element) => element.incoming(message), new Message(copyOf(body))).body,
  };
}

function refuseCompressed(): never {
  throw new StrangeCompressionError(undefined, []);
}

/** Encodes one body on its own, for the few places that need it outside of a batch. */
export function encodeBody(codec: BodyWriter, type: AnyMessageType, value: unknown): Uint8Array {
  const writer = BatchWriter.take();
  try {
    writer.beginBody();
    codec.write(type, value, writer, 0);
    return writer.takeBody();
  } finally {
    writer.release();
  }
}

/** Anything that has a checked stack; what `binding(...)` makes. */
export interface BindingLike {
  readonly stack: StackParts;
}
