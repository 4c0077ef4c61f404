import { existsSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { bundledProtos } from "./gen/bundled-protos.ts";
import { outline } from "./proto-text.ts";

/** A file that the user asked for, before it is known under which name others import it. */
export interface FoundFile {
  readonly shown: string;
  readonly absolute: string;
  readonly text: string;
  /** The folder that the user named, if it was not the file itself. */
  readonly folder: string | undefined;
}

/** A folder from which files import each other. */
export interface Root {
  readonly path: string;
  /** How many imports of the files are not found from there. */
  readonly unresolved: number;
}

/**
 * Guesses the folder from which the files import each other: one that has all of them in it and from which most of
 * their imports are found. Among equals it is the folder that the user named; for files, the one from which their
 * folders spell their packages; else the nearest. `others` are folders that are searched as well.
 */
export function inferRoot(files: readonly FoundFile[], folder: string | undefined, others: readonly string[]): Root {
  const outlines = files.map((file) => ({ file, ...outline(file.text) }));
  const imports = new Set(outlines.flatMap((each) => each.imports).filter(isOwn));
  const candidates = candidateFolders(commonFolder(files)).map((path, distance) => {
    const found = (name: string): boolean => [path, ...others].some((root) => existsSync(join(root, name)));
    const misnamed = outlines.filter((each) => packageFolder(path, each.file) !== each.package).length;
    return {
      path,
      unresolved: [...imports].filter((name) => !found(name)).length,
      doubt: folder === undefined ? misnamed : Number(path !== folder),
      distance,
    };
  });
  const [best] = candidates.sort((a, b) => a.unresolved - b.unresolved || a.doubt - b.doubt || a.distance - b.distance);
  return best ?? { path: commonFolder(files), unresolved: imports.size };
}

/** Whether the import has to be found on disk; the others are built in. */
function isOwn(name: string): boolean {
  return !name.startsWith("google/protobuf/") && !Object.hasOwn(bundledProtos, name);
}

/** The package that the folders between the root and the file spell. */
function packageFolder(root: string, file: FoundFile): string {
  return relative(root, dirname(file.absolute)).split(sep).join(".");
}

/** The folder and those above it, no further than the current folder if it lies in there. */
function candidateFolders(folder: string): string[] {
  const all = ancestorsOf(folder);
  const current = all.indexOf(process.cwd());
  return current === -1 ? all : all.slice(0, current + 1);
}

/** The deepest folder that all of the files are in. */
function commonFolder(files: readonly FoundFile[]): string {
  const [first = "", ...rest] = files.map((file) => dirname(file.absolute));
  return (
    ancestorsOf(first).find((folder) =>
      rest.every((other) => other === folder || other.startsWith(folder.endsWith(sep) ? folder : folder + sep)),
    ) ?? first
  );
}

/** The folder and all above it, the nearest first. */
function ancestorsOf(folder: string): string[] {
  const above = dirname(folder);
  return above === folder ? [folder] : [folder, ...ancestorsOf(above)];
}
