import type { Outcome } from "./run.ts";

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

function failuresOf({ checks }: Outcome): number {
  return checks.filter(({ ok }) => !ok).length;
}

/** One line when a scenario is done, and more about what failed. */
export function printOutcome(outcome: Outcome): void {
  const { name, transport, checks, tookMs, stderr } = outcome;
  const failed = checks.filter(({ ok }) => !ok);
  const verdict = failed.length === 0 ? "passed" : "FAILED";
  console.log(
    `${name} (${transport}): ${verdict}, ${checks.length - failed.length}/${checks.length} checks, ${seconds(tookMs)}`,
  );
  for (const { kind, what, expected, found } of failed)
    console.log(`  ${kind}: ${what}\n    expected: ${expected}\n    found:    ${found}`);
  if (failed.length > 0) for (const text of stderr) console.log(`  stderr of ${text.replaceAll("\n", "\n    ")}`);
}

/** The table at the end, and its last line. Gives whether all is well. */
export function printTable(outcomes: readonly Outcome[]): boolean {
  const rows = outcomes.map((outcome) => [
    outcome.name,
    outcome.transport,
    `${outcome.checks.length - failuresOf(outcome)}/${outcome.checks.length}`,
    seconds(outcome.tookMs),
  ]);
  const head = ["scenario", "transport", "checks", "time"];
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, column) => cell.padEnd(widths[column]!)).join("  ");
  const indent = " ".repeat(widths[0]! + 2);
  console.log(`\n${line(head)}`);
  for (const [index, { figures }] of outcomes.entries()) {
    console.log(line(rows[index]!));
    for (const text of wrap(figures)) console.log(indent + text);
  }
  const failed = outcomes.filter((outcome) => failuresOf(outcome) > 0).length;
  const total = outcomes.reduce((sum, { tookMs }) => sum + tookMs, 0);
  console.log(`\n${seconds(total)} in all`);
  console.log(`faults: ${outcomes.length - failed} passed, ${failed} failed`);
  return failed === 0;
}

function wrap(figures: readonly string[]): string[] {
  const lines: string[] = [];
  for (const figure of figures) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + figure.length < 100) lines[lines.length - 1] = `${last}, ${figure}`;
    else lines.push(figure);
  }
  return lines;
}
