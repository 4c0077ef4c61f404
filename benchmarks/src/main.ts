// `npm run bench`: the same work done by several libraries, client and server each a process, in rounds that take turns.
import { writeFileSync } from "node:fs";
import { cases } from "./cases.ts";
import { Figures } from "./figures.ts";
import { describeMachine } from "./machine.ts";
import { readOptions, UsageError } from "./options.ts";
import { ratiosOf } from "./ratios.ts";
import { markdown } from "./report.ts";
import type { Results } from "./report.ts";
import type { Effort } from "./rounds.ts";
import { fullEffort, measureCase, Pool, quickEffort } from "./rounds.ts";
import { measureBundles } from "./special/bundle.ts";
import { measureCodecs } from "./special/codecs.ts";
import { measureMemory } from "./special/memory.ts";
import { measureStart } from "./special/start.ts";
import { subjects } from "./subjects.ts";

type Part = { readonly name: string; readonly title: string; readonly quick: boolean; run(run: Run): Promise<void> };

/** What all parts of a run share. */
interface Run {
  readonly pool: Pool;
  readonly figures: Figures;
  readonly effort: Effort;
  readonly subjects: readonly string[];
}

/** Everything that can be measured, in this order. */
const parts: readonly Part[] = [
  ...cases.map((work) => ({
    name: work.name,
    title: work.title,
    quick: work.quick.length > 0,
    run: (run: Run) => measureCase(work, run),
  })),
  {
    name: "memory",
    title: "zerobind: memory",
    quick: true,
    run: async ({ figures, effort, subjects: of }) => {
      if (of.includes("zerobind")) await measureMemory(figures, effort);
    },
  },
  {
    name: "start",
    title: "start",
    quick: true,
    run: ({ figures, effort, subjects: of }) => measureStart(figures, effort, of),
  },
  {
    name: "bundle",
    title: "size of a client",
    quick: false,
    run: ({ figures, subjects: of }) => measureBundles(figures, of),
  },
  { name: "codec", title: "codecs alone", quick: false, run: ({ figures }) => measureCodecs(figures) },
];

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), {
    cases: parts.map(({ name }) => name),
    subjects: Object.keys(subjects),
  });
  if (options.list) {
    for (const { name, title } of parts) console.log(`case     ${name.padEnd(16)} ${title}`);
    for (const [name, { title }] of Object.entries(subjects)) console.log(`subject  ${name.padEnd(16)} ${title}`);
    return;
  }
  const machine = describeMachine();
  const figures = new Figures();
  const effort = options.quick ? quickEffort : fullEffort;
  const pool = new Pool(new Map(), effort);
  const wanted = options.subjects ?? Object.keys(subjects);
  try {
    for (const part of parts) {
      if (options.only ? !options.only.includes(part.name) : options.quick && !part.quick) continue;
      console.error(`${(performance.now() / 1000).toFixed(0).padStart(4)} s  ${part.title}`);
      await part.run({ pool, figures, effort, subjects: wanted });
    }
  } finally {
    await pool.clear();
  }
  const results: Results = { machine, cases: figures.all(), ratios: ratiosOf(figures), skipped: {} };
  console.log(markdown(results));
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
}

try {
  await main();
} catch (error) {
  const usage = error instanceof UsageError;
  console.error(usage ? `bench: ${error.message}` : `bench: ${error instanceof Error ? error.stack : String(error)}`);
  process.exitCode = usage ? 2 : 1;
}
