// What others get when they install Zerobind, and where it comes from: the lockfile, the packages that come along, what is
// in the tarballs and whether they can be made again. Every check is shown first that it can fail.
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  hookProblems,
  installedPackages,
  runtimeProblems,
  scriptProblems,
  unlockedProblems,
} from "./supply-chain/installed.mjs";
import * as known from "./supply-chain/known.mjs";
import { lockfileProblems, readLockfile, runtimeOf } from "./supply-chain/lockfile.mjs";
import { buildCopy, packAll } from "./supply-chain/packs.mjs";
import { selfTest } from "./supply-chain/self-test.mjs";
import { differences, leaks, readTarball, shippedProblems } from "./supply-chain/shipped.mjs";
import { read, root, spawn } from "./tools.mjs";

const { published } = known;
const temp = mkdtempSync(join(realpathSync(tmpdir()), "zerobind-supply-"));
let failures = 0;

function check(name, problems) {
  console.log(`${problems.length === 0 ? "ok  " : "FAIL"} ${name}`);
  if (problems.length > 0) failures += 1;
  for (const problem of problems.slice(0, 30)) console.log(`       ${problem}`);
  if (problems.length > 30) console.log(`       and ${problems.length - 30} more`);
}

/** package.json by folder of the workspace, `.` for the workspace itself. */
function manifestsOf() {
  const [, list = ""] = /^packages: \[(.*)\]$/m.exec(read("pnpm-workspace.yaml")) ?? [];
  const folders = list.split(", ").flatMap((each) => {
    if (!each.endsWith("/*")) return [each];
    const parent = each.slice(0, -2);
    return readdirSync(join(root, parent)).map((name) => `${parent}/${name}`);
  });
  const there = [".", ...folders].filter((folder) => existsSync(join(root, folder, "package.json")));
  return Object.fromEntries(there.map((folder) => [folder, JSON.parse(read(join(folder, "package.json")))]));
}

/** Where the sources of the repository tell of a machine or a registry. */
function repositoryLeaks(folder = root) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (/^(node_modules|dist|coverage|\.git|\.tmp)$/.test(entry.name)) return [];
    if (entry.isDirectory()) return repositoryLeaks(path);
    if (!entry.isFile()) return [];
    return leaks(readFileSync(path, "latin1")).map((leak) => `${path.slice(root.length + 1)} has ${leak}`);
  });
}

/** Unpacks the packages as installed, and makes calls with them where no code may be made from text. */
function withoutEval(tarballs, nodeArgs, programArgs = []) {
  const folder = mkdtempSync(join(temp, "eval-"));
  for (const [from, name] of [
    ["packages/core", "core"],
    ["packages/zeromq", "zeromq"],
  ]) {
    for (const [path, { bytes }] of readTarball(tarballs[from])) {
      const file = join(folder, "node_modules/@zerobind", name, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, bytes);
    }
    const { dependencies } = JSON.parse(read(join(from, "package.json")));
    for (const dependency of Object.keys(dependencies).filter((each) => !each.startsWith("@zerobind/"))) {
      const link = join(folder, "node_modules", dependency);
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(realpathSync(join(root, from, "node_modules", dependency)), link, "junction");
    }
  }
  cpSync(join(root, "scripts/supply-chain/without-eval.mjs"), join(folder, "program.mjs"));
  const args = [...nodeArgs, join(folder, "program.mjs"), ...programArgs];
  const { status, stdout, stderr } = spawn(process.execPath, args, { cwd: folder, stdio: "pipe", timeout: 30_000 });
  return status === 0 && stdout.includes("called without eval") ? [] : [`${stdout}${stderr}exit status ${status}`];
}

function checkPackages() {
  const tarballs = packAll(root, published, join(temp, "here"));
  for (const folder of published) {
    const files = readTarball(tarballs[folder]);
    const sources = readdirSync(join(root, folder, "src"), { recursive: true }).filter((path) => path.endsWith(".ts"));
    const { files: listed, bundled } = known.shipped[folder];
    check(
      `${folder}: ${files.size} files, as listed`,
      shippedProblems({ files, listed, bundled, sources: sources.map((path) => path.replaceAll("\\", "/")) }),
    );
    const telling = [...files].flatMap(([path, { bytes }]) =>
      leaks(bytes.toString("latin1"), root).map((leak) => `${path} has ${leak}`),
    );
    check(`${folder}: tells nothing of where it was made`, telling);
  }
  const copy = join(temp, "copy");
  buildCopy(copy, published);
  const again = packAll(copy, published, join(temp, "there"));
  for (const folder of published) {
    check(`${folder}: built elsewhere, it is the same to the byte`, differences(tarballs[folder], again[folder]));
    console.log(`       sha512 ${createHash("sha512").update(tarballs[folder]).digest("hex").slice(0, 32)}…`);
  }
  const noEval = "--disallow-code-generation-from-strings";
  check("core and zeromq call without making code from text", withoutEval(tarballs, [noEval]));
  const seeded = [withoutEval(tarballs, []), withoutEval(tarballs, [noEval], ["--seeded"])];
  check(
    "the check of that can fail",
    seeded.flatMap((problems, index) => (problems.length > 0 ? [] : [`it passed with defect ${index}`])),
  );
}

try {
  const lock = readLockfile(read("pnpm-lock.yaml"));
  const manifests = manifestsOf();
  const installed = installedPackages(root);
  const workspace = read("pnpm-workspace.yaml");
  const hooks = createRequire(import.meta.url)("../.pnpmfile.cjs");
  const ids = runtimeOf(lock, published);
  const runtime = { ids, packages: lock.packages, installed, known };
  check(
    "every check can fail",
    selfTest({ lock, manifests, installed, workspace, runtime, folder: mkdtempSync(join(temp, "self-")) }),
  );
  check(`lockfile: ${lock.packages.size} packages, each fixed by its sha512`, lockfileProblems(lock, manifests));
  check("lockfile: nothing is missing", unlockedProblems(installed, lock, known.partlyLocked));
  check("pnpm has no hook that changes what is installed", hookProblems(hooks));
  check("no package runs a script when it is installed", scriptProblems(installed, workspace));
  check(`${ids.length} packages come along: licences and native files as listed`, runtimeProblems(runtime));
  check("the repository tells of no machine and no registry", repositoryLeaks());
  checkPackages();
} finally {
  rmSync(temp, { recursive: true, force: true });
}
if (failures > 0) console.error(`${failures} problems with what is shipped`);
process.exitCode = failures > 0 ? 1 : 0;
