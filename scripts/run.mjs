// Runs a task of the workspace, first installing and building whatever is missing. `node scripts/run.mjs` lists the tasks.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { npxEnv, pnpm, read, root, spawn, tool } from "./tools.mjs";

function run(command, args, options) {
  const { status } = spawn(command, args, options);
  if (status !== 0) process.exit(status);
}

const node = (path, args = [], nodeArgs = []) => run(process.execPath, [...nodeArgs, path, ...args]);

/** Installs with the pinned pnpm unless the installed tree already matches the lockfile (pnpm leaves a copy of what it installed). */
function install() {
  if (read("node_modules/.pnpm/lock.yaml") === read("pnpm-lock.yaml")) return;
  run("npx", pnpm("install", "--frozen-lockfile"), { env: npxEnv({ CI: process.env.CI ?? "1" }) });
}

/** Goes on as another program in this very process, so that signals reach it and nothing is left behind. */
function become(path, args) {
  process.argv = [process.execPath, join(root, path), ...args];
  // npm stops the shell that it started, and the shell tells nobody.
  const parent = process.ppid;
  const watch = setInterval(() => process.ppid !== parent && process.kill(process.pid, "SIGTERM"), 200);
  watch.unref();
  return import(pathToFileURL(join(root, path)).href);
}

const tsc = (...args) => node(tool.tsc, args);
const build = () => (tsc("-b"), node("scripts/bundle.mjs"));
const jest = (args) => node(tool.jest, args, ["--experimental-vm-modules", "--disable-warning=ExperimentalWarning"]);

const tasks = {
  install: () => undefined,
  build: () => build(),
  demo: (args) => (build(), become("examples/dist/demo/main.js", args)),
  example: (args) => (build(), become("examples/dist/patterns/main.js", args)),
  bench: (args) => (build(), node("benchmarks/dist/main.js", args)),
  interop: (args) => (build(), become("examples/dist/interop/main.js", args)),
  faults: (args) => (build(), become("faults/dist/main.js", args)),
  greeter: (args) => (build(), become("examples/dist/greeter/server.js", args)),
  test: (args) => (build(), jest(args)),
  typecheck: () => (build(), tsc("-p", "tsconfig.test.json")),
  generate: (args) => (tsc("-b", "codegen"), node("scripts/generate.mjs", args)),
  lint: (args) => node("scripts/lint.mjs", args),
  format: (args) => node(tool.prettier, ["--write", ...(args.length > 0 ? args : ["."])]),
  "supply-chain": () => (build(), node("scripts/supply-chain.mjs")),
  "pack-smoke": (args) => (build(), node("scripts/pack-smoke.mjs", args)),
};

const [task, ...rest] = process.argv.slice(2);
if (!Object.hasOwn(tasks, task ?? "")) {
  console.error(`usage: node scripts/run.mjs <${Object.keys(tasks).join(" | ")}> [arguments]`);
  process.exit(2);
}
process.chdir(root);
install();
await tasks[task](rest);
