import { directCodec, encodeBody, layersOf } from "./binding.ts";
import type { BodyCodec, BodyLayers, StackParts } from "./binding.ts";
import type { BatchWriter } from "./batch-writer.ts";
import { PackedMessage, StrangeCompressionError, Wish } from "./compression.ts";
import { compressedHeadBytes, uncompressedBytes, withHead } from "./compression.ts";
import type { CompressionElement } from "./compression.ts";
import type { AnyMessageType } from "./contract.ts";
import { TooLargeError } from "./outgoing.ts";
import { FrameReader, WireError, attachBytes, copyOf } from "./records.ts";

/** The codec of one session whose binding compresses: what it does to messages that leave is what the peer can undo. */
export class CompressingCodec implements BodyCodec {
  readonly #direct: BodyCodec;
  readonly #layers: BodyLayers | undefined;
  readonly #elements: readonly CompressionElement[];
  /** What messages are compressed by, and its place among the peer's; nothing before the two ends have met. */
  #agreed: CompressionElement | undefined;
  #place = 0;
  /** Larger messages the peer would refuse, whatever they are compressed to. */
  #maxBytes = 0;

  constructor({ elements, encoder, compressions }: StackParts) {
    this.#direct = directCodec(encoder);
    this.#layers = elements.length === 0 ? undefined : layersOf(elements);
    this.#elements = compressions;
  }

  /** The peer has told what it can undo, and how large messages may be before they are compressed. */
  agree(names: readonly string[], maxBytes: number): void {
    // The place of one travels in a byte; whoever names more than fit means no good.
    const named = names.slice(0, 256);
    this.#agreed = this.#elements.find(({ name }) => named.includes(name));
    this.#place = this.#agreed ? named.indexOf(this.#agreed.name) : 0;
    this.#maxBytes = maxBytes;
  }

  write(type: AnyMessageType, value: unknown, writer: BatchWriter, flags: number): number {
    if (this.#layers) return this.#writeLayered(this.#layers, encodeBody(this.#direct, type, value), writer, flags);
    this.#direct.write(type, value, writer, flags);
    const bytes = writer.bodyLength;
    const compressed = this.#isWorthwhile(bytes, flags) ? this.#compressed(writer.bodyView()) : undefined;
    if (!compressed) return 0;
    writer.replaceBody(withHead(this.#place, bytes, compressed));
    return bytes;
  }

  read(type: AnyMessageType, reader: FrameReader, length: number): unknown {
    if (!this.#layers) return this.#direct.read(type, reader, length);
    const { frame, pos } = reader;
    const body = this.#layers.inward(frame.subarray(pos, pos + length));
    reader.pos = pos + length;
    return this.#direct.read(type, new FrameReader(body), body.byteLength);
  }

  packed({ frame, pos }: FrameReader, length: number, maxBytes: number): PackedMessage {
    if (length < compressedHeadBytes) throw new WireError("it is compressed, and its head is cut off");
    const payload = frame.subarray(pos, pos + length);
    const element = this.#elements[payload[0]!];
    if (!element) throw new StrangeCompressionError(payload[0], namesOf(this.#elements));
    const bytes = uncompressedBytes(payload);
    if (bytes > maxBytes) throw new TooLargeError(bytes);
    // Windows count what it says, and memory has what has come.
    if (length > 2 * bytes + attachBytes)
      throw new WireError(`it has ${length} bytes compressed, far more than the ${bytes} that it says`);
    const compressed = payload.subarray(compressedHeadBytes);
    // What is a small part of its batch would keep all of that.
    const isOwn = compressed.byteLength * 2 >= compressed.buffer.byteLength;
    return new PackedMessage(element, bytes, isOwn ? compressed : copyOf(compressed));
  }

  unpack(type: AnyMessageType, { element, bytes, compressed }: PackedMessage): unknown {
    const body = element.decompress(this.#layers ? this.#layers.inward(compressed) : compressed, bytes);
    if (body.byteLength !== bytes)
      throw new WireError(`${element.name} made ${body.byteLength} bytes of it, not the ${bytes} that its sender says`);
    return this.#direct.read(type, new FrameReader(body), bytes);
  }

  #writeLayered(layers: BodyLayers, body: Uint8Array, writer: BatchWriter, flags: number): number {
    const bytes = body.byteLength;
    const compressed = this.#isWorthwhile(bytes, flags) ? this.#compressed(body) : undefined;
    writer.raw(compressed ? withHead(this.#place, bytes, layers.outward(compressed)) : layers.outward(body));
    return compressed ? bytes : 0;
  }

  #isWorthwhile(bytes: number, flags: number): boolean {
    const agreed = this.#agreed;
    if (!agreed || (flags & Wish.PLAIN) !== 0 || bytes > this.#maxBytes) return false;
    return bytes >= agreed.thresholdBytes || (flags & Wish.COMPRESS) !== 0;
  }

  /** Undefined for what does not get smaller. */
  #compressed(body: Uint8Array): Uint8Array | undefined {
    const compressed = this.#agreed?.compress(body);
    return compressed && compressed.byteLength + compressedHeadBytes < body.byteLength ? compressed : undefined;
  }
}

/** Names, in the order in which messages refer to them. */
export function namesOf(elements: readonly CompressionElement[]): string[] {
  return elements.map(({ name }) => name);
}
