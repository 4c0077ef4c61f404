import type { Peer } from "../harness/peer.ts";
import { between } from "../harness/random.ts";
import type { ScenarioPlan } from "../harness/run.ts";
import type { Scenario } from "../harness/scenario.ts";
import { pause, sharedMs } from "../peer/clock.ts";

/** How long clients come and go. */
const churnMs = 8_000;
/** Clients that are there at once. */
const atOnce = 3;

export const churn: ScenarioPlan = {
  name: "churn",
  proves:
    "clients that connect, call, stream and are killed (SIGKILL) at random moments leave nothing behind on the server: no file descriptor, session, call or memory.",
  transports: ["tcp", "ipc", "ws"],

  async run(scenario) {
    const server = await scenario.server("server");
    const steady = await scenario.client("steady", server.address);
    await scenario.warmUp(steady);
    // One that is killed, so that what is made for the first loss counts as there before.
    await shortLife(scenario, server, "first");
    await scenario.baseline(server, steady);
    await steady.ask("startPaced", "steady", { method: "work" }, 50);
    const endMs = sharedMs() + churnMs;
    let lives = 0;
    scenario.step(`clients come and are killed for ${churnMs / 1000} s`);
    const line = async (): Promise<void> => {
      while (sharedMs() < endMs) await shortLife(scenario, server, `client ${++lives}`);
    };
    await Promise.all(Array.from({ length: atOnce }, line));
    await steady.ask("stop", "steady");
    await scenario.outcome("beside the churn", steady, ["OK"]);
    await server.ask("whenRunning", 0, false);
    scenario.atLeast("clients that were killed", lives, 10);
    scenario.figure("killed", lives, "clients");
  },
};

async function shortLife(scenario: Scenario, server: Peer, name: string): Promise<void> {
  const { random } = scenario;
  const client = await scenario.peer(name);
  await client.ask("connect", server.address, {});
  const calls = between(random, 1, 200);
  await client.ask("start", { method: "work", delayMs: between(random, 0, 100) }, calls);
  await client.ask(
    "start",
    { method: "watch", intervalMs: between(random, 0, 5), bytes: 2_000 },
    between(random, 0, 10),
  );
  await client.ask("start", { method: "relay", intervalMs: 1, bytes: 9_000 }, between(random, 0, 10));
  // From before its greeting to the middle of its streams.
  await pause(between(random, 0, 300));
  await client.kill();
}
