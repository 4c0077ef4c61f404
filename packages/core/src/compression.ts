/**
 * A layer of the stack that makes messages smaller, where the peer can undo it. It stands before all message elements:
 * what is sealed cannot be made smaller. Ends need not have the same ones: each tells the other which it can undo, and
 * a sender takes the first of its own that the receiver has named. Metadata is never compressed.
 */
export interface CompressionElement {
  readonly kind: "compression";
  /** What peers know it by, such as "gzip". */
  readonly name: string;
  /** Messages of fewer bytes are sent as they are, unless their call says otherwise. */
  readonly thresholdBytes: number;
  /** One whole message, made smaller; one that does not get smaller is sent as it is. Must not keep or change `body`. */
  compress(body: Uint8Array): Uint8Array;
  /**
   * Undoes `compress`. The message had `bytes` bytes, as its sender says, and may be anything: never makes more than
   * that, nor takes memory much beyond it, and throws for what is not one whole message of that size.
   */
  decompress(compressed: Uint8Array, bytes: number): Uint8Array;
}

/**
 * What stands before a compressed message: which of the receiver's compressions undoes it, counted from 0 (u8), and how
 * many bytes it had before (u32).
 */
export const compressedHeadBytes = 5;

/** Puts the head before a compressed message. */
export function withHead(place: number, bytes: number, compressed: Uint8Array): Uint8Array {
  const payload = new Uint8Array(compressedHeadBytes + compressed.byteLength);
  payload[0] = place;
  new DataView(payload.buffer).setUint32(1, bytes, true);
  payload.set(compressed, compressedHeadBytes);
  return payload;
}

/** How many bytes a message had that begins with a head. */
export function uncompressedBytes(payload: Uint8Array): number {
  return new DataView(payload.buffer, payload.byteOffset, payload.byteLength).getUint32(1, true);
}

/**
 * A message as it came, compressed. It is undone when somebody takes it: what waits takes no more memory than its
 * sender has sent.
 */
export class PackedMessage {
  readonly element: CompressionElement;
  /** What it had before, as its sender says. */
  readonly bytes: number;
  /** What follows the head. */
  readonly compressed: Uint8Array;

  constructor(element: CompressionElement, bytes: number, compressed: Uint8Array) {
    this.element = element;
    this.bytes = bytes;
    this.compressed = compressed;
  }
}

/** A message came in a compression that this end has not named. */
export class StrangeCompressionError extends Error {
  /** `known` is what this end has named. */
  constructor(place: number | undefined, known: readonly string[]) {
    const which = place === undefined ? "" : ` in a way that was not agreed on (number ${place})`;
    const can = known.length === 0 ? "no compression: its binding has none" : known.join(", ");
    super(`compressed${which}; the receiver can undo ${can}`);
  }
}

/** Bits of an outgoing record's flags that stay in this process: what its caller or handler wants of compression. */
export const Wish = { COMPRESS: 0x100, PLAIN: 0x200 } as const;

/** The bits for an option: true also below the threshold, false never, undefined as the binding says. */
export function wishOf(compress: boolean | undefined): number {
  if (compress === undefined) return 0;
  return compress ? Wish.COMPRESS : Wish.PLAIN;
}
