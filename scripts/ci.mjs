// Every check of the project, one step after the other; a step that fails does not keep the later ones from running.
// The last line adds up all tests of all test runs, plus one for each other step.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { npxEnv, spawn } from "./tools.mjs";

/** What the tests of other languages need from the system: protoc with its well-known types, and Python's peers. */
const systemPackages = ["protobuf-compiler", "libprotobuf-dev", "python3-zmq", "python3-protobuf"];

/** After this the remaining steps fail at once, so that the totals are printed whatever happens. */
const minutesForAll = 19;

const results = mkdtempSync(join(tmpdir(), "zerobind-ci-"));
const totals = { passed: 0, failed: 0, skipped: 0 };
const failures = [];

const secondsSince = (start) => ((performance.now() - start) / 1000).toFixed(1);

/**
 * Runs a command with a time limit that also reaches what it started, and that shrinks as the time for all steps runs
 * out. No input: nothing may wait for an answer.
 */
function run(minutes, command, ...args) {
  const seconds = Math.max(1, Math.min(minutes * 60, Math.floor(minutesForAll * 60 - secondsSince(0))));
  const limited = ["--kill-after=10s", `${seconds}s`, command, ...args];
  const { status } = spawn("timeout", limited, { stdio: ["ignore", "inherit", "inherit"], env: npxEnv() });
  if (status === 124 || status === 137) console.error(`stopped after ${seconds} s`);
  return status === 0;
}

/** Does one step, which answers "passed", "failed" or "skipped", or an object with several of them counted. */
function step(name, work) {
  console.log(`\n=== ${name}`);
  const start = performance.now();
  const outcome = work();
  const count = typeof outcome === "string" ? { [outcome]: 1 } : outcome;
  for (const [kind, number] of Object.entries(count)) totals[kind] += number;
  if (count.failed) failures.push(name);
  console.log(`=== ${name}: ${count.failed ? "FAILED" : "done"} in ${secondsSince(start)} s`);
}

const verdict = (ok) => (ok ? "passed" : "failed");
const command = (name, minutes, ...args) => step(name, () => verdict(run(minutes, ...args)));
const task = (name, minutes, ...args) => command(name, minutes, process.execPath, "scripts/run.mjs", ...args);

/** A run of jest, counted by its own report. A run that broke without a failed test (or left no report) is one failure. */
function tests(name, minutes, runJest) {
  const report = join(results, `${name.replaceAll(" ", "-")}.json`);
  step(name, () => {
    const ok = runJest(minutes, ["--ci", "--json", `--outputFile=${report}`]);
    const count = { passed: 0, failed: 0, skipped: 0 };
    try {
      const jest = JSON.parse(readFileSync(report, "utf8"));
      count.passed = jest.numPassedTests;
      count.failed = jest.numFailedTests + jest.numRuntimeErrorTestSuites;
      count.skipped = jest.numPendingTests + jest.numTodoTests;
    } catch (error) {
      console.error(`no report of the tests: ${error.message}`);
    }
    if (!ok && count.failed === 0) count.failed = 1;
    return count;
  });
}

function installSystemPackages() {
  const quiet = { stdio: "pipe" };
  const missing = systemPackages.filter(
    (name) => !spawn("dpkg", ["--status", name], quiet).stdout.includes("\nStatus: install ok installed\n"),
  );
  if (missing.length === 0) return "passed";
  if (spawn("apt-get", ["--version"], quiet).status !== 0) return "skipped";
  const sudo = process.getuid() === 0 ? [] : ["sudo", "--non-interactive"];
  const command = "env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120";
  const aptGet = (...args) => run(4, ...sudo, ...command.split(" "), ...args);
  // An index that could not be refreshed may still do: the installation decides.
  aptGet("update");
  return verdict(aptGet("install", "-y", "--no-install-recommends", ...missing));
}

/**
 * Another Node comes as an npm package; everything that npx runs finds it first in the PATH. What a test leaves open is
 * told once, by the first run, which then does not end; here it would only cost the time of the other steps.
 */
function onNode(version, ...packages) {
  return (minutes, args) => {
    const projects = ["--selectProjects", ...packages];
    const all = [...args, ...withoutSlow, ...projects].map((arg) => `'${arg}'`).join(" ");
    const script = `node --version && node scripts/run.mjs test --forceExit ${all}`;
    return run(minutes, "npx", "-y", "-p", `node@${version}`, "-c", script);
  };
}

/** Scenarios of the fault suite that take little time; `npm run faults` alone runs all of them. */
const quickFaults = [
  "server-killed",
  "client-killed",
  "restart-in-turn",
  "cycles",
  "abuse-quick",
  "--transport",
  "tcp",
];

/** Tests that take long, and show nothing new under another Node. */
const longTests =
  "mutations|endings|flood|stream-memory|slow-link|guide|security|events-|patterns|pipeline|pump-|plain-|push-pull|curve|allow-list";
const withoutLong = ["--testPathIgnorePatterns", `${longTests}|/node_modules/`];

/** The same on another Node, where what only takes time is left out as well. */
const onceOnly = `${longTests}|behavior|compression-bombs|cli-|flow|traffic|workers-process|semantics`;
const withoutSlow = ["--testPathIgnorePatterns", `${onceOnly}|/node_modules/`];

step("system packages", installSystemPackages);
task("install", 5, "install");
task("generated code is up to date", 3, "generate", "--check");
task("lint", 4, "lint");
task("type-check", 3, "typecheck");
task("build", 3, "build");
// Each in a process of its own: what one run has loaded slows the next one down.
for (const [name, ...projects] of [["core"], ["zeromq"], ["others", "zerobind", "codegen", "examples"]]) {
  const all = [...withoutLong, "--selectProjects", ...(projects.length > 0 ? projects : [name])];
  tests(`test ${name}`, 4, (minutes, args) => run(minutes, "npm", "test", "--", ...args, ...all));
}
tests("long tests", 5, (minutes, args) => run(minutes, "npm", "test", "--", ...args, "--testPathPatterns", longTests));
command("demo", 2, "npm", "run", "demo");
command("interop", 3, "npm", "run", "interop");
task("faults", 4, "faults", ...quickFaults);
task("supply chain", 2, "supply-chain");
task("packed packages", 5, "pack-smoke");
task("benchmarks", 4, "bench", "--quick");
tests("test on Node 22", 5, onNode(22, "zeromq", "zerobind"));
tests("test on Node 24", 5, onNode(24, "core", "zeromq", "zerobind"));

rmSync(results, { recursive: true, force: true });
console.log(`\n=== all steps: ${secondsSince(0)} s`);
if (failures.length > 0) console.error(`failed: ${failures.join(", ")}`);
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = failures.length > 0 ? 1 : 0;
