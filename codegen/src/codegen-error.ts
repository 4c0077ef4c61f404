/** One reason why no code was generated, with its place in a `.proto` file where it has one. */
export interface Problem {
  /** The file as it is imported, or, in what `generate` throws, as the caller named it. */
  readonly file?: string;
  /** From 1. */
  readonly line?: number;
  /** From 1. */
  readonly column?: number;
  /** One sentence on what is wrong, and what to do about it. */
  readonly message: string;
}

/**
 * Says why no code was generated. The message has one line for each problem, `file:line:column: what is wrong`;
 * all problems that were found are in it, in the order of their places.
 */
export class CodegenError extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const sorted = [...problems].sort(byPlace);
    super(sorted.map(formatProblem).join("\n"));
    this.name = "CodegenError";
    this.problems = sorted;
  }
}

/** `file:line:column: message`, without the parts that are not known. */
function formatProblem({ file, line, column, message }: Problem): string {
  const place = [file, line, column].filter((part) => part !== undefined).join(":");
  return place === "" ? message : `${place}: ${message}`;
}

function byPlace(a: Problem, b: Problem): number {
  const [left, right] = [a.file ?? "", b.file ?? ""];
  if (left !== right) return left < right ? -1 : 1;
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}
