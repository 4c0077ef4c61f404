import type { Peer } from "../harness/peer.ts";
import type { ScenarioPlan } from "../harness/run.ts";
import type { Scenario } from "../harness/scenario.ts";
import type { Summary } from "../peer/ledger.ts";
import { pause, sharedMs } from "../peer/clock.ts";
import { endOf } from "./open-calls.ts";

/** A polite client's p99 beside a flood, with all processes on two processors. */
const politeP99Ms = 250;

export const flood: ScenarioPlan = {
  name: "flood",
  proves:
    "100,000 calls at once and an endless burst of one-way calls do not keep a polite client from being answered; overload is told at once, by RESOURCE_EXHAUSTED.",
  transports: ["tcp", "ipc", "ws"],

  async run(scenario) {
    const server = await scenario.server("server", { maxConcurrentCalls: 1_200, maxQueuedCalls: 300 });
    const polite = await scenario.client("polite", server.address);
    const greedy = await scenario.client("greedy", server.address, { maxQueuedCalls: 200_000 });
    const normal = await scenario.client("normal", server.address);
    await scenario.warmUp(polite);
    await scenario.warmUp(greedy, 3);
    await scenario.baseline(server, polite);
    await polite.ask("startPaced", "polite", { method: "work", bytes: 32 }, 20);
    await pause(1_500);
    report(scenario, "alone", await polite.ask("take"));

    scenario.step("100,000 calls at once");
    const startedMs = sharedMs();
    await greedy.ask("start", { method: "work", bytes: 32 }, 100_000);
    const all = await scenario.outcome("flood", greedy, ["OK"], 40_000);
    scenario.equal("calls answered", all.codes["OK"], 100_000);
    scenario.figure("100,000 calls took", sharedMs() - startedMs);
    report(scenario, "beside 100,000 calls", await polite.ask("take"));

    scenario.step("a flood of calls for 3 s");
    await greedy.ask("startFlood", "calls", { method: "work", bytes: 32 }, 5_000);
    await pause(3_000);
    await greedy.ask("stop", "calls");
    report(scenario, "beside 5,000 calls again and again", await polite.ask("take"));
    await scenario.outcome("flood again", greedy, ["OK"]);

    scenario.step("a flood of one-way calls for 3 s");
    await greedy.ask("startFlood", "one-way", { method: "tell", bytes: 32 }, 2_000);
    await pause(3_000);
    await greedy.ask("stop", "one-way");
    report(scenario, "beside one-way calls", await polite.ask("take"));
    await scenario.outcome("one-way flood", greedy, ["OK"]);
    await polite.ask("stop", "polite");
    await scenario.outcome("all the time", polite, ["OK"]);
    await overload(scenario, normal, greedy);
  },
};

function report(scenario: Scenario, when: string, summary: Summary): void {
  scenario.expectCodes(`polite, ${when}`, { ...summary, open: [] }, ["OK"]);
  scenario.atLeast(`polite calls ${when}`, summary.ended, 1);
  scenario.atMost(`p99 of a polite client ${when}`, summary.latency.p99, politeP99Ms);
  scenario.figure(`polite p99 ${when}`, summary.latency.p99);
}

/** More than the channel queues, and more than the server runs and lets wait: told at once, and the rest is answered. */
async function overload(scenario: Scenario, normal: Peer, greedy: Peer): Promise<void> {
  scenario.step("overload");
  let startedMs = sharedMs();
  await normal.ask("start", { method: "work", delayMs: 100, bytes: 8 }, 20_000);
  await normal.ask("settled", 20_000);
  const queued = await scenario.outcome("a full queue", normal, ["OK", "RESOURCE_EXHAUSTED"]);
  // 1,000 run, 10,000 wait.
  scenario.equal("calls beyond maxQueuedCalls", queued.codes["RESOURCE_EXHAUSTED"], 9_000);
  const told = endOf(queued, "RESOURCE_EXHAUSTED") - startedMs;
  scenario.atMost("until a full queue was told", told, 3_000);
  scenario.figure("full queue told after", told);
  startedMs = sharedMs();
  await normal.ask("start", { method: "work", delayMs: 2_000, bytes: 8 }, 1_000);
  await greedy.ask("start", { method: "work", delayMs: 2_000, bytes: 8 }, 1_000);
  const [first, second] = [
    await scenario.outcome("a busy server", normal, ["OK", "RESOURCE_EXHAUSTED"]),
    await scenario.outcome("a busy server", greedy, ["OK", "RESOURCE_EXHAUSTED"]),
  ];
  const refused = (first.codes["RESOURCE_EXHAUSTED"] ?? 0) + (second.codes["RESOURCE_EXHAUSTED"] ?? 0);
  scenario.equal("calls beyond what the host runs and lets wait", refused, 500);
  const ends = [first, second].map((summary) => summary.ends["RESOURCE_EXHAUSTED"]?.lastMs ?? startedMs);
  scenario.atMost("until a busy server told so", Math.max(...ends) - startedMs, 1_000);
  scenario.figure("busy server told after", Math.max(...ends) - startedMs);
}
