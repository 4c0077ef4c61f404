import { contenders, firstCommand } from "./cases.ts";
import type { Case, Contender } from "./cases.ts";
import { Pair, SubjectError } from "./children.ts";
import type { Programs } from "./children.ts";
import type { Figures } from "./figures.ts";
import type { Answer } from "./subject.ts";

/** How long and how often everything is measured. */
export interface Effort {
  /** For the tables that say so, and for what is done less thoroughly. */
  readonly quick: boolean;
  /** How often each case starts anew with fresh processes; 0: all cases share the same processes. */
  readonly passes: number;
  /** How often the contenders take turns while their processes live. */
  readonly rounds: number;
  /** How long a new pair of processes makes calls before anything else: some libraries need more than a second. */
  readonly startMs: number;
  /** How long the work of a case is done before it is measured. */
  readonly warmUpMs: number;
  readonly sliceMs: number;
}

/** The efforts of a full and of a quick run. */
export const fullEffort: Effort = { quick: false, passes: 1, rounds: 5, startMs: 1200, warmUpMs: 700, sliceMs: 300 };
export const quickEffort: Effort = { quick: true, passes: 0, rounds: 3, startMs: 1200, warmUpMs: 250, sliceMs: 200 };

/** The running processes, by subject. */
export class Pool {
  readonly #programs: ReadonlyMap<string, Programs>;
  readonly #startMs: number;
  readonly #pairs = new Map<string, Pair>();

  constructor(programs: ReadonlyMap<string, Programs>, { startMs }: Effort) {
    this.#programs = programs;
    this.#startMs = startMs;
  }

  async get(subject: string): Promise<Pair> {
    const known = this.#pairs.get(subject);
    if (known) return known;
    const pair = await Pair.start(subject, this.#programs.get(subject));
    this.#pairs.set(subject, pair);
    await pair.client.ask(`${firstCommand} ${this.#startMs}`);
    return pair;
  }

  /** Ends those of one subject. */
  async drop(subject: string): Promise<void> {
    const pair = this.#pairs.get(subject);
    this.#pairs.delete(subject);
    await pair?.close();
  }

  /** Ends all of them. */
  async clear(): Promise<void> {
    const pairs = [...this.#pairs.values()];
    this.#pairs.clear();
    await Promise.all(pairs.map((pair) => pair.close()));
  }
}

/** What all parts of a run share. */
export interface Run {
  readonly pool: Pool;
  readonly figures: Figures;
  readonly effort: Effort;
  readonly subjects: readonly string[];
  /** Those that failed in a case, which had them no longer, and how. */
  readonly failures: string[];
}

/** Measures one case: who takes part is warmed up, then all take turns, A B C A B C. */
export async function measureCase(work: Case, run: Run): Promise<void> {
  const { pool, figures, effort, subjects } = run;
  const taking = new Set(contenders(work, subjects, effort));
  const each = async (step: (contender: Contender, pair: Pair) => Promise<unknown>): Promise<void> => {
    for (const contender of [...taking]) {
      const { subject, name } = contender;
      const failure = await attempt(async () => step(contender, await pool.get(subject)));
      if (failure === undefined) continue;
      // The others go on, and ratios with it are left out.
      run.failures.push(`${work.name}, ${name}: ${failure}`);
      taking.delete(contender);
      figures.drop(work.name, name);
      await pool.drop(subject);
    }
  };
  for (let pass = 0; pass < Math.max(effort.passes, 1); pass++) {
    if (effort.passes > 0) await pool.clear();
    await each(({ command }, { client }) => client.ask(`${command} ${effort.warmUpMs}`));
    for (let round = 0; round < effort.rounds; round++)
      await each((contender, pair) => slice(work, contender, pair, figures, effort));
  }
}

/** Undefined, or how a measured process failed. */
export async function attempt(step: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await step();
    return undefined;
  } catch (error) {
    if (error instanceof SubjectError) return error.message.split("\n")[0] ?? "";
    throw error;
  }
}

async function slice(
  work: Case,
  { name, command }: Contender,
  pair: Pair,
  figures: Figures,
  { sliceMs }: Effort,
): Promise<void> {
  const cpuBefore = pair.cpuSeconds();
  const { count = NaN, elapsedMs = NaN, ...rest } = await pair.client.ask(`${command} ${sliceMs}`);
  const cpuAfter = pair.cpuSeconds();
  const add = (metric: string, value: number, unit: string): void => figures.add(work.name, name, metric, value, unit);
  addTimes(rest, add);
  if (work.timesOnly) return;
  add("throughput", (count / elapsedMs) * 1000, work.unit);
  if (cpuBefore !== undefined && cpuAfter !== undefined && cpuAfter > cpuBefore)
    add("per CPU second", count / (cpuAfter - cpuBefore), work.unit.replace("/s", "/CPU s"));
}

/** What else an answer says is a time, such as `p50Us`. */
function addTimes(answer: Answer, add: (metric: string, value: number, unit: string) => void): void {
  for (const [name, value] of Object.entries(answer)) add(name.replace(/Us$/, ""), value, "µs");
}
