import { readFileSync } from "node:fs";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { BatchWriter } from "../src/batch-writer.ts";
import { BatchReader, Flag, FrameReader, WireError, batchHeaderBytes, recordHeaderBytes } from "../src/records.ts";
import { rawType } from "../src/message.ts";
import { BinaryWriter } from "../src/wire.ts";

/** A record of a vector: numbers as in the header, meta and body in hexadecimal. */
interface VectorRecord {
  type: number;
  flags: number;
  callId: number;
  aux: number;
  meta: string;
  body: string;
}

interface Vector {
  name: string;
  tag: number;
  frames: string[];
  records: VectorRecord[];
}

const vectors = JSON.parse(
  readFileSync(new URL("../../../protos/zerobind/v1/vectors/batches.json", import.meta.url), "utf8"),
) as Vector[];
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));
const hex = (data: Uint8Array): string => Buffer.from(data).toString("hex");

function read(frames: readonly Uint8Array[]): { tag: number; records: VectorRecord[] } {
  const batch = new BatchReader(frames);
  const records: VectorRecord[] = [];
  while (batch.next()) {
    const { type, flags, callId, aux } = batch;
    records.push({ type, flags, callId, aux, meta: hex(batch.meta(rawType)), body: hex(batch.bodyView()) });
  }
  return { tag: batch.tag, records };
}

function write(tag: number, records: readonly VectorRecord[]): Uint8Array[] {
  const writer = BatchWriter.take();
  const attachments: Uint8Array[] = [];
  for (const { type, flags, callId, aux, meta, body } of records) {
    const start = writer.skip(recordHeaderBytes);
    writer.raw(bytes(meta));
    if (flags & Flag.ATTACHED) attachments.push(bytes(body));
    else writer.raw(bytes(body));
    writer.recordHeader(start, type, flags, bytes(meta).length, callId, aux);
  }
  const batch = writer.batch(records.length, tag);
  writer.release();
  return [batch, ...attachments];
}

/** Reads everything; what is wrong must be a WireError and nothing else. */
function readHostile(frames: readonly Uint8Array[]): void {
  try {
    read(frames);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
  }
}

describe("the record codec", () => {
  test.each(vectors)("writes and reads the vector: $name", ({ tag, frames, records }) => {
    expect(read(frames.map(bytes))).toEqual({ tag, records });
    expect(write(tag, records).map(hex)).toEqual(frames);
  });

  const record = fc.record({
    type: fc.integer({ min: 0, max: 255 }),
    flags: fc.integer({ min: 0, max: 255 }),
    callId: fc.integer({ min: 0, max: 0xffffffff }),
    aux: fc.integer({ min: 0, max: 0xffffffff }),
    meta: fc.uint8Array({ maxLength: 300 }).map(hex),
    body: fc.uint8Array({ maxLength: 300 }).map(hex),
  });

  test("reads what it wrote", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), fc.array(record, { maxLength: 20 }), (tag, records) => {
        expect(read(write(tag, records))).toEqual({ tag, records });
      }),
    );
  });

  test("meets any bytes with a WireError or with records, and with nothing else", () => {
    const mutation = fc.record({ at: fc.nat(), to: fc.integer({ min: 0, max: 255 }) });
    fc.assert(
      fc.property(
        fc.array(record, { minLength: 1, maxLength: 5 }),
        fc.array(mutation, { maxLength: 8 }),
        fc.nat(),
        (records, mutations, cut) => {
          const [batch, ...attachments] = write(1, records) as [Uint8Array, ...Uint8Array[]];
          for (const { at, to } of mutations) batch[at % batch.length] = to;
          readHostile([batch, ...attachments]);
          readHostile([batch.subarray(0, cut % (batch.length + 1)), ...attachments]);
          readHostile([batch]);
        },
      ),
      { numRuns: 2000 },
    );
    fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 100 })), readHostile));
  });

  test("refuses lengths that lie before anything is allocated", () => {
    const [batch] = write(1, [{ type: 5, flags: 0, callId: 1, aux: 0, meta: "", body: "00" }]) as [Uint8Array];
    const view = new DataView(batch.buffer);
    view.setUint32(batchHeaderBytes, 0xffffffff, true);
    expect(() => read([batch])).toThrow("a record is longer than its batch");
    view.setUint32(batchHeaderBytes, 1, true);
    view.setUint16(batchHeaderBytes + 6, 2, true);
    expect(() => read([batch])).toThrow("the meta of a record is longer than the record");
  });

  test("writes large bodies into frames of their own, whatever stands around the large part of them", () => {
    const large = new Uint8Array(10_000).fill(7);
    const payload = (writer: BinaryWriter): BinaryWriter =>
      writer
        .uint32(10)
        .fork()
        .uint32(8)
        .uint32(1)
        .uint32(18)
        .bytes(large)
        .join()
        .uint32(16)
        .uint32(300)
        .uint32(26)
        .bytes(large)
        .uint32(34)
        .string("after".repeat(5000));
    const writer = BatchWriter.take();
    const header = writer.skip(recordHeaderBytes);
    writer.recordHeader(header, 5, 0, 0, 1, 2);
    const start = writer.skip(recordHeaderBytes);
    writer.beginBody();
    payload(writer);
    const { bodyLength } = writer;
    const body = writer.takeBody();
    expect(body).toHaveLength(bodyLength);
    expect(Buffer.from(body).equals(payload(new BinaryWriter()).finish())).toBe(true);
    writer.recordHeader(start, 5, Flag.ATTACHED, 0, 3, 4);
    writer.attach(body);
    expect(read(writer.frames(2, 9))).toEqual({
      tag: 9,
      records: [
        { type: 5, flags: 0, callId: 1, aux: 2, meta: "", body: "" },
        { type: 5, flags: Flag.ATTACHED, callId: 3, aux: 4, meta: "", body: hex(body) },
      ],
    });
    writer.release();
  });

  test("gives an encoder that threw behind a large part of a body a clean writer again", () => {
    const writer = BatchWriter.take();
    const { position } = writer;
    writer.beginBody();
    writer.uint32(10).fork().bytes(new Uint8Array(10_000));
    writer.truncate(position);
    writer.uint32(10).fork().string("x").join();
    expect(hex(writer.cut(position))).toBe("0a020178");
    writer.release();
  });

  test("gives an encoder that threw in a nested message a clean writer again", () => {
    const writer = BatchWriter.take();
    const { position } = writer;
    writer.uint32(10).fork().uint32(10).fork().string("half");
    writer.truncate(position);
    writer.uint32(10).fork().string("x").join();
    expect(hex(writer.cut(position))).toBe("0a020178");
    writer.release();
  });
});

// ZeroMQ delivers Buffers, whose own `slice` copies nothing.
describe.each([
  ["Uint8Array", (size: number) => new Uint8Array(size)],
  ["Buffer", (size: number) => Buffer.alloc(size)],
])("of a frame that is a %s", (_name, make) => {
  test("small bytes are copies that do not keep the frame in memory", () => {
    const frame = make(10_000);
    frame.set([3, 1, 2, 3]);
    const small = new FrameReader(frame).bytes();
    expect([...small]).toEqual([1, 2, 3]);
    expect(small.buffer.byteLength).toBe(3);
  });

  test("raw bodies are copies", () => {
    const frame = make(10_000);
    expect(rawType.decode(new FrameReader(frame), 5).buffer.byteLength).toBe(5);
    expect(rawType.decode(frame).buffer).not.toBe(frame.buffer);
  });
});
