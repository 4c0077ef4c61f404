import type { ScenarioPlan } from "../harness/run.ts";
import { openCalls, openMany } from "./open-calls.ts";

export const clientKilled: ScenarioPlan = {
  name: "client-killed",
  proves:
    "the handlers of 500 calls and 50 streams see their signal within 100 ms of the loss of their client, and the server keeps nothing of it.",
  transports: ["tcp", "ipc", "ws"],
  byDefault: ["tcp", "ipc", "ws"],

  async run(scenario) {
    const server = await scenario.server("server");
    const warm = await scenario.client("warm-up", server.address);
    await scenario.warmUp(warm);
    await scenario.baseline(warm, server);
    const spreads: number[] = [];
    for (let life = 1; life <= 3; life++) {
      scenario.step(`kill ${life} of 3`);
      const client = await scenario.client(`client ${life}`, server.address);
      await openMany(client, server);
      await server.ask("takeSignals");
      const killedMs = client.signal("SIGKILL");
      await server.ask("whenRunning", 0, false);
      const { count, firstMs, lastMs } = await server.ask("takeSignals");
      scenario.equal("handlers that saw their signal", count, openCalls.all);
      spreads.push(lastMs - firstMs);
      scenario.atMost("from the kill to the last signal", lastMs - killedMs, 500);
      scenario.figure("first signal", firstMs - killedMs);
      scenario.figure("last", lastMs - killedMs);
      // The other client has not noticed anything.
      await warm.ask("make", { method: "work" }, 100, 10);
      await scenario.outcome("others", warm, ["OK"]);
    }
    // The first signal shows that the loss was noticed. One of three may be disturbed by other work of the machine.
    const [, spread = NaN] = spreads.toSorted((left, right) => left - right);
    scenario.atMost("from the first signal to the last, median of 3", spread, 100);
    scenario.figure("first to last, median", spread);
  },
};
