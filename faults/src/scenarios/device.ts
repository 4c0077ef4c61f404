import type { Peer } from "../harness/peer.ts";
import { between } from "../harness/random.ts";
import type { ScenarioPlan } from "../harness/run.ts";
import type { Scenario } from "../harness/scenario.ts";
import { pause, sharedMs } from "../peer/clock.ts";
import type { Summary } from "../peer/ledger.ts";

const processes = 4;
const workersEach = 25;
const workers = processes * workersEach;
/** Calls a second of all clients together. */
const perSecond = 2_000;
const phaseMs = 7_000;

export const device: ScenarioPlan = {
  name: "device",
  proves:
    "100 workers behind a queue device join and leave at random under 2,000 calls a second of 20 clients: as long as they drain no call is lost; when they are killed only calls fail that they held, and none of the idempotent ones.",
  transports: ["tcp", "ipc"],

  async run(scenario) {
    const queue = await scenario.peer("device");
    const addresses = await queue.ask("openDevice", {
      frontend: scenario.freeAddress("front"),
      backend: scenario.freeAddress("back"),
    });
    const [frontend = "", backend = ""] = [addresses.frontend[0], addresses.backend[0]];
    scenario.step(`${workers} workers join`);
    const crews = await Promise.all(
      Array.from({ length: processes }, (_, index) => join(scenario, backend, `crew ${index}`)),
    );
    await queue.ask("deviceWorkers", workers, 10_000);
    scenario.equal("workers that joined", (await queue.ask("deviceStatus"))?.workers, workers);
    const clients: Peer[] = [];
    // What a client tries again by itself would hide what the device does.
    for (const name of ["client A", "client B"])
      clients.push(await scenario.client(name, frontend, { retry: false }, 10));
    for (const client of clients) await scenario.warmUp(client);
    await scenario.baseline(queue, ...clients);

    scenario.step("workers drain and join");
    await load(clients, () => drainAtRandom(scenario, crews));
    for (const client of clients) await scenario.outcome("workers drained", client, ["OK"]);

    scenario.step("workers are killed and join");
    const kills = await load(clients, () => killAtRandom(scenario, backend, crews));
    await failures(scenario, clients, kills);
    await queue.ask("deviceWorkers", workers, 10_000);
    const status = await queue.ask("deviceStatus");
    scenario.equal("workers at the end", status?.workers, workers);
    scenario.equal("calls that the device still has", (status?.running ?? 0) + (status?.held ?? 0), 0);
  },
};

async function join(scenario: Scenario, backend: string, name: string): Promise<Peer> {
  const crew = await scenario.peer(name);
  await crew.ask("joinDevice", backend, workersEach);
  return crew;
}

/** Calls of all kinds while something happens. */
async function load<T>(clients: readonly Peer[], work: () => Promise<T>): Promise<T> {
  const share = perSecond / clients.length / 100;
  for (const client of clients) {
    await client.ask("startPaced", "work", { method: "work", delayMs: 20 }, 50 * share);
    await client.ask("startPaced", "look", { method: "look", delayMs: 20 }, 40 * share);
    await client.ask("startPaced", "watch", { method: "watch", count: 5, intervalMs: 5 }, 5 * share);
    await client.ask("startPaced", "collect", { method: "collect", count: 5, intervalMs: 2 }, 5 * share);
  }
  const result = await work();
  for (const client of clients) for (const name of ["work", "look", "watch", "collect"]) await client.ask("stop", name);
  return result;
}

async function drainAtRandom(scenario: Scenario, crews: readonly Peer[]): Promise<void> {
  const { random } = scenario;
  const endMs = sharedMs() + phaseMs;
  let drained = 0;
  while (sharedMs() < endMs) {
    const crew = crews[between(random, 0, crews.length)]!;
    await crew.ask("replaceWorker", between(random, 0, workersEach));
    drained += 1;
    await pause(between(random, 0, 50));
  }
  scenario.figure("drained", `${drained} workers`);
}

/** Tells how often 25 workers were killed at once. */
async function killAtRandom(scenario: Scenario, backend: string, crews: Peer[]): Promise<number> {
  const { random } = scenario;
  const endMs = sharedMs() + phaseMs;
  let kills = 0;
  while (sharedMs() < endMs) {
    await pause(between(random, 300, 1_000));
    const index = between(random, 0, crews.length);
    await crews[index]!.kill();
    kills += 1;
    crews[index] = await join(scenario, backend, `crew ${index}, after ${kills} kills`);
  }
  scenario.figure("kills", `${kills} × ${workersEach} workers killed`);
  return kills;
}

async function failures(scenario: Scenario, clients: readonly Peer[], kills: number): Promise<void> {
  const summaries: Summary[] = [];
  for (const client of clients) summaries.push(await scenario.outcome("workers killed", client, ["OK", "UNAVAILABLE"]));
  const of = (method: string): number =>
    summaries.reduce((sum, { methods }) => sum + (methods["UNAVAILABLE"]?.[method] ?? 0), 0);
  const calls = summaries.reduce((sum, { ended }) => sum + ended, 0);
  const failed = ["work", "watch", "collect", "look"].reduce((sum, method) => sum + of(method), 0);
  scenario.equal("idempotent calls that failed", of("look"), 0);
  // 20 ms of 2,000 calls a second, a quarter of which is at the process that is killed.
  scenario.atLeast("calls that failed", failed, 1);
  scenario.atMost("calls that failed, for each kill", failed / kills, 60, "calls");
  for (const { errors } of summaries) {
    const text = errors["UNAVAILABLE"] ?? "outcome unknown, the worker was lost";
    scenario.check(
      "figures",
      "what the failed calls say",
      text.includes("the worker was lost"),
      "the worker was lost",
      text,
    );
  }
  scenario.figure("failed", `${failed} of ${calls} calls, ${of("look")} of them idempotent`);
  scenario.figure("p99", Math.max(...summaries.map(({ latency }) => latency.p99)));
  scenario.figure("longest", Math.max(...summaries.map(({ latency }) => latency.max)));
}
