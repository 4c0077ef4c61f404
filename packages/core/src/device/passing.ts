import type { BodyCodec, StackParts } from "../binding.ts";
import type { BatchWriter } from "../batch-writer.ts";
import type { AnyMessageType } from "../contract.ts";
import { DataHeader, EndHeader } from "../gen/zerobind/v1/wire.pb.ts";
import type { MetadataEntry } from "../gen/zerobind/v1/wire.pb.ts";
import { metadataFromEntries } from "../metadata.ts";
import { rawType } from "../message.ts";
import type { OutgoingRecord } from "../outgoing.ts";
import { Flag, WireError, copyOf } from "../records.ts";
import type { BatchReader } from "../records.ts";
import { sessionParts } from "../session-parts.ts";
import type { EndSettings, SessionSettings } from "../session.ts";

/** Bodies pass a device as they are; a large one stays the frame that brought it. */
const passingCodec: BodyCodec = {
  write(_type: AnyMessageType, body: unknown, writer: BatchWriter) {
    writer.adopt(body as Uint8Array);
    return 0;
  },
  read: readNothing,
  packed: readNothing,
  unpack: readNothing,
};

function readNothing(): never {
  throw new Error("a device reads no messages");
}

/**
 * The parts of a device's session settings that the binding decides. It names no compressions, whatever the binding
 * has: the two hops of a message need not have the same, and windows are counted in bytes that it would not know.
 */
export function passingParts(stack: StackParts): Omit<SessionSettings, keyof EndSettings> {
  return { ...sessionParts(stack), codec: passingCodec, compression: undefined };
}

/** A part of a call that goes on to the other side: its meta and its message are bytes, as they came. */
export interface Piece {
  readonly type: number;
  /** END and MESSAGE; how the message travels is the next hop's affair. */
  readonly flags: number;
  readonly aux: number;
  readonly meta: Uint8Array | undefined;
  readonly body: Uint8Array | undefined;
}

/** The record that carries a piece under the id that the call has at the next hop. */
export function recordOf({ type, flags, aux, meta, body }: Piece, callId: number): OutgoingRecord {
  return {
    type,
    flags,
    callId,
    aux,
    metaType: meta && rawType,
    meta,
    bodyType: body && rawType,
    body,
  };
}

/** What a message that waits takes beside its bytes, roughly. */
const pieceCost = 256;

/** The memory that a message takes which waits. */
export function costOf(body: Uint8Array | undefined): number {
  return pieceCost + (body?.byteLength ?? 0);
}

/** The payload of a record, if it has one. It is a view of the received frame. */
export function payloadOf(batch: BatchReader): Uint8Array | undefined {
  return (batch.flags & Flag.MESSAGE) === 0 ? undefined : batch.bodyView();
}

/** A body that can be kept: one that is a small part of its batch would keep all of that. */
export function keepable(body: Uint8Array | undefined): Uint8Array | undefined {
  return body && body.byteLength * 2 < body.buffer.byteLength ? copyOf(body) : body;
}

/** The meta of DATA, checked: what is malformed must end the session of whoever sent it, and not that of its reader. */
export function dataMeta(batch: BatchReader): Uint8Array | undefined {
  if (batch.metaLength === 0) return undefined;
  checkBlock(batch.meta(DataHeader).header);
  return batch.meta(rawType);
}

/** The meta of END, and of a REFUSE of a call, checked as that of DATA. */
export function endMeta(batch: BatchReader): Uint8Array | undefined {
  if (batch.metaLength === 0) return undefined;
  const { header, trailer } = batch.meta(EndHeader);
  checkBlock(header);
  checkBlock(trailer);
  return batch.meta(rawType);
}

function checkBlock(entries: readonly MetadataEntry[]): void {
  if (entries.length === 0) return;
  try {
    metadataFromEntries(entries);
  } catch (cause) {
    throw new WireError(`metadata is not valid: ${(cause as Error).message}`, { cause });
  }
}
