import type { AnyMessageType } from "./contract.ts";
import { attachBytes, batchHeaderBytes, nativeMark, recordHeaderBytes, wireVersion } from "./records.ts";
import { BinaryWriter } from "./wire.ts";

/** The parts of BinaryWriter that have no public name; a test holds them against the pinned version of the library. */
interface WriterInternals {
  buffer: Uint8Array<ArrayBuffer>;
  viewCache: DataView;
  pos: number;
  stackPos: number[];
  ensureCapacity(size: number): void;
  view(): DataView;
}

/** Writers above this size are not kept for reuse. */
const keptBytes = 256 * 1024;
const pool: BatchWriter[] = [];

/**
 * Writes one batch: generated messages encode straight into it, behind the headers that it leaves room for.
 * `take` and `release` keep a few for reuse, since the buffer of a new writer has to grow from nothing.
 */
export class BatchWriter extends BinaryWriter {
  /** Where the body of the current record begins; -1 outside of bodies. */
  #bodyStart = -1;
  /** The batch, put aside while a large body is written into a buffer of its own. */
  #batch: Uint8Array<ArrayBuffer> | undefined;
  /** A body that is there already, and is no part of any buffer of this writer. */
  #adopted: Uint8Array | undefined;
  #attachments: Uint8Array[] = [];
  #attachedBytes = 0;

  /** A writer with room for the batch header already left. */
  static take(): BatchWriter {
    const writer = pool.pop() ?? new BatchWriter();
    writer.skip(batchHeaderBytes);
    return writer;
  }

  /** Where the next byte goes. */
  get position(): number {
    return this.#internals.pos;
  }

