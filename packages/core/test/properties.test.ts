import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  Metadata,
  RpcError,
  ServiceHost,
  Channel,
  Status,
  binding,
  memory,
  metadataFromEntries,
  metadataToEntries,
  partial,
} from "@zerobind/core";
import type { StatusCode } from "@zerobind/core";
import { CallHeader, EndHeader } from "../src/gen/zerobind/v1/wire.pb.ts";
import { BatchReader, Flag, RecordType } from "../src/records.ts";
import { Joiner } from "../src/joiner.ts";
import { EchoReply, EchoRequest } from "./gen/test/v1/behavior.pb.ts";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { BehaviorService } from "./support/behavior-handler.ts";
import { DirectTransport, endOfTurn } from "./support/direct-transport.ts";
import { failureOf } from "./support/failure.ts";
import { call, data, path } from "./support/hostile.ts";
import { batch, hello } from "./support/raw-peer.ts";
import type { RawRecord } from "./support/raw-peer.ts";

/** Any well-formed Unicode, weighted towards what is odd. */
const unicode = fc.string({ unit: "binary", maxLength: 60 });
// Control characters are what text of metadata must not have.
const printable = unicode.map((text) => text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, "x"));
const keyPart = fc.string({
  unit: fc.constantFrom("a", "b", "z", "0", "9", "_", ".", "-"),
  minLength: 1,
  maxLength: 12,
});
const textKey = fc
  .oneof(keyPart, fc.constantFrom("__proto__", "constructor", "hasownproperty"))
  .filter((key) => !key.startsWith("zb-") && !key.endsWith("-bin"));
const entry = fc.oneof(
  fc.tuple(textKey, printable),
  fc.tuple(
    keyPart.map((key) => `${key}-bin`).filter((key) => !key.startsWith("zb-")),
    fc.uint8Array({ maxLength: 40 }),
  ),
);
const block = fc.array(entry, { maxLength: 30 }).map((entries) => new Metadata(entries));

/** As plain data: byte values of other realms and other buffers are equal if their bytes are. */
function plain(metadata: Metadata | undefined): [string, string | number[]][] {
  return Array.from(metadata ?? new Metadata(), ([key, value]) => [
    key,
    typeof value === "string" ? value : [...value],
  ]);
}

