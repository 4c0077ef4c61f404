import type { Result } from "./run-cases.ts";

/** How the cases went over one transport. */
export interface Column {
  readonly transport: string;
  readonly results: readonly Result[];
}

/** Cases by transports, with the milliseconds that each took, as lines of text. */
export function table(columns: readonly Column[]): string[] {
  const names = new Set(columns.flatMap(({ results }) => results.map(({ name }) => name)));
  const rows = [
    ["case", ...columns.map(({ transport }) => `${transport} `)],
    ...Array.from(names, (name) => [
      name,
      ...columns.map(({ results }) => cell(results.find((each) => each.name === name))),
    ]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) => row.map((text, column) => pad(text, widths[column] ?? 0, column === 0)).join("  "));
}

/** What failed, each in words. */
export function problems(columns: readonly Column[]): string[] {
  return columns.flatMap(({ transport, results }) =>
    results.flatMap(({ name, problem }) => (problem === undefined ? [] : [`✗ ${transport} ${name}: ${problem}`])),
  );
}

/** The last line: how many passed and failed. */
export function summary(columns: readonly Column[]): string {
  const failed = problems(columns).length;
  const all = columns.reduce((count, { results }) => count + results.length, 0);
  return `interop: ${all - failed} passed, ${failed} failed`;
}

export function mark({ problem }: Result): string {
  return problem === undefined ? "✓" : "✗";
}

export function milliseconds({ tookMs }: Result): string {
  return tookMs < 10 ? tookMs.toFixed(1) : Math.round(tookMs).toLocaleString("en");
}

function cell(result: Result | undefined): string {
  return result ? `${milliseconds(result)} ${mark(result)}` : "";
}

function pad(text: string, width: number, left: boolean): string {
  return left ? text.padEnd(width) : text.padStart(width);
}
