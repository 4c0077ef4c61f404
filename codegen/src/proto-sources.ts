import { existsSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import { CodegenError, type Problem } from "./codegen-error.ts";
import { bundledProtos } from "./gen/bundled-protos.ts";
import { inferRoot, type FoundFile } from "./import-root.ts";
import { outline } from "./proto-text.ts";

/** One file that takes part. */
interface ProtoFile {
  /** As the user named it, or relative to the current folder if the user did not name it; for messages. */
  readonly shown: string;
  readonly text: string;
}

/** All that the compiler needs, and what code is wanted for. */
export interface ProtoSources {
  /** By the name under which files import each other. */
  readonly files: ReadonlyMap<string, ProtoFile>;
  /** Names of the files that the user asked for. */
  readonly targets: readonly string[];
  /** Names of those that the user named one by one, not by their folder. */
  readonly named: ReadonlySet<string>;
  /** The folders that imports were looked up in, as they are shown to the user. */
  readonly roots: readonly string[];
}

/**
 * Finds the files, what they import, and the folders from which they import it. `imports` are taken along as if one
 * of the files imported them. Throws a CodegenError.
 */
export async function findSources(
  protos: readonly string[],
  protoPaths: readonly string[],
  imports: readonly string[],
): Promise<ProtoSources> {
  const found = (await Promise.all(protos.map(findFiles))).flat();
  if (found.length === 0)
    throw new CodegenError([{ message: "no .proto file was named; name files, or folders that have some in them." }]);
  const roots = protoPaths.length > 0 ? protoPaths.map((path) => resolve(path)) : inferRoots(found);
  const files = new Map<string, ProtoFile & { absolute: string }>();
  const named = new Set<string>();
  const problems: Problem[] = [];
  for (const file of found) {
    const name = importName(file, roots);
    const other = name === undefined ? undefined : files.get(name);
    if (name === undefined)
      problems.push({
        file: file.shown,
        message: `is in none of the proto paths (${protoPaths.join(", ")}); add its folder with --proto-path.`,
      });
    else if (other !== undefined && other.absolute !== file.absolute) {
      problems.push({
        file: file.shown,
        message: `would be imported as "${name}", and so would ${other.shown}; name their common folder with --proto-path.`,
      });
    } else files.set(name, file);
    if (name !== undefined && file.folder === undefined) named.add(name);
  }
  if (problems.length > 0) throw new CodegenError(problems);
  const targets = [...files.keys()].sort();
  return { files: await withImports(files, imports, roots), targets, named, roots: roots.map(show) };
}

/** The files of one argument: itself, or all in the folder, without what belongs to packages and tools. */
async function findFiles(argument: string): Promise<FoundFile[]> {
  const info = await stat(argument).catch(() => undefined);
  if (info === undefined) throw new CodegenError([{ file: argument, message: "there is no such file or folder." }]);
  if (!info.isDirectory()) {
    if (!argument.endsWith(".proto")) throw new CodegenError([{ file: argument, message: "is not a .proto file." }]);
    return [
      { shown: argument, absolute: resolve(argument), text: await readFile(argument, "utf8"), folder: undefined },
    ];
  }
  const paths = await walk(argument);
  if (paths.length === 0) throw new CodegenError([{ file: argument, message: "no .proto file is in this folder." }]);
  return Promise.all(
    paths.map(async (path) => ({
      shown: slashes(path),
      absolute: resolve(path),
      text: await readFile(path, "utf8"),
      folder: resolve(argument),
    })),
  );
}

async function walk(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const paths: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (entry.name !== "node_modules" && !entry.name.startsWith(".")) paths.push(...(await walk(path)));
    } else if (entry.name.endsWith(".proto")) paths.push(path);
  }
  return paths;
}

/** One root for each folder named, and one for all files that were named by themselves if that works, else one for each. */
function inferRoots(found: readonly FoundFile[]): string[] {
  const folders = [...new Set(found.flatMap(({ folder }) => folder ?? []))];
  const groups = folders.map((folder) => ({ files: found.filter((file) => file.folder === folder), folder }));
  const roots = groups.map(({ files, folder }) => inferRoot(files, folder, folders));
  const single = found.filter(({ folder }) => folder === undefined);
  if (single.length > 0) {
    const common = inferRoot(single, undefined, folders);
    const apart = single.map((file) => inferRoot([file], undefined, folders));
    const unresolved = (all: { unresolved: number }[]): number => all.reduce((sum, root) => sum + root.unresolved, 0);
    roots.push(...(common.unresolved <= unresolved(apart) ? [common] : apart));
  }
  return [...new Set(roots.map((root) => root.path))];
}

/** The path from the first root that has the file. */
function importName(file: FoundFile, roots: readonly string[]): string | undefined {
  const paths = roots
    .map((root) => relative(root, file.absolute))
    .filter((path) => !path.startsWith("..") && !isAbsolute(path));
  return paths[0] === undefined ? undefined : slashes(paths[0]);
}

/** Adds the files named and what is imported, directly or not. What is not found is left to the compiler's complaint. */
async function withImports(
  files: ReadonlyMap<string, ProtoFile>,
  names: readonly string[],
  roots: readonly string[],
): Promise<Map<string, ProtoFile>> {
  const all = new Map(files);
  const open = [...names, ...[...files.values()].flatMap(({ text }) => outline(text).imports)];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const found = all.has(name) ? undefined : await lookUp(name, roots);
    if (found === undefined) continue;
    all.set(name, found);
    open.push(...outline(found.text).imports);
  }
  return all;
}

async function lookUp(name: string, roots: readonly string[]): Promise<ProtoFile | undefined> {
  const path = roots.map((root) => join(root, name)).find((candidate) => existsSync(candidate));
  if (path !== undefined) return { shown: show(path), text: await readFile(path, "utf8") };
  const text = Object.hasOwn(bundledProtos, name) ? bundledProtos[name] : undefined;
  return text === undefined ? undefined : { shown: name, text };
}

/** A path relative to the current folder if it is in there. */
function show(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return slashes(fromHere.startsWith("..") || isAbsolute(fromHere) ? path : fromHere === "" ? "." : fromHere);
}

function slashes(path: string): string {
  return sep === "/" ? path : path.split(sep).join("/");
}
