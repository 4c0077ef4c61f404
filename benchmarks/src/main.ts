// `npm run bench`: the same work done by several libraries, client and server each a process, in rounds that take turns.
import { existsSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { SubjectError } from "./children.ts";
import type { Programs } from "./children.ts";
import { Figures } from "./figures.ts";
import { chartFolder, readResults, writeCharts, writeResultsFile } from "./files.ts";
import { describeMachine } from "./machine.ts";
import { buildGrpcCpp, missing } from "./needs.ts";
import { readOptions, usage, UsageError } from "./options.ts";
import type { Options } from "./options.ts";
import { parts } from "./parts.ts";
import { ratiosOf } from "./ratios.ts";
import { markdown } from "./report.ts";
import type { Results } from "./report.ts";
import { attempt, fullEffort, Pool, quickEffort } from "./rounds.ts";
import { native, subjects } from "./subjects.ts";

/** Why subjects are left out. */
function skip(wanted: readonly string[], options: Options): Record<string, string> {
  const skipped: Record<string, string> = {};
  for (const name of wanted) {
    const need = subjects[name]?.need;
    const why = name === native && !options.native ? "only with --native" : need && missing(need, options.install);
    if (why !== undefined) skipped[name] = why;
  }
  for (const [name, why] of Object.entries(skipped)) console.error(`left out: ${name}: ${why}`);
  return skipped;
}

async function measure(options: Options): Promise<Results> {
  const machine = describeMachine();
  const wanted = options.subjects ?? Object.keys(subjects);
  const skipped = skip(wanted, options);
  const running = wanted.filter((name) => !Object.hasOwn(skipped, name));
  const programs = new Map<string, Programs>();
  if (running.includes(native)) programs.set(native, buildGrpcCpp());
  const figures = new Figures();
  const effort = options.quick ? quickEffort : fullEffort;
  const pool = new Pool(programs, effort);
  const failures: string[] = [];
  try {
    for (const part of parts) {
      if (options.only ? !options.only.includes(part.name) : options.quick && !part.quick) continue;
      console.error(`${(performance.now() / 1000).toFixed(0).padStart(4)} s  ${part.title}`);
      const failure = await attempt(() => part.run({ pool, figures, effort, subjects: running, failures }));
      if (failure !== undefined) failures.push(`${part.name}: ${failure}`);
    }
  } finally {
    await pool.clear();
  }
  return { machine, quick: options.quick, cases: figures.all(), ratios: ratiosOf(figures), skipped, failures };
}

function list(): void {
  for (const { name, title } of parts) console.log(`case     ${name.padEnd(16)} ${title}`);
  for (const [name, { title }] of Object.entries(subjects)) console.log(`subject  ${name.padEnd(16)} ${title}`);
}

async function main(): Promise<void> {
  const names = { cases: parts.map(({ name }) => name), subjects: Object.keys(subjects) };
  const options = readOptions(process.argv.slice(2), names);
  if (options.help) console.log(usage);
  else if (options.list) list();
  else await report(options);
}

async function report(options: Options): Promise<void> {
  const { json } = options;
  // Said before all the work, not after it.
  if (json !== undefined && !existsSync(dirname(resolve(json))))
    throw new UsageError(`--json: there is no folder ${dirname(resolve(json))}`);
  const results = options.from ? readResults(options.from) : await measure(options);
  console.log(markdown(results));
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(results, null, 2)}\n`);
  if (options.plot !== undefined) writeCharts(results, options.plot === "" ? chartFolder : options.plot);
  if (!results.quick && !options.only && !options.subjects) writeResultsFile(results);
  for (const failure of results.failures) console.error(`bench: failed: ${failure}`);
  if (results.failures.length > 0) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  const expected = error instanceof UsageError || error instanceof SubjectError;
  console.error("bench:", expected ? error.message : error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
