import type { Figure } from "./figures.ts";
import { machineLine } from "./machine.ts";
import type { Machine } from "./machine.ts";
import { parts as runParts } from "./parts.ts";

/** What `--json` writes. */
export interface Results {
  readonly machine: Machine;
  /** Whether it was a quick run, or has parts of one. */
  readonly quick: boolean;
  readonly cases: readonly Figure[];
  readonly ratios: Readonly<Record<string, number>>;
  /** Who was left out, and why. */
  readonly skipped: Readonly<Record<string, string>>;
  /** What failed while it was measured. */
  readonly failures: readonly string[];
}

/** The results as Markdown, which reads well in a terminal, too. */
export function markdown({ machine, cases: figures, ratios, skipped, failures }: Results): string {
  const titles = new Map(runParts.map(({ name, title }) => [name, title]));
  const names = [...new Set(figures.map((figure) => figure.case))];
  const parts = names.map((name) => {
    const ofCase = figures.filter((figure) => figure.case === name);
    return `### ${titles.get(name) ?? name}\n\n${caseTable(ofCase)}`;
  });
  const ratioRows = Object.entries(ratios).map(([name, value]) => [`\`${name}\``, round(value)]);
  const left = Object.entries(skipped).map(([name, why]) => `- Left out: ${name} (${why})\n`);
  left.push(...failures.map((failure) => `- Failed: ${failure}\n`));
  return [
    `${machineLine(machine)}\n`,
    ...parts,
    ...(ratioRows.length > 0 ? [`### Ratios\n\n${table(["ratio", "value"], ratioRows)}`] : []),
    ...(left.length > 0 ? [left.join("")] : []),
  ].join("\n");
}

/** Subjects down, metrics across. */
function caseTable(figures: readonly Figure[]): string {
  const columns = [...new Map(figures.map(({ metric, unit }) => [metric, unit]))];
  const rows = [...new Set(figures.map(({ subject }) => subject))].map((subject) => [
    subject,
    ...columns.map(([metric]) => {
      const figure = figures.find((each) => each.subject === subject && each.metric === metric);
      if (!figure) return "–";
      return figure.spread === null ? round(figure.value) : `${round(figure.value)} ± ${figure.spread.toFixed(0)} %`;
    }),
  ]);
  return table(
    ["", ...columns.map(([metric, unit]) => (metric === "throughput" ? unit : `${metric} (${unit})`))],
    rows,
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((text, column) => Math.max(text.length, 3, ...rows.map((row) => (row[column] ?? "").length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((text, column) => (column === 0 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!))).join(" | ")} |\n`;
  const rule = `|${widths.map((width, column) => (column === 0 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`)).join("|")}|\n`;
  return line(head) + rule + rows.map(line).join("");
}

/** Three digits that count, with separators for thousands. */
function round(value: number): string {
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value) || 1)));
  return value.toLocaleString("en", { maximumFractionDigits: digits, maximumSignificantDigits: value >= 1000 ? 4 : 3 });
}