describe("what goes over the wire comes back as it was", () => {
  test("metadata: any text, any bytes, in order, however often", () => {
    fc.assert(
      fc.property(block, (metadata) => {
        const wire = CallHeader.encode(CallHeader.fromPartial({ metadata: metadataToEntries(metadata) })).finish();
        const back = metadataFromEntries(CallHeader.decode(wire).metadata);
        expect(plain(back)).toEqual(plain(metadata));
        expect(back.byteLength).toBe(metadata.byteLength);
        expect(back.byteLength).toBeLessThanOrEqual(wire.byteLength);
      }),
      { numRuns: 500 },
    );
  });

  test("a status: code, any text, details, header and trailer", async () => {
    let thrown = new RpcError(Status.UNKNOWN, "");
    let header = new Metadata();
    const handler = partial(Behavior, {
      ping(_request, context) {
        context.setHeader(header);
        throw thrown;
      },
    });
    await using host = new ServiceHost({ binding: binding(memory()) }).serve(Behavior, handler);
    await host.open("memory://*");
    await using channel = new Channel(host.address, { binding: binding(memory()), retry: false });
    const client = channel.client(Behavior);
    const detail = fc.record({ typeUrl: unicode, value: fc.uint8Array({ maxLength: 50 }) });
    const code = fc.integer({ min: 1, max: 16 }) as fc.Arbitrary<StatusCode>;
    await fc.assert(
      fc.asyncProperty(
        code,
        unicode,
        fc.array(detail, { maxLength: 4 }),
        block,
        block,
        async (status, text, details, head, trailer) => {
          header = head;
          thrown = new RpcError(status, text, { details, trailer });
          const error = await failureOf(client.ping({}));
          expect([error.code, error.message]).toEqual([status, text]);
          expect(error.details.map(({ typeUrl, value }) => [typeUrl, [...value]])).toEqual(
            details.map(({ typeUrl, value }) => [typeUrl, [...value]]),
          );
          expect([plain(error.header), plain(error.trailer)]).toEqual([plain(head), plain(trailer)]);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("a status in its record, whatever the number", () => {
    fc.assert(
      fc.property(unicode, fc.array(fc.uint8Array({ maxLength: 20 })), block, (message, values, trailer) => {
        const details = values.map((value) => ({ typeUrl: "type.googleapis.com/a.B", value }));
        const meta = { message, details, header: [], trailer: metadataToEntries(trailer) };
        const back = EndHeader.decode(EndHeader.encode(meta).finish());
        expect([back.message, plain(metadataFromEntries(back.trailer))]).toEqual([message, plain(trailer)]);
        expect(back.details.map(({ value }) => [...value])).toEqual(values.map((value) => [...value]));
      }),
    );
  });
});

describe("fragments", () => {
  /** Sizes of fragments that are not the last. */
  const cut = fc.integer({ min: 4096, max: 6000 });

  test("are joined to what was cut", () => {
    const piece = fc.record({ size: cut, byte: fc.nat(255), attached: fc.boolean() });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.integer({ min: 1, max: 5000 }), (pieces, lastSize) => {
        const joiner = new Joiner();
        const bodies = pieces.map(({ size, byte }) => new Uint8Array(size).fill(byte));
        bodies.push(new Uint8Array(lastSize).fill(7));
        for (const [index, body] of bodies.entries()) {
          const isLast = index === pieces.length;
          const isAttached = !isLast && pieces[index]!.attached;
          const flags = Flag.MESSAGE | (isLast ? 0 : Flag.MORE) | (isAttached ? Flag.ATTACHED : 0);
          const frame = batch(7, data(1, flags, isAttached ? undefined : body));
          const reader = new BatchReader(isAttached ? [frame, body] : [frame]);
          expect(reader.next()).toBe(true);
          joiner.add(reader);
          // What came in line is no longer where it came.
          frame.fill(255);
        }
        expect(joiner.bytes).toBe(bodies.reduce((sum, { length }) => sum + length, 0));
        expect(Buffer.compare(joiner.joined(), Buffer.concat(bodies))).toBe(0);
      }),
    );
  });

  const part = fc.record({
    text: fc
      .tuple(fc.string({ unit: "binary", maxLength: 200 }), fc.integer({ min: 1, max: 200 }))
      .map(([once, times]) => once.repeat(times)),
    cuts: fc.array(cut, { maxLength: 20 }),
    attached: fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
  });

  test("of several calls in any order, in line and attached, in any batches, are joined to each call's request", async () => {
    const transport = new DirectTransport();
    await using host = new ServiceHost({ binding: binding(transport.element), drainTimeoutMs: 0 });
    await host.serve(Behavior, new BehaviorService()).open("direct://host");
    let nextId = 1;
    await fc.assert(
      fc.asyncProperty(
        fc.array(part, { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(100)),
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }),
        async (parts, order, group) => {
          const link = transport.connect();
          link.receive(batch(0, hello()));
          await endOfTurn();
          const tag = link.take()[0]!.tag;
          const lines = parts.map(({ text, cuts, attached }) => recordsOfRequest((nextId += 2), text, cuts, attached));
          const expected = new Map(lines.map(({ id }, index) => [id, parts[index]!.text]));
          // Records of one call keep their order; whose turn it is, is drawn.
          for (let turn = 0; lines.some(({ records }) => records.length > 0); turn++) {
            const frames: Uint8Array[] = [];
            const records: RawRecord[] = [];
            for (let left = group[turn % group.length]!; left > 0; left--) {
              const open = lines.filter((line) => line.records.length > 0);
              const next =
                open[
                  (order[(turn + left) % Math.max(order.length, 1)] ?? turn) % Math.max(open.length, 1)
                ]?.records.shift();
              if (!next) continue;
              const { body = new Uint8Array(), flags = 0 } = next;
              if ((flags & Flag.ATTACHED) !== 0) frames.push(body);
              records.push((flags & Flag.ATTACHED) !== 0 ? { ...next, body: new Uint8Array() } : next);
            }
            link.receive(batch(tag, ...records), ...frames);
          }
          const got = new Map<number, string>();
          while (got.size < expected.size) {
            await new Promise(setImmediate);
            for (const { type, callId, aux, body } of link.take()) {
              if (type !== RecordType.END) continue;
              expect(aux).toBe(Status.OK);
              got.set(callId, EchoReply.decode(body).text);
            }
          }
          expect(got).toEqual(expected);
          link.lose();
        },
      ),
      { numRuns: 200 },
    );
  });
});

/** The records of an echo whose request is cut into pieces of the given sizes. */
function recordsOfRequest(
  id: number,
  text: string,
  cuts: readonly number[],
  attached: readonly boolean[],
): { id: number; records: RawRecord[] } {
  const bytes = EchoRequest.encode(EchoRequest.fromPartial({ text })).finish();
  const records: RawRecord[] = [];
  let from = 0;
  for (let index = 0; records.length === 0 || from < bytes.length; index++) {
    const to = Math.min(from + (cuts[index] ?? bytes.length), bytes.length);
    const isLast = to === bytes.length;
    const flags =
      Flag.MESSAGE | (isLast ? Flag.END : Flag.MORE) | (attached[index % attached.length] ? Flag.ATTACHED : 0);
    const body = bytes.slice(from, to);
    records.push(index === 0 ? call(id, path("Echo"), { flags, body }) : data(id, flags, body));
    from = to;
  }
  return { id, records };
}
