import type { ScenarioPlan } from "../harness/run.ts";
import { sharedMs } from "../peer/clock.ts";

const blockMs = 3_000;

export const blockedLoop: ScenarioPlan = {
  name: "blocked-loop",
  proves:
    "an event loop that does nothing for 3 s, on either side, is not taken for dead; deadlines that passed end their calls right afterwards, and nothing is carried out twice.",
  transports: ["tcp", "ipc", "ws"],

  async run(scenario) {
    const server = await scenario.server("server");
    const client = await scenario.client("client", server.address);
    await scenario.warmUp(client);
    await scenario.baseline(server, client);
    for (const who of ["server", "client"] as const) {
      scenario.step(`the ${who} does nothing for ${blockMs} ms`);
      await client.ask("start", { method: "work", delayMs: 200, timeoutMs: 20_000 }, 200);
      await client.ask("start", { method: "relay", count: 50, intervalMs: 5, timeoutMs: 20_000 }, 20);
      await client.ask("start", { method: "work", delayMs: 60_000, timeoutMs: 1_000 }, 200);
      await server.ask("whenRunning", 420, true);
      const blockedMs = sharedMs();
      const blocked = (who === "server" ? server : client).ask("block", blockMs);
      if (who === "server") await client.ask("start", { method: "work", timeoutMs: 20_000 }, 200);
      await blocked;
      const summary = await scenario.outcome(`${who} blocked`, client, ["OK", "DEADLINE_EXCEEDED"]);
      scenario.equal("calls answered", summary.codes["OK"], who === "server" ? 420 : 220);
      scenario.equal("calls that ended at their deadline", summary.codes["DEADLINE_EXCEEDED"], 200);
      const endedMs = (summary.ends["DEADLINE_EXCEEDED"]?.lastMs ?? NaN) - blockedMs;
      // A client that is not blocked keeps its deadlines.
      scenario.atMost(`deadlines while the ${who} did nothing`, endedMs, who === "server" ? 1_300 : blockMs + 500);
      scenario.figure(`deadlines of 1 s, ${who} blocked, ended after`, endedMs);
      await server.ask("whenRunning", 0, false);
      await client.ask("make", { method: "work" }, 200, 100);
      await scenario.outcome("afterwards", client, ["OK"]);
    }
    const counters = { ...(await client.ask("channelCounters")), ...(await server.ask("hostCounters")) };
    scenario.figure("counters", JSON.stringify(counters));
  },
};
