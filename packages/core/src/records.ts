import { BinaryReader } from "./wire.ts";

/** First byte of a native batch. No method name of the plain profile can begin with it. */
export const nativeMark = 0xc5;
/** Version of the native protocol. */
export const wireVersion = 1;
/** Bytes before the first record: mark, version, record count (u16), session tag (u32). */
export const batchHeaderBytes = 8;
/** Bytes before the meta of a record. */
export const recordHeaderBytes = 16;
/** A metaLength of this value says that the whole inline part is meta, whatever its size. */
export const longMeta = 0xffff;
/** Larger bodies travel as frames of their own, which no end copies; also the least size of a fragment. */
export const attachBytes = 4096;

/** Kinds of records. Numbers are never reused. */
export const RecordType = {
  HELLO: 1,
  WELCOME: 2,
  AUTH: 3,
  CALL: 4,
  DATA: 5,
  END: 6,
  CANCEL: 7,
  CREDIT: 8,
  PING: 9,
  PONG: 10,
  GOAWAY: 11,
  REFUSE: 12,
  READY: 13,
  ACK: 14,
  EVENT: 15,
} as const;

/** Bits of a record's flags. */
export const Flag = {
  /** The sender has nothing more to say in this call. */
  END: 0x01,
  /** The payload is the next attachment frame of the message. */
  ATTACHED: 0x02,
  /** The payload is a fragment, and the body goes on in the next record of this call that carries MESSAGE. */
  MORE: 0x04,
  /** The message that the payload is or begins is compressed, with a head that says how. */
  COMPRESSED: 0x08,
  /** The call may be sent again. */
  IDEMPOTENT: 0x10,
  /** No answer is wanted. */
  ONEWAY: 0x20,
  /** A receiver that does not know the type skips the record; without it, it refuses the session. */
  OPTIONAL: 0x40,
  /** The payload is a message or a fragment of one (which may be empty); without it there is no message. */
  MESSAGE: 0x80,
} as const;

/** Reasons of a REFUSE that names no call. */
export const RefuseReason = {
  VERSION: 1,
  DRAINING: 2,
  UNAUTHENTICATED: 3,
  EXHAUSTED: 4,
  UNKNOWN_SESSION: 5,
  MISMATCH: 6,
  MALFORMED: 7,
} as const;

/** A peer sent bytes that are no batch of this protocol. */
export class WireError extends Error {
  override readonly name: string = "WireError";
}

/** A copy that keeps nothing else in memory. Not by `slice`, which gives a view of what is one of Node's Buffers. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

/**
 * A reader over one received frame. Byte fields that are small, or a small part of it, are copied, so that
 * keeping one does not pin the whole frame.
 */
export class FrameReader extends BinaryReader {
  readonly frame: Uint8Array;
  /** Where generated code counts how deep it is; a field from the beginning, so that all readers keep one shape. */
  protected readonly __tsProtoDecodeDepth: number = 0;

  constructor(frame: Uint8Array) {
    super(frame);
    this.frame = frame;
  }

  override bytes(): Uint8Array {
    const view = super.bytes();
    const { byteLength } = this.frame;
    const isSmall = view.byteLength <= 4096 ? view.byteLength * 2 < byteLength : view.byteLength * 16 < byteLength;
    return isSmall ? copyOf(view) : view;
  }
}

/**
 * Reads the records of one received message, in place: after each `next()` that returns true the fields describe one
 * record. Every length is checked before it is used; what does not fit throws WireError.
 */
export class BatchReader {
  /** Records that it says it has. */
  readonly count: number;
  /** The session that the sender means; 0 before WELCOME. */
  readonly tag: number;
  type = 0;
  flags = 0;
  callId = 0;
  aux = 0;
  metaStart = 0;
  metaLength = 0;
  bodyStart = 0;
  bodyLength = 0;

  readonly #frames: readonly Uint8Array[];
  readonly #inline: FrameReader;
  readonly #view: DataView;
  #left: number;
  #position = batchHeaderBytes;
  #attachment = 0;
  #body: FrameReader;

