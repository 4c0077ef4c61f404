import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that the workspace's protos import each other from. */
export const protosFolder: string = fileURLToPath(new URL("../../../../protos", import.meta.url));

/** The file with the service Everything. */
export const everythingProto: string = join(protosFolder, "test/v1/everything.proto");

/** A folder that is gone at the end of its scope. */
export interface Folder extends AsyncDisposable {
  readonly path: string;
}

/** A folder with the given files, by their paths in it. */
export async function folderWith(files: Readonly<Record<string, string>>): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), "zerobind-test-"));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), text);
  }
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
