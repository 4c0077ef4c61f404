/** Why `.proto` files are of no use: in words, with the file and, where known, the line. */
export class ProtoError extends Error {
  override readonly name: string = "ProtoError";
}

/** `file:line: what is wrong`. */
export function problemAt(file: string, line: number | undefined, what: string): ProtoError {
  return new ProtoError(`${file}${line === undefined ? "" : `:${line}`}: ${what}`);
}

/** The line, from 1, on which a text has its first match. */
export function lineOf(text: string, pattern: RegExp): number | undefined {
  const index = text.search(pattern);
  return index === -1 ? undefined : text.slice(0, index).split("\n").length;
}

/** A text as part of a regular expression. */
export function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}

/** ` Did you mean "x"?` for the name that is nearest to what was given, or nothing if none is near. */
export function suggestion(given: string, names: readonly string[]): string {
  const ranked = names.map((name) => ({ name, distance: editDistance(given.toLowerCase(), name.toLowerCase()) }));
  const [best] = ranked.sort((a, b) => a.distance - b.distance);
  return best !== undefined && best.distance <= Math.ceil(given.length / 3)
    ? ` Did you mean ${JSON.stringify(best.name)}?`
    : "";
}

/** How many letters one has to add, drop or change to make one text of the other. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