  constructor(frames: readonly Uint8Array[]) {
    const frame = frames[0];
    if (frame === undefined || frame.byteLength < batchHeaderBytes || frame[0] !== nativeMark) {
      throw new WireError("it does not begin with the header of a batch");
    }
    if (frame[1] !== wireVersion)
      throw new WireError(`version ${frame[1]} of the protocol is not known, only ${wireVersion}`);
    this.#frames = frames;
    this.#inline = this.#body = new FrameReader(frame);
    this.#view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    this.#left = this.count = this.#view.getUint16(2, true);
    this.tag = this.#view.getUint32(4, true);
  }

  /** Moves to the next record; false when there is none left. */
  next(): boolean {
    const view = this.#view;
    const start = this.#position;
    if (this.#left === 0) {
      if (start !== view.byteLength) throw new WireError("there are bytes behind the last record");
      if (this.#attachment + 1 < this.#frames.length) throw new WireError("no record names the last attachment");
      return false;
    }
    if (start + recordHeaderBytes > view.byteLength) throw new WireError("the header of a record is cut off");
    const inlineLength = view.getUint32(start, true);
    const inlineEnd = start + recordHeaderBytes + inlineLength;
    if (inlineEnd > view.byteLength) throw new WireError("a record is longer than its batch");
    this.type = view.getUint8(start + 4);
    this.flags = view.getUint8(start + 5);
    const metaLength = view.getUint16(start + 6, true);
    this.callId = view.getUint32(start + 8, true);
    this.aux = view.getUint32(start + 12, true);
    this.metaStart = start + recordHeaderBytes;
    this.metaLength = metaLength === longMeta ? inlineLength : metaLength;
    if (this.metaLength > inlineLength) throw new WireError("the meta of a record is longer than the record");
    if ((this.flags & Flag.ATTACHED) === 0) {
      this.#body = this.#inline;
      this.bodyStart = this.metaStart + this.metaLength;
      this.bodyLength = inlineLength - this.metaLength;
    } else this.#attach();
    this.#position = inlineEnd;
    this.#left -= 1;
    return true;
  }

  /** Decodes the meta of the current record. */
  meta<T>(type: { decode(reader: BinaryReader, length: number): T }): T {
    this.#inline.pos = this.metaStart;
    let value: T;
    try {
      value = type.decode(this.#inline, this.metaLength);
    } catch (cause) {
      throw new WireError("the meta of a record cannot be decoded", { cause });
    }
    if (this.#inline.pos !== this.metaStart + this.metaLength)
      throw new WireError("the meta of a record runs over its end");
    return value;
  }

  /** A byte of the meta, for what is read without decoding. */
  metaByte(index: number): number {
    return this.#view.getUint8(this.metaStart + index);
  }

  /** The reader over the frame that has the payload, placed at its start. */
  bodyReader(): FrameReader {
    this.#body.pos = this.bodyStart;
    return this.#body;
  }

  /** The payload as a view of the received frame. */
  bodyView(): Uint8Array {
    return this.#body.frame.subarray(this.bodyStart, this.bodyStart + this.bodyLength);
  }

  /** The current record alone, with its payload and without its meta: it keeps nothing else of its message in memory. */
  kept(): BatchReader {
    const attachment = (this.flags & Flag.ATTACHED) === 0 ? undefined : this.#body.frame;
    const inline = attachment ? new Uint8Array() : this.bodyView();
    const frame = new Uint8Array(batchHeaderBytes + recordHeaderBytes + inline.byteLength);
    const view = new DataView(frame.buffer);
    frame.set([nativeMark, wireVersion]);
    view.setUint16(2, 1, true);
    view.setUint32(4, this.tag, true);
    view.setUint32(batchHeaderBytes, inline.byteLength, true);
    view.setUint8(batchHeaderBytes + 4, this.type);
    view.setUint8(batchHeaderBytes + 5, this.flags);
    view.setUint32(batchHeaderBytes + 8, this.callId, true);
    view.setUint32(batchHeaderBytes + 12, this.aux, true);
    frame.set(inline, batchHeaderBytes + recordHeaderBytes);
    const reader = new BatchReader(attachment ? [frame, attachment] : [frame]);
    reader.next();
    return reader;
  }

  #attach(): void {
    const frame = this.#frames[++this.#attachment];
    if (frame === undefined) throw new WireError("an attachment is missing");
    this.#body = new FrameReader(frame);
    this.bodyStart = 0;
    this.bodyLength = frame.byteLength;
  }
}
