import { parseArgs } from "node:util";

/** What the command line wants. */
export interface Options {
  readonly help: boolean;
  readonly list: boolean;
  readonly quick: boolean;
  readonly native: boolean;
  readonly install: boolean;
  readonly json: string | undefined;
  /** Files of earlier runs, to show instead of measuring. */
  readonly from: readonly string[] | undefined;
  /** The folder for charts; empty for the usual one. */
  readonly plot: string | undefined;
  readonly only: readonly string[] | undefined;
  readonly subjects: readonly string[] | undefined;
}

/** A command line that makes no sense; its message is for the user. */
export class UsageError extends Error {}

/** What `--help` prints. */
export const usage = `usage: npm run bench -- [options]

  --quick              less of everything, in under a minute; enough for all ratios
  --only CASE,…        some cases (--list names them)
  --subject NAME,…     some subjects
  --native             gRPC for C++, too, which is compiled first
  --install            as root on Debian: apt-get install what subjects need
  --json FILE          write all figures
  --plot [DIR]         draw charts, into benchmarks/charts unless told otherwise
  --from FILE,…        do not measure, but show what --json wrote
  --list               name cases and subjects
  --help               this`;

/** Reads the command line; UsageError for what it does not know, among it cases and subjects that do not exist. */
export function readOptions(
  args: readonly string[],
  names: { readonly cases: readonly string[]; readonly subjects: readonly string[] },
): Options {
  const { values, positionals } = parse(args);
  const { help = false, list = false, quick = false, native = false, install = false, plot = false, json } = values;
  const [directory = "", ...more] = positionals;
  const unexpected = plot ? more[0] : positionals[0];
  if (unexpected !== undefined) throw new UsageError(`what is ${JSON.stringify(unexpected)}? See --help`);
  return {
    ...{ help, list, quick, native, install, json },
    from: values.from?.split(","),
    plot: plot ? directory : undefined,
    only: split("--only", values.only, names.cases),
    subjects: split("--subject", values.subject, names.subjects),
  };
}

function parse(args: readonly string[]) {
  const flag = { type: "boolean" } as const;
  const text = { type: "string" } as const;
  const flags = { help: flag, list: flag, quick: flag, native: flag, install: flag, plot: flag };
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { ...flags, json: text, from: text, only: text, subject: text },
    });
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${said.split(". ")[0] ?? said}. See --help`);
  }
}

function split(option: string, text: string | undefined, known: readonly string[]): string[] | undefined {
  const names = text?.split(",");
  for (const name of names ?? [])
    if (!known.includes(name))
      throw new UsageError(`${option}: there is no ${JSON.stringify(name)}; there are ${known.join(", ")}`);
  return names;
}
