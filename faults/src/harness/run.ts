import { sharedMs, within } from "../peer/clock.ts";
import type { Transport } from "./addresses.ts";
import type { Check } from "./checks.ts";
import { Scenario } from "./scenario.ts";

/** A scenario of the suite. */
export interface ScenarioPlan {
  readonly name: string;
  /** What it proves, in a line. */
  readonly proves: string;
  /** Where it can run; the first is where it does by default. */
  readonly transports: readonly Transport[];
  /** Where it runs unless told otherwise. Default: the first of `transports`. */
  readonly byDefault?: readonly Transport[];
  run(scenario: Scenario): Promise<void>;
}

/** What came out of a scenario on one transport. */
export interface Outcome {
  readonly name: string;
  readonly transport: Transport;
  readonly checks: readonly Check[];
  readonly figures: readonly string[];
  readonly tookMs: number;
  /** What its processes wrote to their standard error. */
  readonly stderr: readonly string[];
}

/** After this a scenario has hung. */
const limitMs = 120_000;

const running = new Set<Scenario>();

/** Kills what is left of a run that is broken off. */
export async function disposeAll(): Promise<void> {
  await Promise.all([...running].map((scenario) => scenario.dispose()));
}

/** Runs a scenario and everything that is checked after it. */
export async function runScenario(
  plan: ScenarioPlan,
  transport: Transport,
  seed: number,
  progress: (what: string) => void,
): Promise<Outcome> {
  const startedMs = sharedMs();
  const scenario = new Scenario(transport, seed, progress);
  running.add(scenario);
  try {
    const work = async (): Promise<void> => {
      await plan.run(scenario);
      scenario.step("checking");
      await scenario.finish();
    };
    await within(limitMs, work(), () => {
      throw new Error(`still not done after ${limitMs} ms`);
    });
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    scenario.check("figures", "the scenario", false, "runs to its end", text);
  }
  await scenario.dispose();
  running.delete(scenario);
  return {
    name: plan.name,
    transport,
    checks: scenario.checks,
    figures: scenario.figures,
    tookMs: sharedMs() - startedMs,
    stderr: scenario.peers.filter(({ stderr }) => stderr !== "").map(({ name, stderr }) => `${name}: ${stderr.trim()}`),
  };
}
