import { parseArgs } from "node:util";

/** What the command line wants. */
export interface Options {
  readonly quick: boolean;
  readonly list: boolean;
  readonly json: string | undefined;
  readonly only: readonly string[] | undefined;
  readonly subjects: readonly string[] | undefined;
}

/** A command line that makes no sense; its message is for the user. */
export class UsageError extends Error {}

/** Reads the command line; UsageError for what it does not know, among it cases and subjects that do not exist. */
export function readOptions(
  args: readonly string[],
  names: { cases: readonly string[]; subjects: readonly string[] },
): Options {
  const { values } = parse(args);
  return {
    quick: values.quick ?? false,
    list: values.list ?? false,
    json: values.json,
    only: split("--only", values.only, names.cases),
    subjects: split("--subject", values.subject, names.subjects),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: "boolean" },
        list: { type: "boolean" },
        json: { type: "string" },
        only: { type: "string" },
        subject: { type: "string" },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function split(option: string, text: string | undefined, known: readonly string[]): string[] | undefined {
  const names = text?.split(",");
  for (const name of names ?? [])
    if (!known.includes(name))
      throw new UsageError(`${option}: there is no ${JSON.stringify(name)}; there are ${known.join(", ")}`);
  return names;
}
