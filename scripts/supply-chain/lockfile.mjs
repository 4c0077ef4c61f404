// What is in pnpm-lock.yaml, and what must not be: anything that no checksum fixes, or that comes from elsewhere than the
// registry that whoever installs has chosen.

const integrity = /^\{integrity: sha512-[A-Za-z0-9+/]{86}==\}$/;
const exact = /^\d+\.\d+\.\d+(-[\w.-]+)?(\+[\w.-]+)?$/;
const knownParts = ["lockfileVersion", "settings", "pnpmfileChecksum", "importers", "packages", "snapshots"];
const groups = ["dependencies", "devDependencies", "optionalDependencies"];

const unquoted = (text) => text.replace(/^'(.*)'$/, "$1");

/** The lines of the file as nested maps; the values of lines in braces stay text. It is written by pnpm, always alike. */
function nested(text) {
  const root = new Map();
  const path = [{ indent: -1, map: root }];
  for (const line of text.split("\n")) {
    const [, indent, key, value] = /^( *)('[^']*'|[^' ][^:]*):(?: (.*))?$/.exec(line) ?? [];
    if (key === undefined) continue;
    while (path.at(-1).indent >= indent.length) path.pop();
    const map = new Map();
    path.at(-1).map.set(unquoted(key), value === undefined ? map : unquoted(value));
    if (value === undefined) path.push({ indent: indent.length, map });
  }
  return root;
}

const part = (map, name) => (map.get(name) instanceof Map ? map.get(name) : new Map());

/** The parts of a lockfile: what each folder asks for, what is installed, and what each of those depends on. */
export function readLockfile(text) {
  const root = nested(text);
  const importers = new Map();
  for (const [folder, asked] of part(root, "importers")) {
    const all = groups.flatMap((group) => [...part(asked, group)].map(([name, entry]) => ({ group, name, entry })));
    importers.set(
      folder,
      all.map(({ group, name, entry }) => ({
        group,
        name,
        specifier: entry.get("specifier"),
        version: entry.get("version"),
      })),
    );
  }
  const snapshots = new Map();
  for (const [id, entry] of part(root, "snapshots"))
    snapshots.set(
      id,
      entry instanceof Map ? ["dependencies", "optionalDependencies"].flatMap((group) => [...part(entry, group)]) : [],
    );
  return { text, parts: [...root.keys()], importers, packages: part(root, "packages"), snapshots };
}

/** The id of what a dependency resolves to: `name@version`, or for an alias the whole of it. */
const idOf = (snapshots, name, version) => (snapshots.has(`${name}@${version}`) ? `${name}@${version}` : version);
const withoutPeers = (id) => id.replace(/\(.*$/, "");

/** Ids of everything that the folders need when they run, theirs left out. */
export function runtimeOf({ importers, snapshots }, folders) {
  const found = new Set();
  const add = (name, version) => {
    const id = idOf(snapshots, name, version);
    if (version.startsWith("link:") || found.has(id)) return;
    found.add(id);
    for (const dependency of snapshots.get(id) ?? []) add(...dependency);
  };
  for (const folder of folders)
    for (const { group, name, version } of importers.get(folder) ?? [])
      if (group !== "devDependencies") add(name, version);
  return [...found].map(withoutPeers).sort();
}

/** What is wrong with a lockfile, given the package.json of each folder of the workspace. */
export function lockfileProblems(lock, manifests) {
  return [
    ...lock.parts.filter((name) => !knownParts.includes(name)).map((name) => `it has a part "${name}"`),
    ...lock.text
      .split("\n")
      .flatMap((line, index) => (line.includes("://") ? [`line ${index + 1} has an address`] : [])),
    ...packageProblems(lock),
    ...resolutionProblems(lock, Object.keys(manifests)),
    ...manifestProblems(lock, manifests),
  ];
}

function packageProblems({ packages, snapshots }) {
  const problems = [];
  for (const [id, entry] of packages) {
    const resolution = entry instanceof Map ? entry.get("resolution") : undefined;
    if (typeof resolution !== "string" || !integrity.test(resolution))
      problems.push(`${id} is fixed by nothing but a sha512, or by none at all`);
    if (!exact.test(id.slice(id.lastIndexOf("@") + 1))) problems.push(`${id} has no version of a registry`);
  }
  const listed = new Set([...snapshots.keys()].map(withoutPeers));
  for (const id of listed) if (!packages.has(id)) problems.push(`${id} has no checksum`);
  for (const id of packages.keys()) if (!listed.has(id)) problems.push(`${id} is nobody's dependency`);
  return problems;
}

/** Every version leads to a package of the lockfile, or to a folder of the workspace. */
function resolutionProblems({ importers, snapshots }, folders) {
  const problems = [];
  const check = (from, name, version = "") => {
    if (version.startsWith("link:")) {
      const folder = new URL(version.slice(5), `file:///${from === "." ? "" : `${from}/`}`).pathname.slice(1);
      if (!importers.has(from) || !folders.includes(folder)) problems.push(`${from} takes ${name} from ${version}`);
    } else if (!snapshots.has(idOf(snapshots, name, version))) problems.push(`${from} takes ${name} from ${version}`);
  };
  for (const [folder, asked] of importers) for (const { name, version } of asked) check(folder, name, version);
  for (const [id, needs] of snapshots) for (const [name, version] of needs) check(id, name, version);
  return problems;
}

/** What is asked for is what is locked, and is asked for by its exact version. */
function manifestProblems({ importers }, manifests) {
  const problems = [];
  for (const [folder, manifest] of Object.entries(manifests)) {
    const locked = importers.get(folder) ?? [];
    const asked = groups.flatMap((group) => Object.entries(manifest[group] ?? {}));
    for (const [name, specifier] of asked) {
      if (!locked.some((entry) => entry.name === name && entry.specifier === specifier))
        problems.push(`${folder}/package.json asks for ${name} ${specifier}, which is not locked`);
      if (specifier !== "workspace:*" && !exact.test(specifier.replace(/^npm:.+@/, "")))
        problems.push(`${folder}/package.json asks for ${name} ${specifier}, which is no exact version`);
    }
    for (const { name } of locked)
      if (!asked.some(([other]) => other === name))
        problems.push(`${folder} is locked with ${name}, and asks for none`);
    for (const field of ["overrides", "resolutions", "pnpm", "bundledDependencies", "bundleDependencies", "gypfile"])
      if (manifest[field] !== undefined) problems.push(`${folder}/package.json has "${field}"`);
    for (const script of ["preinstall", "install", "postinstall", "prepare"])
      if (manifest.scripts?.[script] !== undefined) problems.push(`${folder}/package.json has a script "${script}"`);
  }
  for (const folder of importers.keys())
    if (!manifests[folder]) problems.push(`${folder} is locked, and is no folder of the workspace`);
  return problems;
}
