import { readFileSync } from "node:fs";

/** One cell of a table in docs/states.md: what an event does in a state. */
export interface Cell {
  readonly event: string;
  readonly state: string;
  readonly expected: string;
}

const page = readFileSync(new URL("../../../../docs/states.md", import.meta.url), "utf8");

/** All cells of the table that is marked with a name. */
export function stateTable(name: string): Cell[] {
  const marked = page.split(`<!-- table: ${name} -->`)[1];
  if (marked === undefined) throw new Error(`docs/states.md has no table "${name}"`);
  const rows = marked
    .trimStart()
    .split("\n\n")[0]!
    .split("\n")
    .map((line) =>
      line
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim()),
    );
  const [[, ...states] = [], , ...events] = rows;
  return events.flatMap(([event = "", ...cells]) =>
    cells.map((expected, index) => ({ event, state: states[index] ?? "", expected })),
  );
}

/** The handlings by event or state, none missing and none too many. */
export function byName<T>(names: readonly string[], handlings: Readonly<Record<string, T>>): ReadonlyMap<string, T> {
  const wanted = [...new Set(names)].toSorted();
  const given = Object.keys(handlings).toSorted();
  if (wanted.join("\n") !== given.join("\n"))
    throw new Error(`docs/states.md has ${wanted.join(", ")}; the test has ${given.join(", ")}`);
  return new Map(Object.entries(handlings));
}
