// Packs the public packages as they would be published, checks their entry points, installs them with npm into an empty
// folder, and uses them there as a stranger would: both module systems, the command, a server and a client in strict
// TypeScript. What is in the packages is for supply-chain.mjs.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { npxEnv, pnpm, read, root, spawn, tool } from "./tools.mjs";

const packages = ["packages/core", "packages/zeromq", "codegen", "packages/zerobind"];

const temp = mkdtempSync(join(tmpdir(), "zerobind-pack-"));
const tarballs = join(temp, "tarballs");
const project = join(temp, "project");
let problems = 0;

function check(name, ok, detail = "") {
  console.log(`${ok ? "ok  " : "FAIL"} ${name}`);
  if (ok) return;
  problems += 1;
  if (detail) console.log(detail.trimEnd().replaceAll(/^/gm, "       "));
}

/** Runs a command, which must succeed within its time and print what is expected. */
function expectRun(name, command, args, { expected = "", ...options } = {}) {
  const { status, stdout, stderr } = spawn(command, args, {
    cwd: project,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 180_000,
    env: npxEnv(),
    ...options,
  });
  const ok = status === 0 && stdout.includes(expected);
  check(name, ok, `${stdout}${stderr}\nexit status ${status}${expected && `, expected output: ${expected}`}`);
  return ok;
}

const node = (name, args, options) => expectRun(name, process.execPath, args, options);

function pack(folder) {
  const { name, exports } = JSON.parse(read(`${folder}/package.json`));
  const before = new Set(readdirSync(tarballs));
  expectRun(`${name}: packed`, "npx", pnpm("pack", "--pack-destination", tarballs), { cwd: join(root, folder) });
  const file = readdirSync(tarballs).find((entry) => !before.has(entry));
  return { name, exports, tarball: join(tarballs, file ?? `${name} is missing`) };
}

function inspect({ name, tarball }) {
  node(`${name}: publint`, [tool.publint, tarball, "--strict"], { cwd: root });
  node(`${name}: types resolve`, [tool.attw, tarball, "--profile", "esm-only"], { cwd: root });
}

/** Names to import: the package itself and its subpaths. */
const entries = ({ name, exports }) =>
  Object.keys(exports)
    .filter((path) => !path.endsWith(".json"))
    .map((path) => name + path.slice(1));

function install(packed) {
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "smoke", private: true, type: "module" }));
  const { devDependencies } = JSON.parse(read("package.json"));
  const tools = [
    `typescript@${devDependencies["@typescript/native"].split("@").at(-1)}`,
    `@types/node@${devDependencies["@types/node"]}`,
  ];
  // No install scripts: the packages, and what they bring along, have to work where those are forbidden.
  const args = [
    "install",
    "--no-audit",
    "--no-fund",
    "--ignore-scripts",
    ...packed.map(({ tarball }) => tarball),
    ...tools,
  ];
  return expectRun("installed with npm into an empty folder", "npm", args);
}

function importEverything(packed) {
  const names = packed.flatMap(entries);
  const esm = names.map(
    (name) => `if (Object.keys(await import("${name}")).length === 0) throw new Error("${name} is empty");`,
  );
  const cjs = names.map(
    (name) => `if (Object.keys(require("${name}")).length === 0) throw new Error("${name} is empty");`,
  );
  writeFileSync(join(project, "all.mjs"), esm.join("\n"));
  writeFileSync(join(project, "all.cjs"), cjs.join("\n"));
  node(`import of ${names.length} entry points`, ["all.mjs"], { timeout: 20_000 });
  node("require() of the same", ["all.cjs"], { timeout: 20_000 });
}

function useCommand() {
  const { version } = JSON.parse(read("packages/zerobind/package.json"));
  const zerobind = (...args) => ["--no-install", "zerobind", ...args];
  expectRun("zerobind --version", "npx", zerobind("--version"), { expected: version, timeout: 20_000 });
  return expectRun("zerobind generate", "npx", zerobind("generate", "protos", "--out", "src/gen"), { timeout: 60_000 });
}

mkdirSync(tarballs);
cpSync(join(root, "scripts/pack-smoke"), project, { recursive: true });
try {
  const packed = packages.map(pack);
  packed.forEach(inspect);
  if (install(packed)) {
    importEverything(packed);
    if (useCommand() && node("a program compiles", ["node_modules/typescript/bin/tsc", "-p", "."]))
      node("it serves, calls and exits", ["dist/main.js"], { expected: "smoke: done", timeout: 20_000 });
  }
} finally {
  if (process.argv.includes("--keep")) console.log(`kept: ${temp}`);
  else rmSync(temp, { recursive: true, force: true });
}
if (problems > 0) console.error(`${problems} problems with the packages`);
process.exitCode = problems > 0 ? 1 : 0;