  get #internals(): WriterInternals {
    return this as unknown as WriterInternals;
  }

  /** Bytes of the batch so far, with its attachments. */
  get byteLength(): number {
    return this.position + this.#attachedBytes;
  }

  /** Bytes of the body so far. */
  get bodyLength(): number {
    if (this.#adopted) return this.#adopted.byteLength;
    return this.#batch ? this.position : this.position - this.#bodyStart;
  }

  /** The body so far, to be looked at before anything else is written. */
  bodyView(): Uint8Array {
    const { buffer, pos } = this.#internals;
    return this.#adopted ?? buffer.subarray(this.#batch ? 0 : this.#bodyStart, pos);
  }

  /** Puts another body in the place of the one so far. */
  replaceBody(body: Uint8Array): void {
    const start = this.#bodyStart;
    this.truncate(start);
    this.#bodyStart = start;
    this.adopt(body);
  }

  /** What is written from here on is the body of a record, until `endBody` or `takeBody`. */
  beginBody(): void {
    this.#bodyStart = this.position;
  }

  /** Ends the body and returns it if it is to be an attachment; one of more than `attachBytes` cannot stay in the batch. */
  endBody(isAttached: boolean): Uint8Array | undefined {
    if (isAttached) return this.takeBody();
    this.#bodyStart = -1;
    return undefined;
  }

  /** Ends the body and takes it off the batch, as an array that may be sent. */
  takeBody(): Uint8Array {
    const start = this.#bodyStart;
    const adopted = this.#adopted;
    if (adopted) {
      this.truncate(start);
      return adopted;
    }
    const { buffer, pos } = this.#internals;
    const body = this.#batch ? buffer.subarray(0, pos) : buffer.slice(start, pos);
    this.truncate(start);
    return body;
  }

  /** Large chunks are copied once, into the buffer that becomes the frame. */
  override raw(chunk: Uint8Array): this {
    if (chunk.byteLength > attachBytes && this.#bodyStart >= 0) this.#makeRoom(chunk.byteLength);
    return super.raw(chunk);
  }

  /** Writes a body that is encoded already, and is the whole of it: a large one stays the array that it is. */
  adopt(body: Uint8Array): void {
    if (body.byteLength > attachBytes) this.#adopted = body;
    else super.raw(body);
  }

  /** Leaves room for `size` bytes and tells where. */
  skip(size: number): number {
    const internals = this.#internals;
    internals.ensureCapacity(size);
    const start = internals.pos;
    internals.pos = start + size;
    return start;
  }

  /** Forgets everything from a position on, also after an encoder that threw in the middle of a nested message. */
  truncate(position: number): void {
    const internals = this.#internals;
    if (this.#batch) this.#use(this.#batch);
    this.#batch = undefined;
    this.#adopted = undefined;
    this.#bodyStart = -1;
    internals.pos = position;
    if (internals.stackPos.length > 0) internals.stackPos = [];
  }

  /** Takes the bytes from a position on off the batch, as an array of their own. */
  cut(from: number): Uint8Array {
    const { buffer, pos } = this.#internals;
    const bytes = buffer.slice(from, pos);
    this.truncate(from);
    return bytes;
  }

  /** Fills in the header that `skip(recordHeaderBytes)` left room for. */
  recordHeader(start: number, type: number, flags: number, metaLength: number, callId: number, aux: number): void {
    const internals = this.#internals;
    const inlineLength = internals.pos - start - recordHeaderBytes;
    const view = internals.view();
    view.setUint32(start, inlineLength, true);
    view.setUint8(start + 4, type);
    view.setUint8(start + 5, flags);
    view.setUint16(start + 6, metaLength, true);
    view.setUint32(start + 8, callId, true);
    view.setUint32(start + 12, aux, true);
  }

  /** Adds a frame behind the batch. */
  attach(frame: Uint8Array): void {
    this.#attachments.push(frame);
    this.#attachedBytes += frame.byteLength;
  }

  /** The finished batch and its attachments; the writer must be released. */
  frames(count: number, tag: number): readonly [batch: Uint8Array, ...attachments: Uint8Array[]] {
    return [this.batch(count, tag), ...this.#attachments];
  }

  /** The finished batch as a fresh array, without attachments; the writer must be released. */
  batch(count: number, tag: number): Uint8Array {
    const { buffer, pos } = this.#internals;
    const view = this.#internals.view();
    view.setUint8(0, nativeMark);
    view.setUint8(1, wireVersion);
    view.setUint16(2, count, true);
    view.setUint32(4, tag, true);
    return buffer.slice(0, pos);
  }

  /** Gives the writer back. It must not be used afterwards. */
  release(): void {
    this.truncate(0);
    if (this.#attachments.length > 0) this.#attachments = [];
    this.#attachedBytes = 0;
    if (pool.length < 16 && this.#internals.buffer.byteLength <= keptBytes) pool.push(this);
  }

  /** Sees to it that a large chunk fits into a buffer that has only the body, and not much more. */
  #makeRoom(size: number): void {
    const internals = this.#internals;
    const { buffer, pos } = internals;
    const from = this.#batch ? 0 : this.#bodyStart;
    const written = pos - from;
    if (this.#batch && pos + size <= buffer.byteLength) return;
    // Room for what comes after the chunk, and for more such chunks if it is not the first.
    const own = new Uint8Array(written + size + (written >> 1) + (size >> 5) + 64);
    own.set(buffer.subarray(from, pos));
    if (!this.#batch) internals.stackPos = internals.stackPos.map((position) => position - from);
    this.#batch ??= buffer;
    this.#use(own);
    internals.pos = written;
  }

  #use(buffer: Uint8Array<ArrayBuffer>): void {
    const internals = this.#internals;
    internals.buffer = buffer;
    // The library would take a view of the same length for that of this buffer.
    internals.viewCache = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  }
}

/** A batch of one record that has only meta, and belongs to no outbox; `tag` 0 is for what begins a session. */
export function loneRecord(type: number, metaType: AnyMessageType, meta: unknown, aux = 0, tag = 0): Uint8Array {
  const writer = BatchWriter.take();
  const start = writer.skip(recordHeaderBytes);
  metaType.encode(meta, writer);
  writer.recordHeader(start, type, 0, writer.position - start - recordHeaderBytes, 0, aux);
  const batch = writer.batch(1, tag);
  writer.release();
  return batch;
}
