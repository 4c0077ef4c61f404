import { mib } from "../harness/checks.ts";
import type { Peer } from "../harness/peer.ts";
import type { ScenarioPlan } from "../harness/run.ts";
import type { Scenario } from "../harness/scenario.ts";
import type { CallSpec } from "../peer/calls.ts";

const runMs = 5_000;
const limitBytes = 64 * 1024 * 1024;
/** 100 a second. */
const paceMs = 10;
const offered = { count: 1_000_000, bytes: 1024 };

export const slowConsumer: ScenarioPlan = {
  name: "slow-consumer",
  proves:
    "a producer that offers 1,000,000 × 1 KiB to a consumer that takes 100 a second, in either direction, grows neither process by more than 64 MiB, and other calls on the same connection go on.",
  transports: ["tcp", "ipc", "ws"],

  async run(scenario) {
    const server = await scenario.server("server");
    const client = await scenario.client("client", server.address);
    await scenario.warmUp(client);
    await scenario.baseline(server, client);
    // The handler's generator offers as fast as it is asked.
    await against(scenario, client, server, { method: "watch", ...offered, intervalMs: 0, paceMs });
    await against(scenario, client, server, { method: "collect", ...offered, eager: true, paceMs });
    await against(scenario, client, server, { method: "relay", ...offered, eager: true, paceMs });
  },
};

async function against(scenario: Scenario, client: Peer, server: Peer, spec: CallSpec): Promise<void> {
  const { method } = spec;
  scenario.step(`${method}, for ${runMs / 1000} s`);
  const [clientStart, serverStart] = [await client.ask("watchMemory"), await server.ask("watchMemory")];
  await client.ask("startPaced", "others", { method: "work" }, 100);
  await client.ask("startCancelled", spec, runMs);
  await server.ask("whenRunning", 1, true);
  await server.ask("whenRunning", 0, false);
  await client.ask("stop", "others");
  const summary = await scenario.outcome(method, client, ["OK", "CANCELLED"]);
  scenario.equal(`${method}: streams that were cancelled`, summary.codes["CANCELLED"], 1);
  scenario.atMost(`${method}: p99 of other calls on the connection`, summary.latency.p99, 400);
  scenario.figure(`${method}: others' p99`, summary.latency.p99);
  const growth = [
    ["client", (await client.ask("peakMemory")) - clientStart],
    ["server", (await server.ask("peakMemory")) - serverStart],
  ] as const;
  for (const [who, bytes] of growth) {
    const ok = bytes <= limitBytes;
    scenario.check("memory", `${method}: growth of the ${who}`, ok, `at most ${mib(limitBytes)}`, mib(bytes));
    scenario.figure(`${who} grew by`, mib(bytes));
  }
}
