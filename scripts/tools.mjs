// What the scripts share: where the workspace is and how it starts other programs.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The text of a file of the workspace, or undefined. */
export const read = (path) => (existsSync(join(root, path)) ? readFileSync(join(root, path), "utf8") : undefined);

/** An environment in which npx works: an outer `npx -c` exports two names that make an inner one die with EUSAGE. */
export function npxEnv(extra = {}) {
  const { npm_config_call: _call, npm_config_package: _package, ...env } = process.env;
  return { ...env, NODE_OPTIONS: "", ...extra };
}

/** Runs a program in the root (or `cwd`) and gives its exit status, with output where `stdio` says so. */
export function spawn(command, args, options = {}) {
  const shell = process.platform === "win32" && command !== process.execPath;
  const result = spawnSync(command, args, { cwd: root, stdio: "inherit", encoding: "utf8", shell, ...options });
  if (result.error) console.error(`${command}: ${result.error.message}`);
  return { status: result.status ?? 1, stdout: result.stdout ?? "", stderr: result.stderr ?? "" };
}

/** Arguments for `npx` that run the pinned pnpm. */
export const pnpm = (...args) => ["-y", JSON.parse(read("package.json")).packageManager.split("+")[0], ...args];

/** Command-line entry points of the tools, run as `node <path>` so that no shell or PATH is involved.
 *  (knip does not see these uses: its knip.jsonc lists the same packages.) */
export const tool = {
  attw: "node_modules/@arethetypeswrong/cli/dist/index.js",
  depcruise: "node_modules/dependency-cruiser/bin/dependency-cruise.mjs",
  eslint: "node_modules/eslint/bin/eslint.js",
  jest: "node_modules/jest/bin/jest.js",
  knip: "node_modules/knip/bin/knip.js",
  prettier: "node_modules/prettier/bin/prettier.cjs",
  publint: "node_modules/publint/src/cli.js",
  tsc: "node_modules/@typescript/native/bin/tsc",
};
for (const [name, path] of Object.entries(tool)) tool[name] = join(root, path);
