// What the packages that are installed consist of: scripts that want to run on installing, native code, licences.
import { closeSync, existsSync, openSync, readFileSync, readSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";

const installScripts = ["preinstall", "install", "postinstall"];

/** How native code begins: ELF, Mach-O for one and for several processors, Windows, WebAssembly, static libraries. */
const magics = ["7f454c46", "cffaedfe", "cefaedfe", "feedfacf", "cafebabe", "4d5a", "0061736d", "213c617263683e"];

function beginsNative(path) {
  const file = openSync(path, "r");
  const bytes = Buffer.alloc(8);
  readSync(file, bytes, 0, 8, 0);
  closeSync(file);
  const hex = bytes.toString("hex");
  return magics.some((magic) => hex.startsWith(magic));
}

/** The native files of a folder, by what they begin with and by what they are called, without those of packages in it. */
export function nativeFiles(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !relative(folder, path).includes("node_modules"))
    .filter((path) => /\.(node|dll|dylib|exe|wasm)$|\.so(\.\d+)*$/.test(path) || beginsNative(path))
    .map((path) => relative(folder, path).replaceAll("\\", "/"))
    .sort();
}

/** Every package in pnpm's store of a workspace: `{ id, folder, manifest }`. */
export function installedPackages(root) {
  const store = join(root, "node_modules/.pnpm");
  const found = new Map();
  for (const entry of readdirSync(store)) {
    const modules = join(store, entry, "node_modules");
    if (!existsSync(modules)) continue;
    for (const folder of ownFolders(modules)) {
      const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      const id = `${manifest.name}@${manifest.version}`;
      found.set(id, { id, folder, manifest });
    }
  }
  return found;
}

/** Others that a package needs are links beside it. */
function ownFolders(modules) {
  return readdirSync(modules, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== ".bin")
    .flatMap((entry) =>
      entry.name.startsWith("@") ? ownFolders(join(modules, entry.name)) : [join(modules, entry.name)],
    )
    .filter((folder) => existsSync(join(folder, "package.json")));
}

/** npm runs node-gyp for packages that have its file and no script of their own. */
const wantsScript = ({ folder, manifest: { scripts = {} } }) =>
  installScripts.some((name) => scripts[name] !== undefined) || existsSync(join(folder, "binding.gyp"));

/** The packages that have scripts for installing are those that the workspace names, and it lets none of them run any. */
export function scriptProblems(installed, workspace) {
  const [, block = ""] = /^allowBuilds:\s*\{?([^}]*)/m.exec(workspace) ?? [];
  const named = new Map([...block.matchAll(/"?([@\w./-]+)"?:\s*(\w+)/g)].map(([, name, value]) => [name, value]));
  const wanting = new Set([...installed.values()].filter(wantsScript).map(({ manifest }) => manifest.name));
  const all = new Set([...installed.values()].map(({ manifest }) => manifest.name));
  return [
    ...(/^strictDepBuilds: true$/m.test(workspace) ? [] : ["pnpm-workspace.yaml does not say strictDepBuilds: true"]),
    ...(/^(dangerouslyAllowAllBuilds|onlyBuiltDependencies|patchedDependencies|overrides):/m.test(workspace)
      ? ["pnpm-workspace.yaml lets scripts run, or changes dependencies"]
      : []),
    ...[...named]
      .filter(([, value]) => value !== "false")
      .map(([name]) => `${name} may run scripts when it is installed`),
    ...[...wanting].filter((name) => !named.has(name)).map((name) => `${name} has a script for installing, unlisted`),
    ...[...named.keys()]
      .filter((name) => all.has(name) && !wanting.has(name))
      .map((name) => `${name} is listed for a script that it does not have`),
  ];
}

/** A licence is known, or a choice or sum of known ones. */
function isKnown(licence, known) {
  if (typeof licence !== "string") return false;
  const names = licence.replace(/[()]/g, " ").split(/\s+(?:AND|OR)\s+/);
  return names.every((name) => known.includes(name.trim()));
}

/**
 * The packages that are needed at run time, against what is known of them. `lock` tells which are for one platform only:
 * of those that are not for this one, nothing is here to be looked at.
 */
export function runtimeProblems({ ids, packages, installed, known }) {
  const problems = [];
  const isForOnePlatform = (id) => packages.get(id)?.has("os") || packages.get(id)?.has("cpu");
  for (const id of ids)
    if (!known.runtime.includes(id)) problems.push(`${id} is new among the packages needed at run time`);
  for (const id of known.runtime) if (!ids.includes(id)) problems.push(`${id} is needed no more, and still listed`);
  for (const id of ids.filter((each) => isForOnePlatform(each)))
    if (!known.platforms.includes(id)) problems.push(`${id} is for one platform only, so native, and not listed`);
  for (const id of ids) {
    const here = installed.get(id);
    if (!here) {
      if (!isForOnePlatform(id)) problems.push(`${id} is not installed`);
      continue;
    }
    const { license } = here.manifest;
    if (!isKnown(license, known.licences)) problems.push(`${id} has the licence ${JSON.stringify(license)}`);
    if (!isForOnePlatform(id)) problems.push(...nativeProblems(id, nativeFiles(here.folder), known.natives[id] ?? []));
  }
  return problems;
}

function nativeProblems(id, found, listed) {
  return [
    ...found
      .filter((path) => !listed.includes(path))
      .map((path) => `${id} has a native file that is not listed: ${path}`),
    ...listed.filter((path) => !found.includes(path)).map((path) => `${id} has no native file ${path} any more`),
  ];
}

/**
 * What packages need that the lockfile has not: pnpm leaves out, without a word, what is for other platforms and was not
 * to be found when it made the lockfile.
 */
export function unlockedProblems(installed, { snapshots }, partlyLocked) {
  const locked = new Map();
  for (const [id, needs] of snapshots) {
    const bare = id.replace(/\(.*$/, "");
    locked.set(bare, new Set([...(locked.get(bare) ?? []), ...needs.map(([name]) => name)]));
  }
  const problems = [];
  for (const [id, { manifest }] of installed) {
    const { name, dependencies = {}, optionalDependencies = {} } = manifest;
    const lacking = (names) => Object.keys(names).filter((each) => !locked.get(id)?.has(each));
    const optional = lacking(optionalDependencies);
    const needed = lacking(dependencies).filter((each) => optionalDependencies[each] === undefined);
    for (const each of needed) problems.push(`${id} needs ${each}, which is not locked`);
    if (partlyLocked.includes(name)) {
      if (optional.length === 0) problems.push(`${name} is locked for all platforms, and still listed`);
    } else for (const each of optional) problems.push(`${id} may need ${each}, which is not locked`);
  }
  return problems;
}

/** Hooks of pnpm may order what is packed, and nothing else: others change what is installed. */
export function hookProblems({ hooks = {}, ...others }) {
  return [...Object.keys(hooks).filter((name) => name !== "beforePacking"), ...Object.keys(others)].map(
    (name) => `.pnpmfile.cjs has ${name}`,
  );
}
