// `npm run faults`: kills, stops, restarts and floods real processes, and checks after each scenario that every call
// ended once and that nothing is left. `--list` tells the scenarios; `-- <scenario …> [--transport tcp|ipc|ws] [--seed N]`
// runs some of them; `--self-test` shows that each kind of check can fail.
import { parseArgs } from "node:util";
import { transports } from "./harness/addresses.ts";
import type { Transport } from "./harness/addresses.ts";
import { printOutcome, printTable } from "./harness/report.ts";
import { disposeAll, runScenario } from "./harness/run.ts";
import type { Outcome } from "./harness/run.ts";
import { selfTest } from "./self-test.ts";
import { suite } from "./suite.ts";

const usage = "usage: npm run faults -- [--list] [--self-test] [scenario …] [--transport tcp|ipc|ws] [--seed N]";

function stop(message: string): never {
  console.error(`${message}\n${usage}`);
  process.exit(2);
}

function settings(): { names: string[]; transport: Transport | undefined; seed: number; list: boolean; self: boolean } {
  let parsed;
  try {
    parsed = parseArgs({
      allowPositionals: true,
      options: {
        list: { type: "boolean" },
        "self-test": { type: "boolean" },
        transport: { type: "string" },
        seed: { type: "string" },
      },
    });
  } catch (error) {
    stop(error instanceof Error ? error.message : String(error));
  }
  const { values, positionals: names } = parsed;
  const transport = transports.find((known) => known === values.transport);
  if (values.transport !== undefined && !transport) stop(`there is no transport ${JSON.stringify(values.transport)}`);
  const unknown = names.find((name) => !suite.some((plan) => plan.name === name));
  if (unknown !== undefined) stop(`there is no scenario ${JSON.stringify(unknown)}; --list tells them`);
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
  if (!Number.isInteger(seed)) stop(`--seed must be a whole number, not ${JSON.stringify(values.seed)}`);
  return { names, transport, seed, list: values.list === true, self: values["self-test"] === true };
}

async function runAll(names: string[], wanted: Transport | undefined, seed: number): Promise<boolean> {
  console.log(`seed ${seed}`);
  const outcomes: Outcome[] = [];
  for (const plan of suite) {
    if (names.length > 0 && !names.includes(plan.name)) continue;
    const here = wanted ? [wanted] : (plan.byDefault ?? plan.transports.slice(0, 1));
    for (const transport of here) {
      if (!plan.transports.includes(transport)) {
        console.log(`${plan.name} (${transport}): not possible on this transport`);
        continue;
      }
      const progress = (what: string): void => console.log(`  ${plan.name} (${transport}): ${what} …`);
      const outcome = await runScenario(plan, transport, seed, progress);
      printOutcome(outcome);
      outcomes.push(outcome);
    }
  }
  return printTable(outcomes);
}

const { names, transport, seed, list, self } = settings();
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => void disposeAll().then(() => process.exit(130)));
if (list) {
  for (const plan of suite) console.log(`${plan.name} (${plan.transports.join(", ")})\n    ${plan.proves}`);
} else if (!(self ? await selfTest(seed) : await runAll(names, transport, seed))) process.exitCode = 1;
