import { execFile } from "node:child_process";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { Child, clientChild, Pair } from "../children.ts";
import type { Figures } from "../figures.ts";
import { subjects as known } from "../subjects.ts";
import { attempt } from "../rounds.ts";
import type { Run } from "../rounds.ts";

const processes = 10;
/** Where the packages of the benchmarks are found. */
const folder = dirname(import.meta.dirname);

/** How long fresh processes take: to import the library, and, for each subject, until a first reply has come. */
export async function measureStart({ figures, effort, subjects, failures }: Run): Promise<void> {
  if (subjects.includes("zerobind")) await measureImports(figures);
  if (effort.quick) return;
  for (const subject of subjects.filter((name) => known[name]?.load)) {
    const failure = await attempt(() => measureFirstReplies(figures, subject));
    if (failure !== undefined) failures.push(`start, ${subject}: ${failure}`);
  }
}

async function measureImports(figures: Figures): Promise<void> {
  // Once before, so that no first one reads the files from disk.
  await importMs("zerobind");
  for (let round = 0; round < processes; round++) {
    const zeromq = await importMs("zeromq");
    const zerobind = await importMs("zerobind");
    figures.add("start", "zeromq", "import", zeromq, "ms");
    figures.add("start", "zerobind", "import", zerobind, "ms");
    figures.add("start", "zerobind", "import over zeromq's", zerobind - zeromq, "ms");
  }
}

async function importMs(name: string): Promise<number> {
  const program = `const begun = performance.now(); await import("${name}"); console.log(performance.now() - begun);`;
  const args = ["--input-type=module", "-e", `${program} process.exit();`];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder });
  return Number(stdout);
}

async function measureFirstReplies(figures: Figures, subject: string): Promise<void> {
  const pair = await Pair.start(subject);
  try {
    for (let round = 0; round < processes; round++) {
      const begun = performance.now();
      const client: Child = clientChild(subject, pair.address);
      await client.answer();
      figures.add("start", subject, "process start to first reply", performance.now() - begun, "ms");
      await client.close();
    }
  } finally {
    await pair.close();
  }
}
