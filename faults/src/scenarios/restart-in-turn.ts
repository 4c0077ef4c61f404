import type { Peer } from "../harness/peer.ts";
import type { ScenarioPlan } from "../harness/run.ts";
import type { Scenario } from "../harness/scenario.ts";
import { pause, sharedMs } from "../peer/clock.ts";

export const restartInTurn: ScenarioPlan = {
  name: "restart-in-turn",
  proves:
    "two servers behind one channel are closed and restarted in turn under 1,000 calls a second, and no call is lost; nor with a single server, where calls wait for it (waitForReady).",
  transports: ["tcp", "ipc", "ws"],

  async run(scenario) {
    const servers = [await scenario.server("A"), await scenario.server("B")];
    const addresses = servers.map(({ address }) => address);
    const client = await scenario.client("client", addresses);
    const alone = await scenario.server("C");
    const waiting = await scenario.client("waiting", alone.address);
    await scenario.warmUp(client);
    await scenario.warmUp(waiting);
    await scenario.baseline(client, waiting);
    await twoInTurn(scenario, client, servers);
    await one(scenario, waiting, alone);
  },
};

export const restartStreams: ScenarioPlan = {
  name: "restart-streams",
  proves:
    "calls that stream their requests are not lost either when two servers are restarted in turn: those that no handler saw are sent again.",
  transports: ["tcp", "ipc", "ws"],

  async run(scenario) {
    const servers = [await scenario.server("A"), await scenario.server("B")];
    const client = await scenario.client(
      "client",
      servers.map(({ address }) => address),
    );
    await scenario.warmUp(client);
    await scenario.baseline(client);
    // So many that some are on their way at any time.
    await client.ask("startFlood", "collect", { method: "collect", count: 3, intervalMs: 0 }, 50);
    await client.ask("startFlood", "relay", { method: "relay", count: 3, intervalMs: 0 }, 50);
    await restartAll(scenario, client, servers, 4);
    await client.ask("stop", "collect");
    await client.ask("stop", "relay");
    const summary = await scenario.outcome("servers restarted in turn", client, ["OK"]);
    scenario.figure("in turn", `${summary.ended} streams, ${summary.ended - (summary.codes["OK"] ?? 0)} lost`);
  },
};

/** Closes a server, waits until its process has ended, and starts another at its address. */
async function restart(scenario: Scenario, old: Peer, name: string): Promise<Peer> {
  const left = await old.leave(8_000);
  scenario.check(
    "exit",
    `${old.name}: ends after its drain`,
    left !== undefined,
    "by itself",
    left ? "so" : "still there",
  );
  if (left) {
    scenario.atMost(`${old.name}: from closed to its end`, left.exitMs, 2_000);
    scenario.figure(`${old.name} drained in`, left.closeMs);
  }
  return await scenario.server(name, {}, old.address);
}

/** Resolves when a server has carried out something since. */
async function untilUsed(client: Peer, number: number): Promise<void> {
  const endMs = sharedMs() + 10_000;
  while (sharedMs() < endMs) {
    const servers = await client.ask("servers");
    if ((servers[number] ?? 0) > 10) return;
    await pause(20);
  }
  throw new Error(`server ${number} was not found again within 10 s`);
}

async function restartAll(scenario: Scenario, client: Peer, servers: Peer[], turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) {
    const index = turn % 2;
    const old = servers[index]!;
    scenario.step(`restart ${turn + 1} of ${turns}`);
    const next = await restart(scenario, old, `${index === 0 ? "A" : "B"}${Math.floor(turn / 2) + 2}`);
    servers[index] = next;
    await untilUsed(client, next.number);
  }
}

async function twoInTurn(scenario: Scenario, client: Peer, servers: Peer[]): Promise<void> {
  await client.ask("startPaced", "calls", { method: "work", delayMs: 5 }, 800);
  await client.ask("startPaced", "watch", { method: "watch", count: 5, intervalMs: 2 }, 200);
  await restartAll(scenario, client, servers, 6);
  for (const load of ["calls", "watch"]) await client.ask("stop", load);
  const summary = await scenario.outcome("servers restarted in turn", client, ["OK"]);
  scenario.figure("in turn", `${summary.ended} calls, ${summary.ended - (summary.codes["OK"] ?? 0)} lost`);
  scenario.figure("p99", summary.latency.p99);
  scenario.figure("longest", summary.latency.max);
}

async function one(scenario: Scenario, client: Peer, first: Peer): Promise<void> {
  let server = first;
  await client.ask("startPaced", "calls", { method: "work", delayMs: 2, waitForReady: true }, 1_000);
  for (let turn = 0; turn < 2; turn++) {
    scenario.step(`a single server, restart ${turn + 1} of 2`);
    server = await restart(scenario, server, `C${turn + 2}`);
    await untilUsed(client, server.number);
  }
  await client.ask("stop", "calls");
  const summary = await scenario.outcome("one server restarted", client, ["OK"]);
  scenario.figure("single", `${summary.ended} calls, ${summary.ended - (summary.codes["OK"] ?? 0)} lost`);
  scenario.figure("longest", summary.latency.max);
}
