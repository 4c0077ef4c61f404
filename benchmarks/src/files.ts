import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { barChart } from "./chart.ts";
import { UsageError } from "./options.ts";
import { parts } from "./parts.ts";
import { markdown } from "./report.ts";
import type { Results } from "./report.ts";

const folder = join(import.meta.dirname, "..");
/** Where charts go unless told otherwise. */
export const chartFolder: string = join(folder, "charts");
const resultsFile = join(folder, "results.md");
const beginMark = "<!-- results: written by npm run bench -->";
const endMark = "<!-- end of results -->";

/** Reads what `--json` wrote in earlier runs, as one. Of the same figure, the last counts. */
export function readResults(paths: readonly string[]): Results {
  const all = paths.map((path) => {
    if (!existsSync(path)) throw new UsageError(`--from: there is no file ${path}`);
    const results = JSON.parse(readFileSync(path, "utf8")) as Results;
    return { ...results, failures: results.failures ?? [] };
  });
  const first = all[0];
  if (!first) throw new UsageError("--from: name at least one file");
  const figures = all.flatMap(({ cases }) => cases);
  return {
    machine: first.machine,
    quick: all.some(({ quick }) => quick),
    cases: [
      ...new Map(figures.map((figure) => [`${figure.case}|${figure.subject}|${figure.metric}`, figure])).values(),
    ],
    failures: all.flatMap(({ failures }) => failures),
    ratios: Object.assign({}, ...all.map(({ ratios }) => ratios)) as Results["ratios"],
    skipped: Object.fromEntries(
      all
        .flatMap(({ skipped }) => Object.entries(skipped))
        .filter(([name]) => !figures.some(({ subject }) => subject === name)),
    ),
  };
}

/** One chart a case, of what subjects get done in a second, or of how long it takes them. Returns the names of the files. */
export function writeCharts({ cases }: Results, directory: string): string[] {
  mkdirSync(directory, { recursive: true });
  return parts.flatMap(({ name, title }) => {
    const ofPart = cases.filter((figure) => figure.case === name);
    const metric = ["latency", "load", "device-latency"].includes(name) ? "p50" : "throughput";
    const figures = ofPart.filter((figure) => figure.metric === metric);
    const [first] = figures;
    if (!first) return [];
    const bars = figures.map(({ subject, value, spread }) => ({
      label: subject,
      value,
      spread,
      ours: subject.startsWith("zerobind"),
    }));
    writeFileSync(
      join(directory, `${name}.svg`),
      barChart(title, metric === "p50" ? `median, ${first.unit}` : first.unit, bars),
    );
    return [`${name}.svg`];
  });
}

/** Puts the results between the marks of results.md, with those of the charts that exist. */
export function writeResultsFile(results: Results): void {
  const before = readFileSync(resultsFile, "utf8");
  const [head, rest = ""] = before.split(beginMark);
  const [, tail = ""] = rest.split(endMark);
  const charts = parts
    .map(({ name, title }) => ({ path: join(chartFolder, `${name}.svg`), title }))
    .filter(({ path }) => existsSync(path))
    .map(({ path, title }) => `![${title}](${relative(folder, path).replaceAll("\\", "/")})\n`);
  const text = [markdown(results), ...(charts.length > 0 ? [`### Charts\n\n${charts.join("\n")}`] : [])].join("\n");
  writeFileSync(resultsFile, `${head}${beginMark}\n\n${text}\n${endMark}${tail}`);
}
