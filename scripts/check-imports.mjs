// Checks who imports what against .dependency-cruiser.cjs: first that the rules catch what they must, then the workspace.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root, spawn, tool } from "./tools.mjs";

const config = join(root, ".dependency-cruiser.cjs");

/** One forbidden import per rule: file, what it imports, the rule that must say no. Without a rule it must pass. */
const samples = [
  ["packages/core/src/fine.ts", "./fine-too.ts"],
  ["packages/core/src/uses-fs.ts", "node:fs", "core-imports"],
  ["packages/core/src/uses-type-of-fs.ts", "type node:fs", "core-imports"],
  ["packages/core/src/uses-commander.ts", "commander", "core-imports"],
  ["packages/core/src/uses-zeromq.ts", "../../zeromq/src/socket.ts", "core-imports", "packages-by-name"],
  ["packages/core/src/uses-reflect.ts", "reflect-metadata", "reflect-metadata-only-in-decorators"],
  ["packages/core/src/uses-test.ts", "../test/helper.ts", "src-never-imports-test"],
  ["packages/core/src/circle-a.ts", "./circle-b.ts", "no-circular"],
  ["packages/core/src/circle-b.ts", "type ./circle-a.ts", "no-circular"],
  ["packages/core/src/lost.ts", "./nowhere.ts", "resolvable"],
  ["packages/core/test/helper.ts", "node:path"],
  ["packages/zeromq/src/connector.ts", "zeromq", "zeromq-only-in-socket"],
  ["packages/zeromq/src/socket.ts", "node:net"],
  ["packages/zeromq/src/upward.ts", "../../zerobind/src/fine.ts", "zeromq-imports"],
  ["packages/zerobind/src/fine.ts", "node:path"],
  ["packages/zerobind/src/rival.ts", "@grpc/grpc-js", "zerobind-imports", "rivals-only-in-benchmarks"],
  ["codegen/src/ours.ts", "../../packages/core/src/fine.ts", "codegen-imports"],
  ["examples/src/rival.ts", "nats", "rivals-only-in-benchmarks"],
  ["benchmarks/src/rival.ts", "@grpc/grpc-js"],
  ["packages/core/src/fine-too.ts", "@bufbuild/protobuf"],
];

/** Packages the samples resolve to, so that they fail for what they import and not for missing it. */
const installed = ["@bufbuild/protobuf", "@grpc/grpc-js", "commander", "nats", "reflect-metadata", "zeromq"];

function cruise(cwd, folders, ...args) {
  const present = folders.filter((folder) => existsSync(join(cwd, folder)));
  return spawn(process.execPath, [tool.depcruise, "--config", config, ...args, ...present], { cwd, stdio: "pipe" });
}

function write(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** The samples that were not judged as their row says. */
function misjudged(folder) {
  for (const name of installed) {
    write(join(folder, "node_modules", name, "package.json"), JSON.stringify({ name, main: "index.js" }));
    write(join(folder, "node_modules", name, "index.js"), "");
  }
  for (const [file, target] of samples) {
    const text = target.startsWith("type ") ? `import type {} from "${target.slice(5)}";` : `import "${target}";`;
    write(join(folder, file), `${text}\n`);
  }
  const { stdout, stderr } = cruise(folder, ["packages", "codegen", "examples", "benchmarks"], "--output-type", "json");
  if (!stdout) return [stderr];
  const { violations } = JSON.parse(stdout).summary;
  return samples.flatMap(([file, target, ...rules]) => {
    const about = ({ from, cycle = [] }) => from === file || cycle.some(({ name }) => name === file);
    const found = new Set(violations.filter(about).map(({ rule }) => rule.name));
    const missed = rules.filter((rule) => !found.has(rule));
    const surprising = rules.length === 0 ? [...found] : [];
    return [...missed.map((rule) => `${rule} missed`), ...surprising.map((rule) => `${rule} wrongly refused`)].map(
      (text) => `${text}: ${file} -> ${target}`,
    );
  });
}

export function check() {
  const folder = mkdtempSync(join(tmpdir(), "zerobind-imports-"));
  try {
    const wrong = misjudged(folder);
    for (const text of wrong) console.error(`import rules: ${text}`);
    if (wrong.length > 0) return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const folders = ["packages", "codegen", "examples", "benchmarks", "faults"];
  const { status, stdout, stderr } = cruise(root, folders, "--ts-config", "tsconfig.test.json", "--output-type", "err");
  process.stdout.write(stdout + stderr);
  return status === 0;
}
