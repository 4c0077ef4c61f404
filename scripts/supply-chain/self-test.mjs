// Seeds one defect after the other in what the workspace really has, and looks whether the check that is there for it
// finds it, and nothing else does where all is well.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { hookProblems, nativeFiles, runtimeProblems, scriptProblems, unlockedProblems } from "./installed.mjs";
import { lockfileProblems, readLockfile } from "./lockfile.mjs";
import { differences, leaks, readTarball, shippedProblems } from "./shipped.mjs";

/** The defects that were not found, each with what was found instead. */
export function selfTest(facts) {
  const samples = [
    ...lockfileSamples(facts),
    ...manifestSamples(facts),
    ...installedSamples(facts),
    ...runtimeSamples(facts),
    ...shippedSamples(),
  ];
  return samples.flatMap(([name, problems, expected]) =>
    problems.some((problem) => expected.test(problem)) ? [] : [`${name}: found ${problems.join("; ") || "nothing"}`],
  );
}

function lockfileSamples({ lock, manifests }) {
  const with_ = (from, to) => {
    const text = lock.text.replace(from, to);
    return text === lock.text ? ["the sample is of no use any more"] : lockfileProblems(readLockfile(text), manifests);
  };
  return [
    ["a package without checksum", with_(/\{integrity: sha512-\S+\}/, "{}"), /fixed by nothing/],
    ["a checksum of SHA-1", with_(/sha512-[^}]+/, "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk="), /fixed by nothing/],
    ["a short checksum", with_(/(sha512-[^}]{20})[^}]+/, "$1"), /fixed by nothing/],
    [
      "a package from an address",
      with_(/\{integrity: (\S+)\}/, "{integrity: $1, tarball: https://example.org/x.tgz}"),
      /fixed by nothing|has an address/,
    ],
    [
      "a package from git",
      with_(/\{integrity: \S+\}/, "{type: git, repo: git@example.org:x.git, commit: abc}"),
      /fixed by nothing/,
    ],
    [
      "a dependency on git",
      with_(/( {4}dependencies:\n {6}\S+): \S+/, "$1: git+ssh://git@example.org/x"),
      /takes .* from git/,
    ],
    ["a dependency on a file", with_(/( {4}dependencies:\n {6}\S+): \S+/, "$1: file:../x"), /takes .* from file:/],
    [
      "a link to a folder elsewhere",
      with_("version: link:packages/core", "version: link:../core"),
      /takes .* from link:/,
    ],
    ["a package that is not there", with_(/\n {2}zeromq@[\d.]+:\n(?: {4}.*\n)+/, "\n"), /zeromq@.* has no checksum/],
    [
      "a package that nobody needs",
      with_(
        "\nsnapshots:\n",
        `  left-over@1.0.0:\n    resolution: {integrity: sha512-${"A".repeat(86)}==}\n\nsnapshots:\n`,
      ),
      /nobody's dependency/,
    ],
    [
      "changed dependencies",
      with_("\npackages:\n", "\noverrides:\n  zeromq: 1.0.0\n\npackages:\n"),
      /a part "overrides"/,
    ],
  ];
}

function manifestSamples({ lock, manifests }) {
  const core = manifests["packages/core"];
  const with_ = (changes) => lockfileProblems(lock, { ...manifests, "packages/core": { ...core, ...changes } });
  const asking = (specifier) => with_({ dependencies: { ...core.dependencies, "reflect-metadata": specifier } });
  return [
    ["a range", asking("^0.2.2"), /no exact version/],
    ["a tag", asking("latest"), /no exact version/],
    ["an address", asking("https://example.org/x.tgz"), /no exact version/],
    ["a repository", asking("github:example/x"), /no exact version/],
    [
      "a dependency that is not locked",
      with_({ dependencies: { ...core.dependencies, other: "1.0.0" } }),
      /other 1.0.0, which is not locked/,
    ],
    ["a dependency that is locked only", with_({ dependencies: {} }), /is locked with .*, and asks for none/],
    ["a script for installing", with_({ scripts: { postinstall: "node x" } }), /script "postinstall"/],
    ["dependencies in the tarball", with_({ bundledDependencies: ["x"] }), /has "bundledDependencies"/],
  ];
}

function installedSamples({ installed, lock, workspace, folder }) {
  const withPackage = (name, manifest, files = {}) => {
    const path = join(folder, name);
    mkdirSync(path, { recursive: true });
    for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
    return new Map([
      ...installed,
      [`${name}@1.0.0`, { id: `${name}@1.0.0`, folder: path, manifest: { name, ...manifest } }],
    ]);
  };
  const needing = withPackage("needing", {
    version: "1.0.0",
    dependencies: { absent: "1.0.0" },
    optionalDependencies: { rare: "1.0.0" },
  });
  const scripted = withPackage("scripted", { scripts: { postinstall: "node x" } });
  return [
    ["a script for installing", scriptProblems(scripted, workspace), /scripted has a script/],
    [
      "code that is compiled when it is installed",
      scriptProblems(withPackage("gyp", {}, { "binding.gyp": "" }), workspace),
      /gyp has a script/,
    ],
    [
      "a script that may run",
      scriptProblems(installed, workspace.replace("zeromq: false", "zeromq: true")),
      /zeromq may run/,
    ],
    [
      "scripts that are not refused",
      scriptProblems(installed, workspace.replace("strictDepBuilds: true", "")),
      /strictDepBuilds/,
    ],
    [
      "all scripts allowed",
      scriptProblems(installed, `${workspace}\ndangerouslyAllowAllBuilds: true\n`),
      /lets scripts run/,
    ],
    ["a dependency that is not locked", unlockedProblems(needing, lock, []), /needing@1.0.0 needs absent/],
    ["a platform that is not locked", unlockedProblems(needing, lock, []), /needing@1.0.0 may need rare/],
    ["a hook that changes packages", hookProblems({ hooks: { readPackage: (each) => each } }), /has readPackage/],
    [
      "a list that is too long",
      scriptProblems(installed, workspace.replace("zeromq: false", "zeromq: false, commander: false")),
      /commander is listed/,
    ],
  ];
}

