import type { ScenarioPlan } from "../harness/run.ts";

const dayMs = 24 * 60 * 60 * 1000;

export const clockJump: ScenarioPlan = {
  name: "clock-jump",
  proves: "a wall clock that jumps by a day, forward or backward, on either side, moves no deadline.",
  transports: ["tcp", "ipc", "ws"],

  async run(scenario) {
    const server = await scenario.server("server");
    const client = await scenario.client("client", server.address);
    await scenario.warmUp(client);
    await scenario.baseline(server, client);
    for (const [who, byMs] of [
      ["client", dayMs],
      ["client", -2 * dayMs],
      ["server", dayMs],
      ["server", -2 * dayMs],
    ] as const) {
      scenario.step(`the clock of the ${who} jumps by ${byMs / dayMs} d`);
      await client.ask("start", { method: "work", delayMs: 400, timeoutMs: 20_000 }, 100);
      await client.ask("start", { method: "work", delayMs: 60_000, timeoutMs: 800 }, 100);
      await client.ask("start", { method: "watch", intervalMs: 20, timeoutMs: 800 }, 10);
      await server.ask("whenRunning", 210, true);
      await (who === "client" ? client : server).ask("jumpClock", byMs);
      const summary = await scenario.outcome(`jump of ${byMs / dayMs} d`, client, ["OK", "DEADLINE_EXCEEDED"]);
      scenario.equal("calls answered", summary.codes["OK"], 100);
      scenario.equal("calls that ended at their deadline", summary.codes["DEADLINE_EXCEEDED"], 110);
      const { firstMs = NaN, lastMs = NaN } = summary.ends["DEADLINE_EXCEEDED"] ?? {};
      const answeredMs = summary.ends["OK"]?.lastMs ?? NaN;
      scenario.atLeast("deadlines after the answers", firstMs - answeredMs, 200, "ms");
      scenario.atMost("deadlines after the answers", lastMs - answeredMs, 600);
      // As a point in time, a deadline follows the clock by which it was given.
      await client.ask("make", { method: "work", untilMs: 5_000 }, 20, 20);
      await scenario.outcome("deadlines by the jumped clock", client, ["OK"]);
    }
    await server.ask("whenRunning", 0, false);
  },
};
