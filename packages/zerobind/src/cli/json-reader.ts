import { UsageError } from "./usage-error.ts";

/** One JSON value of a text, and where it began. */
export interface JsonText {
  readonly text: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

/**
 * Cuts a stream of text into its top-level JSON values, each as soon as it is whole: one a line, several on a line, or
 * one over many lines. What is no JSON comes out as it is, for its reader to complain about.
 */
export class JsonReader {
  #text = "";
  #depth = 0;
  #inString = false;
  #escaped = false;
  #line = 1;
  #column = 1;
  #start: { line: number; column: number } | undefined;

  /** Takes more text, and gives the values that are whole with it. */
  *add(chunk: string): Generator<JsonText> {
    for (const char of chunk) {
      const value = this.#take(char);
      if (value) yield value;
      if (char === "\n") {
        this.#line += 1;
        this.#column = 1;
      } else this.#column += 1;
    }
  }

  /** What is left at the end of the text. */
  end(): JsonText | undefined {
    return this.#cut();
  }

  #take(char: string): JsonText | undefined {
    if (this.#inString) return this.#takeInString(char);
    const space = /\s/.test(char);
    if (this.#depth === 0 && space) return this.#cut();
    // Two values may follow each other without a space: {"a":1}{"a":2}.
    const before = this.#depth === 0 && /[{["]/.test(char) ? this.#cut() : undefined;
    this.#start ??= { line: this.#line, column: this.#column };
    this.#text += char;
    if (char === '"') this.#inString = true;
    else if (char === "{" || char === "[") this.#depth += 1;
    else if (char === "}" || char === "]") {
      this.#depth = Math.max(0, this.#depth - 1);
      if (this.#depth === 0) return this.#cut();
    }
    return before;
  }

  #takeInString(char: string): JsonText | undefined {
    this.#text += char;
    if (this.#escaped) this.#escaped = false;
    else if (char === "\\") this.#escaped = true;
    else if (char === '"') {
      this.#inString = false;
      if (this.#depth === 0) return this.#cut();
    }
    return undefined;
  }

  #cut(): JsonText | undefined {
    if (!this.#start) return undefined;
    const value = { text: this.#text, ...this.#start };
    this.#text = "";
    this.#start = undefined;
    this.#depth = 0;
    this.#inString = false;
    return value;
  }
}

/** All values of a text. */
export function jsonValues(text: string): JsonText[] {
  const reader = new JsonReader();
  const values = [...reader.add(text)];
  const last = reader.end();
  return last ? [...values, last] : values;
}

/** Integers that a JavaScript number cannot hold are quoted, which means the same in protobuf's JSON. */
export function keepLargeIntegers(text: string): string {
  return text.replace(/"(?:\\.|[^"\\])*"|(?<![\w.+-])-?\d{16,}(?![\d.eE])/g, (match) => {
    return match.startsWith('"') || Number.isSafeInteger(Number(match)) ? match : `"${match}"`;
  });
}

/** Throws UsageError with line and column if the text is no JSON. `source` says whose text it is. */
export function checkJson({ text, line, column }: JsonText, source: string): void {
  const message = jsonProblem(text);
  if (message === undefined) return;
  const before = text.slice(0, problemPosition(text, message)).split("\n");
  const last = before[before.length - 1]!.length;
  const place = `line ${line + before.length - 1}, column ${before.length === 1 ? column + last : last + 1}`;
  const what = message
    .replace(/ ?(?:in JSON |after JSON )?at position \d+.*$/s, "")
    .replace(/, (?:\.\.\.)?"[^]*" is not valid JSON$/, "");
  throw new UsageError(`${source}, ${place}: this is no JSON: ${what}`);
}

function jsonProblem(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Where the parser stopped. It does not always say so, and then the shortest beginning that it stops in is searched. */
function problemPosition(text: string, message: string): number {
  const said = /position (\d+)/.exec(message)?.[1];
  if (said !== undefined) return Number(said);
  if (!message.startsWith("Unexpected token")) return text.length;
  let [good, bad] = [0, text.length];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (jsonProblem(text.slice(0, middle))?.startsWith("Unexpected token")) bad = middle;
    else good = middle;
  }
  return good;
}
