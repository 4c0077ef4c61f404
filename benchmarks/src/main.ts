// `npm run bench`: the same work done by several libraries, client and server each a process, in rounds that take turns.
import { writeFileSync } from "node:fs";
import { cases } from "./cases.ts";
import { Figures } from "./figures.ts";
import { describeMachine } from "./machine.ts";
import { readOptions, UsageError } from "./options.ts";
import { ratiosOf } from "./ratios.ts";
import { markdown } from "./report.ts";
import type { Results } from "./report.ts";
import { fullEffort, measureCase, Pool, quickEffort } from "./rounds.ts";
import { subjects } from "./subjects.ts";

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), {
    cases: cases.map(({ name }) => name),
    subjects: Object.keys(subjects),
  });
  if (options.list) {
    for (const { name, title } of cases) console.log(`case     ${name.padEnd(16)} ${title}`);
    for (const [name, { title }] of Object.entries(subjects)) console.log(`subject  ${name.padEnd(16)} ${title}`);
    return;
  }
  const machine = describeMachine();
  const figures = new Figures();
  const effort = options.quick ? quickEffort : fullEffort;
  const pool = new Pool(new Map(), effort);
  const wanted = options.subjects ?? Object.keys(subjects);
  try {
    for (const work of cases) {
      if (options.only && !options.only.includes(work.name)) continue;
      console.error(`${(performance.now() / 1000).toFixed(0).padStart(4)} s  ${work.title}`);
      await measureCase(work, wanted, { pool, figures, effort });
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
