import { EndHeader } from "../../src/gen/zerobind/v1/wire.pb.ts";
import type { MetadataEntry } from "../../src/gen/zerobind/v1/wire.pb.ts";
import { RecordType } from "../../src/records.ts";
import { PingReply } from "../gen/test/v1/behavior.pb.ts";
import { HostileServer, unary } from "./hostile.ts";
import type { RawRecord } from "./raw-peer.ts";

const one: Uint8Array = PingReply.encode({ sequence: 1 }).finish();

/** An END with a reply, but for what a test changes. */
export function end(callId: number, changes: Partial<RawRecord> = {}): RawRecord {
  return { type: RecordType.END, flags: unary, callId, body: one, ...changes };
}

/** The meta of an END with a trailer. */
export function trailer(...entries: MetadataEntry[]): Uint8Array {
  return EndHeader.encode(EndHeader.fromPartial({ trailer: entries })).finish();
}

/** An entry of text. */
export const text = (key: string, value: string): MetadataEntry => ({ key, value: { $case: "text", value } });

/** A ping under way on a server that has greeted; afterwards the channel must still be of use. */
export async function duringPing(
  run: (server: HostileServer, id: number, outcome: Promise<unknown>) => Promise<void>,
): Promise<void> {
  await using server = await HostileServer.open();
  await server.greet();
  const { id, outcome } = await server.begun((client) => client.ping({}, { timeoutMs: 5000 }));
  await run(server, id, outcome);
  await server.politely();
}
