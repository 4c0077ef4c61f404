import { loneRecord } from "./batch-writer.ts";
import { Auth, Refusal } from "./gen/zerobind/v1/wire.pb.ts";
import { BatchReader, RecordType, RefuseReason, WireError, batchHeaderBytes, wireVersion } from "./records.ts";

/*
 * What transports say on a connection before there is a link: who is there, and why it is not let in. See AUTH in
 * docs/protocol.md.
 */

/** A question, which has the challenge, or its answer, which has the other two. */
export type LinkAuth = Auth;

/** The message that asks who is there, or answers that. */
export function authBatch(auth: Partial<LinkAuth>): Uint8Array {
  return loneRecord(RecordType.AUTH, Auth, Auth.fromPartial(auth));
}

/** What an AUTH says; undefined for every other message, and for one that cannot be read. */
export function readAuth(frames: readonly Uint8Array[]): LinkAuth | undefined {
  try {
    const batch = new BatchReader(frames);
    return batch.count === 1 && batch.next() && batch.type === RecordType.AUTH ? batch.meta(Auth) : undefined;
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

/** The tag of the session that a native message belongs to; 0 for one that begins a session. */
export function sessionTag(frame: Uint8Array): number {
  if (frame.byteLength < batchHeaderBytes) return 0;
  return (frame[4]! | (frame[5]! << 8) | (frame[6]! << 16) | (frame[7]! << 24)) >>> 0;
}

/** The message that tells a peer that it is not let in. */
export function unauthenticatedBatch(message: string): Uint8Array {
  return refusalBatch(RefuseReason.UNAUTHENTICATED, 0, message);
}

/** The message that tells a peer that its session is over, so that it begins another. */
export function unknownSessionBatch(tag: number): Uint8Array {
  return refusalBatch(RefuseReason.UNKNOWN_SESSION, tag, "the session is not known here");
}

function refusalBatch(reason: number, tag: number, message: string): Uint8Array {
  const refusal: Refusal = { message, minVersion: wireVersion, maxVersion: wireVersion };
  return loneRecord(RecordType.REFUSE, Refusal, refusal, reason, tag);
}
