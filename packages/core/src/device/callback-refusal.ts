import { CallHeader } from "../gen/zerobind/v1/wire.pb.ts";
import type { OutgoingRecord } from "../outgoing.ts";
import { Flag, RecordType, WireError } from "../records.ts";
import type { BatchReader } from "../records.ts";
import { quoted } from "../refusals.ts";
import { statusMeta } from "../reply-blocks.ts";
import { Status } from "../status.ts";

/** The answer to a worker that calls back: clients of a device are not known to its workers. */
export function callbackRefusal(batch: BatchReader): OutgoingRecord {
  const { callId, flags } = batch;
  if ((callId & 1) === 1) throw new WireError("the calls of a worker have even ids");
  const nothing = { metaType: undefined, meta: undefined, bodyType: undefined, body: undefined };
  if ((flags & Flag.ONEWAY) !== 0) return { type: RecordType.ACK, flags: 0, callId: 0, aux: 1, ...nothing };
  const { path } = batch.meta(CallHeader);
  const text = `${path === "" ? "a callback" : quoted(path)} cannot pass a queue device: there is no session between a handler behind it and the client in front; callbacks need a direct connection`;
  const [metaType, meta] = statusMeta(text);
  return { ...nothing, type: RecordType.END, flags: Flag.END, callId, aux: Status.UNIMPLEMENTED, metaType, meta };
}
