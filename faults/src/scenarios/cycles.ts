import type { ScenarioPlan } from "../harness/run.ts";
import { slope } from "../harness/checks.ts";

const cycles = 10_000;
const steps = 10;
/** The first steps are still warming up. */
const skippedSteps = 3;
const limitBytes = 200;

export const cyclesScenario: ScenarioPlan = {
  name: "cycles",
  proves:
    "10,000 times connect, call, cancel or fail, and close: file descriptors and listeners stay flat, and the heaps of client and server grow by less than 200 bytes a cycle.",
  transports: ["tcp", "ipc", "ws"],

  async run(scenario) {
    const server = await scenario.server("server");
    const client = await scenario.client("client", server.address);
    await scenario.warmUp(client);
    scenario.step("warming up");
    await client.ask("cycles", server.address, 500, 8, 1);
    await client.ask("take");
    await scenario.baseline(server, client);
    const serverHeap: number[] = [];
    const clientHeap: number[] = [];
    let tookMs = 0;
    for (let step = 1; step <= steps; step++) {
      if (step % 5 === 1) scenario.step(`cycles ${((step - 1) * cycles) / steps + 1} and on`);
      const report = await client.ask("cycles", server.address, cycles / steps, 8, 1);
      tookMs += report.tookMs;
      clientHeap.push(report.heapBytes.at(-1) ?? NaN);
      serverHeap.push((await server.ask("snapshot", false)).heapBytes);
      scenario.check(
        "listeners",
        "listeners of the shared signal",
        report.signalListeners === 0,
        0,
        report.signalListeners,
      );
    }
    await scenario.outcome("cycles", client, ["OK", "ABORTED", "DEADLINE_EXCEEDED", "CANCELLED"]);
    for (const [who, heap] of [
      ["client", clientHeap],
      ["server", serverHeap],
    ] as const) {
      const perCycle = slope(heap.slice(skippedSteps)) / (cycles / steps);
      const what = `${who}: heap growth a cycle`;
      scenario.check(
        "memory",
        what,
        perCycle < limitBytes,
        `under ${limitBytes} bytes`,
        `${perCycle.toFixed(1)} bytes`,
      );
      scenario.figure(what, perCycle, "bytes");
    }
    scenario.figure("a cycle took", tookMs / cycles);
  },
};
