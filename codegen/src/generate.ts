import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { compileProtos } from "./buf.ts";
import { CodegenError, type Problem } from "./codegen-error.ts";
import { generateCode } from "./codegen.ts";
import type { GeneratedFile } from "./messages.ts";
import { defaultOptions, type PluginOptions } from "./plugin-options.ts";
import { findSources, type ProtoSources } from "./proto-sources.ts";
import { isLibraryFile, sharedGoogleFiles } from "./shared-google.ts";

/** What `generate` is told. Paths are relative to the current folder. */
export interface GenerateOptions {
  /** `.proto` files, and folders that are searched for them. */
  readonly protos: readonly string[];
  /** Folders that imports are relative to. Default: the folders named, or what makes the imports of the files work. */
  readonly protoPaths?: readonly string[];
  /** The folder that the code goes to. It is made if need be; what else is in there is left alone. */
  readonly out: string;
  /** The module that generated code imports from. Default `zerobind`. One that starts with "." is relative to `out`. */
  readonly runtime?: string;
  /** How relative imports end. Default `js`. */
  readonly importExtension?: PluginOptions["importExtension"];
  /** `local` also generates google's messages, as core does for itself; default `runtime`, which takes them from there. */
  readonly google?: PluginOptions["google"];
  /** Writes nothing; `changed` then says what would be written. Default false. */
  readonly check?: boolean;
}

/** What came of it. Paths start with `out`, and are sorted. */
export interface GenerateResult {
  /** All files that belong to the protos. */
  readonly files: readonly string[];
  /** Those that were not there, or had another content. */
  readonly changed: readonly string[];
}

/**
 * Generates the code of `.proto` files: for each `x.pb.ts` with its messages, and `x.rpc.ts` if it has services; and
 * the same for files whose messages they use. Needs no other installation and no network. Files whose content would
 * stay the same are not touched. Throws a CodegenError, before anything is written, if something is wrong with the
 * protos.
 */
export async function generate(options: GenerateOptions): Promise<GenerateResult> {
  if (options.out === "") throw new CodegenError([{ message: "the folder for the output is an empty text." }]);
  const google = options.google === "local" ? [...sharedGoogleFiles] : [];
  const sources = await findSources(options.protos, options.protoPaths ?? [], google);
  const files = await withShownPaths(sources, () =>
    compileAndGenerate(sources, { ...defaultOptions, ...definedOf(options) }),
  );
  const results = await Promise.all(files.map((file) => put(file, options.out, options.check ?? false)));
  return {
    files: results.map(({ path }) => path),
    changed: results.filter(({ changed }) => changed).map(({ path }) => path),
  };
}

function definedOf({ runtime, importExtension, google }: GenerateOptions): Partial<PluginOptions> {
  return { ...(runtime && { runtime }), ...(importExtension && { importExtension }), ...(google && { google }) };
}

/** Belongs to nobody: makes the compiler add google's messages even where no file imports them. */
const googleImports = "zerobind-google-imports.proto";

async function compileAndGenerate(
  { files, targets, named }: ProtoSources,
  options: PluginOptions,
): Promise<GeneratedFile[]> {
  const texts = new Map([...files].map(([name, { text }]) => [name, text]));
  const google = options.google === "local" ? [...sharedGoogleFiles] : [];
  if (google.length > 0)
    texts.set(googleImports, `syntax = "proto3";\n${google.map((name) => `import "${name}";\n`).join("")}`);
  const image = await compileProtos(texts);
  const wanted = targets.filter((name) => named.has(name) || !isLibraryFile(name));
  return generateCode(image, { names: [...wanted, ...google], withReferences: true }, options);
}

/** Makes problems say the paths that the user knows, and what to do about imports that are not found. */
async function withShownPaths<T>({ files, roots }: ProtoSources, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CodegenError)) throw error;
    const shown = error.problems.map((problem): Problem => {
      const source = problem.file === undefined ? undefined : files.get(problem.file);
      if (source === undefined) return problem;
      return { ...problem, file: source.shown, message: missingImport(problem, source.text, roots) ?? problem.message };
    });
    throw new CodegenError(shown);
  }
}

/** The compiler does not say which import it is that is not found, nor where it looked. */
function missingImport({ message, line = 0 }: Problem, text: string, roots: readonly string[]): string | undefined {
  if (message.includes("`zerobind.v1."))
    return `${message}; is there an import "zerobind/v1/options.proto" in the file?`;
  if (message !== "imported file does not exist") return undefined;
  const [name = "this file"] = /(["']).*\1/.exec(text.split("\n")[line - 1] ?? "") ?? [];
  return `imports ${name}, which is not in ${roots.join(" or ")}; name the folder that it is relative to with --proto-path.`;
}

async function put(
  { path, content }: GeneratedFile,
  out: string,
  check: boolean,
): Promise<{ path: string; changed: boolean }> {
  const target = join(out, path);
  const before = await readFile(target, "utf8").catch(() => undefined);
  const changed = before !== content;
  if (changed && !check) {
    try {
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, content);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new CodegenError([
        { file: target, message: `cannot be written (${why}); choose another folder for the output.` },
      ]);
    }
  }
  return { path: target, changed };
}
