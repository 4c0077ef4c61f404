import type { ScenarioPlan } from "../harness/run.ts";
import { pause } from "../peer/clock.ts";

export const clientStopped: ScenarioPlan = {
  name: "client-stopped",
  proves:
    "a client that stands still (SIGSTOP) with calls and streams open blocks nobody and is freed after the ping timeout; when it goes on (SIGCONT), its calls end and it recovers by itself.",
  transports: ["tcp", "ipc", "ws"],

  async run(scenario) {
    const server = await scenario.server("server", { pingIntervalMs: 300, pingTimeoutMs: 600 });
    const client = await scenario.client("client", server.address);
    const polite = await scenario.client("polite", server.address);
    await scenario.warmUp(client);
    await scenario.warmUp(polite);
    await scenario.baseline(server, client, polite);
    await polite.ask("startPaced", "polite", { method: "work" }, 50);
    await pause(1_000);
    const before = await polite.ask("take");
    await client.ask("start", { method: "work", delayMs: 60_000 }, 100);
    await client.ask("start", { method: "watch", intervalMs: 0, bytes: 1024 }, 10);
    await server.ask("whenRunning", 110, true);
    await server.ask("takeSignals");
    scenario.step("SIGSTOP");
    const stoppedMs = client.signal("SIGSTOP");
    await server.ask("whenRunning", 0, false);
    const { lastMs } = await server.ask("takeSignals");
    scenario.atMost("until the server had freed the client's calls", lastMs - stoppedMs, 2_500);
    scenario.figure("freed after", lastMs - stoppedMs);
    await polite.ask("stop", "polite");
    const during = await scenario.outcome("while another stood still", polite, ["OK"]);
    scenario.atMost("p99 of a polite client", during.latency.p99, 100);
    scenario.figure("polite p99", `${before.latency.p99.toFixed(1)} → ${during.latency.p99.toFixed(1)} ms`);
    scenario.step("SIGCONT");
    client.signal("SIGCONT");
    scenario.figure("recovered in", await client.ask("reached", 10_000));
    await scenario.outcome("calls from before", client, ["UNAVAILABLE"]);
    await client.ask("make", { method: "work" }, 500, 100);
    const summary = await scenario.outcome("going on", client, ["OK"]);
    scenario.equal("calls answered", summary.codes["OK"], 500);
  },
};
