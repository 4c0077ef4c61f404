import { readFile, realpath } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { bundledProtos } from "@zerobind/codegen/parts";
import { ProtoError } from "./proto-error.ts";

/** The text of one file, and where it came from. */
export interface ProtoFile {
  /** The same for all ways to name a file. */
  readonly key: string;
  /** As people know it. */
  readonly shown: string;
  readonly text: string;
}

/** Finds files by the paths that people give and by the names under which files import each other. */
export class ProtoFiles {
  readonly #given: readonly string[];
  readonly #folders: string[];

  /** `protoPaths`: the folders that imports are relative to; if there are none they are found out. */
  constructor(protoPaths: readonly string[]) {
    this.#given = protoPaths.map((path) => resolve(path));
    this.#folders = [...this.#given];
  }

  /** The folders that imports were looked up in, for messages. */
  get looked(): string {
    return this.#folders.map(show).join(", ");
  }

  /** A file by its path, relative to the current folder or to one of the proto paths. Throws ProtoError. */
  async named(path: string): Promise<ProtoFile> {
    const candidates = [path, ...this.#given.map((folder) => join(folder, path))];
    for (const candidate of candidates) {
      const file = await open(candidate);
      if (file === undefined) continue;
      if (this.#given.length === 0) this.#add(foldersFor(resolve(candidate), file.text));
      return file;
    }
    throw new ProtoError(`${path}: there is no such file${isAbsolute(path) ? "" : ` in ${process.cwd()}`}`);
  }

  /** A file by the name that an import has for it; undefined if there is none. */
  async imported(name: string): Promise<ProtoFile | undefined> {
    for (const folder of this.#folders) {
      const file = await open(join(folder, name));
      if (file !== undefined) return file;
    }
    return bundled(name);
  }

  #add(folders: readonly string[]): void {
    for (const folder of folders) if (!this.#folders.includes(folder)) this.#folders.push(folder);
  }
}

async function open(path: string): Promise<ProtoFile | undefined> {
  try {
    return { key: await realpath(path), shown: show(resolve(path)), text: await readFile(path, "utf8") };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    if (code === "EISDIR") throw new ProtoError(`${path}: is a folder; name the .proto files in it`);
    throw new ProtoError(`${path}: ${message}`, { cause: error });
  }
}

/** What may be imported without being there: what the framework brings along, and google's own. */
async function bundled(name: string): Promise<ProtoFile | undefined> {
  const text = Object.hasOwn(bundledProtos, name) ? bundledProtos[name] : undefined;
  if (text !== undefined) return { key: name, shown: name, text };
  if (!/^google\/protobuf\/[a-z_/]+\.proto$/.test(name)) return undefined;
  try {
    const path = createRequire(import.meta.url).resolve(`protobufjs/${name}`);
    return { key: name, shown: name, text: await readFile(path, "utf8") };
  } catch {
    return undefined;
  }
}

/**
 * The folders that the imports of a file may be relative to: the one from which its folders spell its package, then
 * its own and those above it, no further than the current folder if it lies in there.
 */
function foldersFor(path: string, text: string): string[] {
  const all = ancestorsOf(dirname(path));
  const current = all.indexOf(process.cwd());
  const folders = current === -1 ? all : all.slice(0, current + 1);
  const spelled = (/^\s*package\s+([\w.]+)\s*;/m.exec(text)?.[1] ?? "").split(".").join(sep);
  const root = folders.find((folder) => relative(folder, dirname(path)) === spelled);
  return root === undefined ? folders : [root, ...folders];
}

function ancestorsOf(folder: string): string[] {
  const above = dirname(folder);
  return above === folder ? [folder] : [folder, ...ancestorsOf(above)];
}

/** A path relative to the current folder if it is in there. */
function show(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return fromHere.startsWith("..") || isAbsolute(fromHere) ? path : fromHere === "" ? "." : fromHere;
}
