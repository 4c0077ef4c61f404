import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../../../..");

/** A file of the workspace. */
export const read = (path: string): string => readFileSync(join(root, path), "utf8");

export const page = read("docs/semantics.md");

/** The cells of a table, without its head; `marker` is the start of the comment before it. */
function rowsAfter(text: string): string[][] {
  const table = text.trimStart().split("\n\n")[0] ?? "";
  return table
    .split("\n")
    .slice(2)
    .map((line) =>
      line
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim()),
    );
}

/** The rows of the table that is marked with a name. */
export function table(name: string): string[][] {
  const marked = page.split(`<!-- table: ${name} -->`)[1];
  if (marked === undefined) throw new Error(`docs/semantics.md has no table "${name}"`);
  return rowsAfter(marked);
}

/** A table of options: the interface that has them, and the sources that have it and its defaults. */
export interface OptionTable {
  readonly name: string;
  readonly sources: readonly string[];
  readonly rows: readonly { readonly option: string; readonly default: string; readonly range: string }[];
}

/** All tables of options. */
export function optionTables(): OptionTable[] {
  return [...page.matchAll(/<!-- options: (\w+) in (.+?) -->\n/g)].map((found) => ({
    name: found[1] ?? "",
    sources: (found[2] ?? "").split(" ").map((path) => read(`packages/${path}`)),
    rows: rowsAfter(page.slice(found.index + found[0].length)).map(([option = "", given = "", range = ""]) => ({
      option: option.replaceAll("`", ""),
      default: given,
      range,
    })),
  }));
}

/** The properties of an interface and their types, as its source says. */
export function propertiesOf(source: string, name: string): ReadonlyMap<string, string> {
  const [, body] =
    new RegExp(`export interface ${name}(?:<.*?>)?(?: extends [^{]+)? \\{\n(.*?)\n\\}`, "s").exec(source) ?? [];
  if (body === undefined) throw new Error(`there is no interface ${name}`);
  return new Map([...body.matchAll(/^ {2}readonly (\w+)\??: (.+);$/gm)].map(([, key = "", type = ""]) => [key, type]));
}

const units = { KiB: 1024, MiB: 1024 * 1024 } as const;

/** `4 MiB`, `1,024` or `Infinity` as a number; undefined for anything else. */
export function amount(text: string): number | undefined {
  const [, digits, unit] = /^(Infinity|[\d,.]+)(?: (KiB|MiB))?$/.exec(text) ?? [];
  if (digits === undefined) return undefined;
  return Number(digits.replaceAll(",", "")) * (unit === undefined ? 1 : units[unit as keyof typeof units]);
}

/** A product of numbers in a source, such as `4 * 1024` or `4 * 2 ** 10`. */
export function product(text: string): number {
  return text
    .replaceAll("_", "")
    .split(/(?<!\*)\*(?!\*)/)
    .map((factor) => factor.split("**").map(Number))
    .reduce((value, [base = NaN, exponent = 1]) => value * base ** exponent, 1);
}

/** What is the same however large the numbers are, wherever lines end. */
export function normalised(text: string): string {
  return text
    .replace(/\s+/g, " ")
    .replace(/error id [0-9a-f]{12}/g, "error id #")
    .replace(/\d+(?:\.\d+)?/g, "#")
    .trim();
}

/** The errors of the page by name; some come in one of several forms. */
export function printedErrors(): ReadonlyMap<string, readonly string[]> {
  const found = page.matchAll(/^\*\*([^*\n]+)\*\*: (?:[^\n]+\n)+\n```text\n(.*?)\n```$/gms);
  return new Map([...found].map(([, name = "", text = ""]) => [name, text.split("\nor\n")]));
}
