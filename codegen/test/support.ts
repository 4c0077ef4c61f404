import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll } from "@jest/globals";
import { CodegenError, generate, type GenerateOptions } from "../src/index.ts";

/** The folder of the workspace. */
export const root: string = dirname(dirname(import.meta.dirname));

const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** A folder with the files given by their paths; it goes away after the tests of this file. */
export function folderWith(files: Readonly<Record<string, string>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "zerobind-test-"));
  folders.push(folder);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

/** The files in a folder by their paths. */
export function filesIn(folder: string): Record<string, string> {
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));
  return Object.fromEntries(paths.sort().map((path) => [path, readFileSync(join(folder, path), "utf8")]));
}

/** Generates from the files and answers with what came out. */
export async function generated(
  files: Readonly<Record<string, string>>,
  options: Partial<GenerateOptions> = {},
): Promise<Record<string, string>> {
  const folder = folderWith(files);
  const protos = (options.protos ?? ["."]).map((path) => join(folder, path));
  const paths = options.protoPaths && { protoPaths: options.protoPaths.map((path) => join(folder, path)) };
  await generate({ ...options, protos, ...paths, out: join(folder, "out") });
  return filesIn(join(folder, "out"));
}

/** The lines of the error that generating from the files ends in, with the folder taken out of them. */
export async function complaints(
  files: Readonly<Record<string, string>>,
  options: Partial<GenerateOptions> = {},
): Promise<string[]> {
  const folder = folderWith(files);
  const protos = (options.protos ?? ["."]).map((path) => join(folder, path));
  const error: unknown = await generate({ ...options, protos, out: join(folder, "out") }).catch(
    (reason: unknown) => reason,
  );
  if (!(error instanceof CodegenError)) throw new Error(`expected a CodegenError, got ${String(error)}`);
  return error.message.replaceAll(`${folder}/`, "").replaceAll(folder, ".").split("\n");
}

/** Runs a program in the workspace; throws what it says if it fails. */
export function run(command: string, args: readonly string[], cwd: string = root): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? ""}\n${stdout}${stderr}`);
  return stdout;
}
