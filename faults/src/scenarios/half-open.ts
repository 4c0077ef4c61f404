import { portOf } from "../harness/addresses.ts";
import type { Peer } from "../harness/peer.ts";
import { Proxy } from "../harness/proxy.ts";
import { between } from "../harness/random.ts";
import type { ScenarioPlan } from "../harness/run.ts";
import type { Scenario } from "../harness/scenario.ts";
import { pause, sharedMs } from "../peer/clock.ts";
import { endOf, openCalls, openMany } from "./open-calls.ts";

export const halfOpen: ScenarioPlan = {
  name: "half-open",
  proves:
    "through a network that swallows everything, delays, or cuts in the middle of frames: both ends notice, every call ends once, nothing is carried out twice, and clients recover by themselves.",
  transports: ["tcp", "ws"],
  byDefault: ["tcp", "ws"],

  async run(scenario) {
    const pings = { pingIntervalMs: 200, pingTimeoutMs: 400 };
    const server = await scenario.server("server", pings);
    const proxy = new Proxy(portOf(server.address));
    await proxy.open();
    try {
      const address = server.address.replace(`:${portOf(server.address)}`, `:${proxy.port}`);
      const client = await scenario.client("client", address, {
        ...pings,
        zeromq: { answerTimeoutMs: 1_000, reconnectMaxMs: 200 },
      });
      await scenario.warmUp(client);
      await scenario.baseline(server, client);
      await blackHole(scenario, proxy, client, server);
      await delay(scenario, proxy, client);
      await cuts(scenario, proxy, client);
      await scenario.finish();
    } finally {
      proxy.close();
    }
  },
};

async function blackHole(scenario: Scenario, proxy: Proxy, client: Peer, server: Peer): Promise<void> {
  scenario.step("a black hole");
  await openMany(client, server);
  await server.ask("takeSignals");
  proxy.blackHole = true;
  const swallowedMs = sharedMs();
  const lost = await scenario.outcome("black hole", client, ["UNAVAILABLE"]);
  scenario.equal("calls that ended UNAVAILABLE", lost.codes["UNAVAILABLE"], openCalls.all);
  const noticed = endOf(lost, "UNAVAILABLE") - swallowedMs;
  scenario.atMost("until the client had noticed", noticed, 1_500);
  scenario.figure("client noticed after", noticed);
  await server.ask("whenRunning", 0, false);
  const { lastMs } = await server.ask("takeSignals");
  scenario.atMost("until the server had noticed", lastMs - swallowedMs, 1_500);
  scenario.figure("server noticed after", lastMs - swallowedMs);
  await client.ask("start", { method: "work", timeoutMs: 500 }, 50);
  await scenario.outcome("no way through", client, ["DEADLINE_EXCEEDED"]);
  proxy.blackHole = false;
  proxy.cut();
  const recovered = await client.ask("reached", 15_000);
  scenario.atMost("until the client had recovered", recovered, 6_000);
  scenario.figure("recovered in", recovered);
}

async function delay(scenario: Scenario, proxy: Proxy, client: Peer): Promise<void> {
  scenario.step("a slow network");
  proxy.delayMs = 40;
  await client.ask("make", { method: "work" }, 1_000, 200);
  const summary = await scenario.outcome("slow network", client, ["OK"]);
  scenario.atLeast("p50 through the slow network", summary.latency.p50, 75, "ms");
  scenario.figure("slow network p50", summary.latency.p50);
  proxy.delayMs = 0;
}

async function cuts(scenario: Scenario, proxy: Proxy, client: Peer): Promise<void> {
  scenario.step("cuts in the middle of frames");
  proxy.cutAfterBytes = () => between(scenario.random, 100, 300_000);
  proxy.cut();
  await client.ask("startPaced", "cut", { method: "work", timeoutMs: 5_000 }, 500);
  await client.ask("startPaced", "cut streams", { method: "relay", count: 20, intervalMs: 1, timeoutMs: 5_000 }, 50);
  await pause(4_000);
  await client.ask("stop", "cut");
  await client.ask("stop", "cut streams");
  proxy.cutAfterBytes = () => Infinity;
  proxy.cut();
  // INTERNAL would be a frame that was read in part.
  const summary = await scenario.outcome("cuts", client, ["OK", "UNAVAILABLE"]);
  scenario.atLeast("cuts", proxy.cuts, 8);
  scenario.figure("cuts", `${proxy.cuts}: ${JSON.stringify(summary.codes)}`);
  scenario.figure("recovered in", await client.ask("reached", 15_000));
  await client.ask("make", { method: "work" }, 500, 100);
  await scenario.outcome("after the cuts", client, ["OK"]);
}
