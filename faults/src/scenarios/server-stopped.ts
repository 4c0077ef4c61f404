import type { ScenarioPlan } from "../harness/run.ts";
import { endOf } from "./open-calls.ts";

export const serverStopped: ScenarioPlan = {
  name: "server-stopped",
  proves:
    "while the server stands still (SIGSTOP), calls end at their deadlines, or UNAVAILABLE by the ping timeout; when it goes on (SIGCONT), clients recover by themselves, and late replies are dropped and counted.",
  transports: ["tcp", "ipc", "ws"],

  async run(scenario) {
    const server = await scenario.server("server");
    const patient = await scenario.client("patient", server.address);
    const pinging = await scenario.client("pinging", server.address, { pingIntervalMs: 200, pingTimeoutMs: 400 });
    await scenario.warmUp(patient);
    await scenario.warmUp(pinging);
    await scenario.baseline(server, patient, pinging);
    scenario.step("SIGSTOP with calls open");
    await patient.ask("start", { method: "work", delayMs: 300, timeoutMs: 1_200 }, 200);
    await patient.ask("start", { method: "watch", intervalMs: 10, timeoutMs: 1_200 }, 20);
    await pinging.ask("start", { method: "work", delayMs: 60_000 }, 200);
    await pinging.ask("start", { method: "relay", intervalMs: 10 }, 20);
    await server.ask("whenRunning", 440, true);
    const stoppedMs = server.signal("SIGSTOP");
    const late = await scenario.outcome("stopped server", patient, ["DEADLINE_EXCEEDED"]);
    scenario.atMost("until calls had ended at their deadline", endOf(late, "DEADLINE_EXCEEDED") - stoppedMs, 1_300);
    const lost = await scenario.outcome("stopped server", pinging, ["UNAVAILABLE"]);
    const noticed = endOf(lost, "UNAVAILABLE") - stoppedMs;
    // Silence of an interval, a question, and the timeout, each looked at in steps of the interval.
    scenario.atMost("until the ping timeout ended calls", noticed, 1_200);
    scenario.figure("noticed by ping", noticed);
    await patient.ask("start", { method: "work", timeoutMs: 300 }, 100);
    await scenario.outcome("still stopped", patient, ["DEADLINE_EXCEEDED"]);
    scenario.step("SIGCONT");
    server.signal("SIGCONT");
    for (const client of [patient, pinging]) {
      scenario.figure(`${client.name} recovered in`, await client.ask("reached", 10_000));
      await client.ask("make", { method: "work" }, 500, 100);
      const summary = await scenario.outcome("going on", client, ["OK"]);
      scenario.equal(`${client.name}: calls answered`, summary.codes["OK"], 500);
    }
    const { "late reply": lateReplies = 0 } = await patient.ask("channelCounters");
    scenario.atLeast("late replies that were dropped and counted", lateReplies, 1);
    scenario.figure("late replies", lateReplies, "dropped");
  },
};
