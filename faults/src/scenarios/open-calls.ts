import type { Peer } from "../harness/peer.ts";
import type { Summary } from "../peer/ledger.ts";

/** Calls that run until something ends them. */
export const openCalls = { unary: 500, streams: 50, all: 550 };

/** Opens 500 calls and 50 streams of all kinds, and resolves when the server runs all of them. */
export async function openMany(client: Peer, server: Peer, timeoutMs = 60_000): Promise<void> {
  await client.ask("start", { method: "work", delayMs: 600_000, timeoutMs }, openCalls.unary);
  await client.ask("start", { method: "watch", intervalMs: 20, timeoutMs }, 20);
  await client.ask("start", { method: "collect", intervalMs: 20, timeoutMs }, 15);
  await client.ask("start", { method: "relay", intervalMs: 20, timeoutMs }, 15);
  await server.ask("whenRunning", openCalls.all, true);
}

/** When the last call ended with a code, on the shared clock; NaN, which passes no check, if none did. */
export function endOf(summary: Summary, code: string): number {
  return summary.ends[code]?.lastMs ?? NaN;
}
