import type { HeldRecord } from "./backlog.ts";
import { Flag, RecordType, recordHeaderBytes } from "./records.ts";

/** Cuts a body into records that carry one fragment each; `head` is the encoded header and meta of the whole record. */
export function* fragments(head: Uint8Array, flags: number, body: Uint8Array, size: number): Generator<HeldRecord> {
  // A request opens with its own record; a reply ends with it, since it also says how the call ended.
  const opensCall = head[4] === RecordType.CALL;
  for (let offset = 0; offset < body.byteLength; offset += size) {
    const isLast = offset + size >= body.byteLength;
    const isOwnRecord = opensCall ? offset === 0 : isLast;
    const piece = isOwnRecord ? head.slice() : dataHead(head);
    const ending = isLast ? flags & Flag.END : Flag.MORE;
    const kept = isOwnRecord ? flags & ~(Flag.END | Flag.COMPRESSED) : 0;
    const compressed = offset === 0 ? flags & Flag.COMPRESSED : 0;
    piece[5] = kept | compressed | ending | Flag.MESSAGE | Flag.ATTACHED;
    const place = offset === 0 ? "first" : isLast ? "last" : "middle";
    yield { head: piece, attachment: body.subarray(offset, offset + size), place, starved: false };
  }
}

/** The header of a DATA record without meta for the same call. */
function dataHead(head: Uint8Array): Uint8Array {
  const data = new Uint8Array(recordHeaderBytes);
  data[4] = RecordType.DATA;
  data.set(head.subarray(8, 12), 8);
  return data;
}