function runtimeSamples({ runtime, folder }) {
  const path = join(folder, "native");
  mkdirSync(join(path, "lib"), { recursive: true });
  writeFileSync(join(path, "lib/data"), Buffer.from("7f454c4602010100", "hex"));
  const id = runtime.ids.find((each) => each.startsWith("commander@"));
  const manifest = runtime.installed.get(id)?.manifest;
  const being = (changes, at = path) => ({
    ...runtime,
    installed: new Map([...runtime.installed, [id, { id, folder: at, manifest: { ...manifest, ...changes } }]]),
  });
  const plain = runtime.installed.get(id)?.folder;
  const missing = new Map([...runtime.installed].filter(([each]) => each !== id));
  const { known } = runtime;
  const zeromq = runtime.ids.find((each) => each.startsWith("zeromq@"));
  return [
    ["a new package", runtimeProblems({ ...runtime, ids: [...runtime.ids, "new@1.0.0"] }), /new@1.0.0 is new/],
    ["a package that is gone", runtimeProblems({ ...runtime, ids: runtime.ids.slice(1) }), /needed no more/],
    ["a package that is not installed", runtimeProblems({ ...runtime, installed: missing }), /is not installed/],
    ["another licence", runtimeProblems(being({ license: "GPL-3.0" }, plain)), /has the licence "GPL-3.0"/],
    ["one licence of two", runtimeProblems(being({ license: "(MIT AND GPL-3.0)" }, plain)), /has the licence/],
    ["no licence", runtimeProblems(being({ license: undefined }, plain)), /has the licence undefined/],
    ["native code by its content", runtimeProblems(being({})), /a native file that is not listed: lib\/data/],
    [
      "native code that is gone",
      runtimeProblems({
        ...runtime,
        known: { ...known, natives: { [zeromq]: [...(known.natives[zeromq] ?? []), "more.node"] } },
      }),
      /no native file more.node/,
    ],
    [
      "a package for one platform",
      runtimeProblems({ ...runtime, known: { ...known, platforms: [] } }),
      /for one platform only/,
    ],
    ["a native file", nativeFiles(path), /^lib\/data$/],
  ];
}

/** A tarball of some files, as far as it is read here. */
function tarball(files) {
  const parts = Object.entries(files).flatMap(([path, { mode = 0o644, text = "" }]) => {
    const header = Buffer.alloc(512);
    header.write(`package/${path}`, 0);
    header.write(mode.toString(8).padStart(7, "0"), 100);
    header.write(Buffer.byteLength(text).toString(8).padStart(11, "0"), 124);
    header.write("0", 156);
    const body = Buffer.alloc(Math.ceil(Buffer.byteLength(text) / 512) * 512);
    body.write(text);
    return [header, body];
  });
  return gzipSync(Buffer.concat([...parts, Buffer.alloc(1024)]));
}

function shippedSamples() {
  const [listed, sources] = [["package.json", "dist/index.js"], ["index.ts"]];
  const good = {
    "package.json": {},
    "dist/index.js": { text: 'import "./chunks/a-x.js";' },
    "src/index.ts": {},
    "dist/index.d.ts": {},
    "dist/index.d.ts.map": {},
    "dist/chunks/a-x.js": {},
  };
  const { "dist/index.js": _, ...incomplete } = good;
  const shipping = (files) => shippedProblems({ files: readTarball(tarball(files)), listed, sources, bundled: true });
  const file = (path, more = {}) => shipping({ ...good, [path]: more });
  return [
    ["nothing is wrong", [shipping(good).join() || "fine"], /^fine$/],
    ["a file that is missing", shipping(incomplete), /dist\/index.js is missing/],
    ["settings", file(".env"), /.env is not listed/],
    ["a test", file("test/x.test.ts"), /is not listed/],
    ["declarations of a source that is gone", file("dist/old.d.ts"), /is not listed/],
    ["a chunk that nothing loads", file("dist/chunks/b-y.js"), /is not listed/],
    ["a file that can be executed", file("src/index.ts", { mode: 0o755 }), /has the mode 755/],
    ["a folder of somebody's", leaks(["at ", "home", "ada", "x.ts"].join("/")), /a folder of somebody's/],
    ["a folder of a machine", leaks("C:\\\\Users\\\\ada"), /a folder of a machine/],
    ["the folder it was made in", leaks("// ../../some/where/x.js", "some/where"), /the folder that it was made in/],
    ["a registry", leaks(["https://registry", "example.org/x"].join(".")), /the host of a registry/],
    [
      "another byte",
      differences(tarball(good), tarball({ ...good, "src/index.ts": { text: "x" } })),
      /src\/index.ts differs/,
    ],
    ["another order", differences(tarball({ a: {}, b: {} }), tarball({ b: {}, a: {} })), /order/],
  ];
}
