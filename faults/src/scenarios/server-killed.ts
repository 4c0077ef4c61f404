import type { ScenarioPlan } from "../harness/run.ts";
import { endOf, openCalls, openMany } from "./open-calls.ts";

export const serverKilled: ScenarioPlan = {
  name: "server-killed",
  proves:
    "500 calls and 50 streams end UNAVAILABLE, each once, within a second of the server's death; its successor on the same address is found without help, and no reply of the old process reaches a new call.",
  transports: ["tcp", "ipc", "ws"],
  byDefault: ["tcp", "ipc", "ws"],

  async run(scenario) {
    let server = await scenario.server("server");
    const client = await scenario.client("client", server.address);
    await scenario.warmUp(client);
    await scenario.baseline(client, server);
    for (let life = 1; life <= 3; life++) {
      scenario.step(`kill ${life} of 3`);
      await openMany(client, server);
      // Some are to be answered just when the server dies.
      await client.ask("startPaced", "answered", { method: "work" }, 500);
      await client.ask("startPaced", "late", { method: "work", delayMs: 30 }, 500);
      await client.ask("reached", 1_000);
      const killedMs = server.signal("SIGKILL");
      await server.exited;
      await client.ask("stop", "answered");
      await client.ask("stop", "late");
      const old = server;
      server = await scenario.server(`server ${life + 1}`, {}, old.address);
      server.baseline = old.baseline;
      // Those that had found no connection yet go to the successor.
      const lost = await scenario.outcome("server killed", client, ["UNAVAILABLE", "OK"]);
      scenario.atLeast("calls that ended UNAVAILABLE", lost.codes["UNAVAILABLE"] ?? 0, openCalls.all);
      const found = await client.ask("reached", 10_000);
      scenario.atMost("until the successor was found", found, 5_000);
      const noticed = endOf(lost, "UNAVAILABLE") - killedMs;
      scenario.atMost("until all calls had ended", noticed, 1_000);
      scenario.figure("all ended after", noticed);
      scenario.figure("successor found after", found);
      await client.ask("make", { method: "work" }, 500, 100);
      const fresh = await scenario.outcome("successor", client, ["OK"]);
      const servers = Object.keys(fresh.servers).join(", ");
      scenario.check(
        "replies",
        "servers that answered new calls",
        servers === `${server.number}`,
        server.number,
        servers,
      );
    }
  },
};
