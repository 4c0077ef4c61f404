import { CallHeader, DataHeader, EndHeader } from "../../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType } from "../../src/records.ts";
import { EchoRequest } from "../gen/test/v1/behavior.pb.ts";
import { call, data, path, unary } from "./hostile.ts";
import { batch, hello, welcome } from "./raw-peer.ts";
import type { RawRecord } from "./raw-peer.ts";

const text = (key: string, value: string) => ({ key, value: { $case: "text" as const, value } });
const four = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
/** A message of one field that most types can read. */
export const small: Uint8Array = Uint8Array.of(8, 3);

/** What an honest client says in a session: each batch, with its attachments. */
export function clientSays(tag: number): Uint8Array[][] {
  const metadata = [text("echo-header", "ü"), { key: "x-bin", value: { $case: "binary" as const, value: small } }];
  const meta = CallHeader.encode(CallHeader.fromPartial({ path: path("Echo"), methodNumber: 2, metadata })).finish();
  const body = EchoRequest.encode(EchoRequest.fromPartial({ text: "hello", data: small, delayMs: 1 })).finish();
  const number = CallHeader.encode(CallHeader.fromPartial({ path: path("Ping"), methodNumber: 1 })).finish();
  return [
    [batch(tag, call(1, "", { meta: number, body: small }), call(3, "", { meta: Uint8Array.of(8, 1) }))],
    [batch(tag, call(5, "", { meta, body, aux: 5000 }), call(7, path("Count"), { body: Uint8Array.of(8, 200, 1) }))],
    [
      batch(
        tag,
        call(9, path("Sum"), { flags: 0 }),
        data(9, Flag.MESSAGE, small),
        data(9, Flag.MESSAGE | Flag.END, small),
      ),
    ],
    [
      batch(tag, call(11, path("Relay"), { flags: 0 }), data(11, Flag.MESSAGE | Flag.ATTACHED), data(11, Flag.END)),
      new Uint8Array(300),
    ],
    [
      batch(
        tag,
        call(13, path("Echo"), { flags: Flag.MESSAGE | Flag.MORE, body: body.subarray(0, 4) }),
        data(13, Flag.MESSAGE | Flag.MORE, body.subarray(4, 6)),
        data(13, unary, body.subarray(6)),
      ),
    ],
    [
      batch(
        tag,
        { type: RecordType.CREDIT, callId: 7, aux: 100, meta: four(50) },
        { type: RecordType.CREDIT, aux: 99 },
      ),
    ],
    [
      batch(tag, call(15, path("Echo"), { body: Uint8Array.of(0x18, 100) }), {
        type: RecordType.CANCEL,
        callId: 15,
        aux: 1,
      }),
    ],
    [
      batch(
        tag,
        { type: RecordType.PING, aux: 7 },
        { type: RecordType.PONG, aux: 7 },
        { type: 99, flags: Flag.OPTIONAL },
      ),
    ],
    [
      batch(
        tag,
        call(17, path("Notify"), { flags: unary | Flag.ONEWAY }),
        call(19, path("Fail"), { body: Uint8Array.of(8, 5) }),
      ),
    ],
    [batch(0, hello())],
  ];
}

/** What an honest server says to four calls: ping, count, sum and relay. */
export function serverSays(tag: number, [ping = 0, count = 0, sum = 0, relay = 0]: readonly number[]): Uint8Array[][] {
  const end = (callId: number, changes: Partial<RawRecord> = {}): RawRecord => ({
    type: RecordType.END,
    flags: Flag.END,
    callId,
    ...changes,
  });
  const header = DataHeader.encode(DataHeader.fromPartial({ header: [text("a", "b"), text("a", "ü")] })).finish();
  const status = { message: "no", details: [{ typeUrl: "type.googleapis.com/test.v1.FailReason", value: small }] };
  const trailer = [{ key: "t-bin", value: { $case: "binary" as const, value: small } }];
  const meta = EndHeader.encode(EndHeader.fromPartial({ ...status, trailer })).finish();
  return [
    [batch(tag, { ...data(count, Flag.MESSAGE, small), meta: header }, data(count, Flag.MESSAGE, small))],
    [batch(tag, { type: RecordType.CREDIT, callId: sum, aux: 100, meta: four(9) }, { type: RecordType.PING, aux: 3 })],
    [
      batch(tag, data(relay, Flag.MESSAGE | Flag.ATTACHED), data(relay, Flag.MESSAGE | Flag.MORE, small)),
      new Uint8Array(200),
    ],
    [batch(tag, data(relay, Flag.MESSAGE, small), end(count))],
    [batch(tag, end(ping, { flags: unary, body: small, meta: header }), { type: 99, flags: Flag.OPTIONAL })],
    [batch(tag, { type: RecordType.CREDIT, aux: 5000 }, end(sum, { aux: 5, meta }))],
    [batch(tag, { type: RecordType.REFUSE, callId: relay, aux: 8, meta }, end(relay))],
    [batch(tag, { type: RecordType.GOAWAY, aux: ping })],
    [batch(tag, welcome())],
  ];
}

/** A conversation for a session of another tag, whose call ids begin at another number; written once, copied often. */
export function readdressed(says: readonly Uint8Array[][], tag: number, firstId: number): Uint8Array[][] {
  return says.map(([template, ...attachments]) => {
    const frame = template!.slice();
    const view = new DataView(frame.buffer);
    if (view.getUint32(4, true) !== 0) view.setUint32(4, tag, true);
    for (let at = 8; at + 16 <= frame.length; at += 16 + view.getUint32(at, true)) {
      const id = view.getUint32(at + 8, true);
      if (id !== 0) view.setUint32(at + 8, id - 1 + firstId, true);
    }
    return [frame, ...attachments];
  });
}
