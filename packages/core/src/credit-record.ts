import type { AnyMessageType, MessageType } from "./contract.ts";
import { WireError } from "./records.ts";
import type { BatchReader } from "./records.ts";

/** The credit of a stream in messages; the one in bytes is in the record's aux field. */
export const creditType: AnyMessageType = {
  encode: (messages: number, writer: { fixed32(value: number): unknown }) => writer.fixed32(messages),
  decode: (reader: { fixed32(): number }) => reader.fixed32(),
} as unknown as AnyMessageType;

/** The messages that a CREDIT record of a call grants; the bytes are in its aux field. */
export function grantedMessages(batch: BatchReader): number {
  if (batch.metaLength !== 4) throw new WireError("a CREDIT record has no count of messages");
  return batch.meta(creditType as MessageType<number>);
}
