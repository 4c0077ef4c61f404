// What is in the tarballs of the packages: read, compared with what may be there, and searched for what says where they
// were made.
import { gunzipSync } from "node:zlib";

/** The files of a tarball, `{ mode, bytes }` by path. TypeError for anything but files. */
export function readTarball(tarball) {
  const tar = gunzipSync(tarball);
  const files = new Map();
  let long;
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0;) {
    const text = (from, length) => tar.toString("utf8", at + from, at + from + length).replace(/\0.*$/s, "");
    const [size, mode, type, prefix] = [
      parseInt(text(124, 12), 8),
      parseInt(text(100, 8), 8),
      text(156, 1),
      text(345, 155),
    ];
    const path = long ?? (prefix === "" ? text(0, 100) : `${prefix}/${text(0, 100)}`);
    const bytes = tar.subarray(at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
    long = type === "x" ? /\d+ path=(.*)\n/.exec(bytes.toString("utf8"))?.[1] : undefined;
    if (type === "0" || type === "") files.set(path.replace(/^package\//, ""), { mode, bytes });
    else if (type !== "x") throw new TypeError(`${path} is no file, but of the type ${type}`);
  }
  return files;
}

/**
 * The files that a package has to have, and no others: those that are listed, its sources, what each is compiled to (only
 * declarations where the JavaScript is bundled), and chunks of what the listed JavaScript shares. `sources` are the paths
 * below src.
 */
export function shippedProblems({ files, listed, sources, bundled }) {
  const expected = new Set(listed);
  const endings = ["d.ts", "d.ts.map", ...(bundled ? [] : ["js", "js.map"])];
  for (const source of sources) {
    expected.add(`src/${source}`);
    for (const ending of endings) expected.add(`dist/${source.replace(/ts$/, ending)}`);
  }
  const isChunk = (path) => {
    const name = path.replace(/\.map$/, "");
    if (!/^dist\/chunks\/[\w.-]+\.js$/.test(name)) return false;
    const base = name.slice(name.lastIndexOf("/") + 1);
    return (
      files.has(name) &&
      [...files].some(([other, { bytes }]) => other !== name && other.endsWith(".js") && bytes.includes(base))
    );
  };
  return [
    ...[...expected].filter((path) => !files.has(path)).map((path) => `${path} is missing`),
    ...[...files.keys()].filter((path) => !expected.has(path) && !isChunk(path)).map((path) => `${path} is not listed`),
    ...[...files]
      .filter(([path, { mode }]) => (mode & 0o777) !== (path.startsWith("bin/") ? 0o755 : 0o644))
      .map(([path, { mode }]) => `${path} has the mode ${(mode & 0o777).toString(8)}`),
  ];
}

/** What a file must not tell: folders of the machine that it was made on, and hosts of registries. */
const telling = [
  [/(?:^|[^\w.])\/(?:home|Users)\/[\w.-]+\//, "a folder of somebody's"],
  [/(?:^|[^\w.])\/(?:root|work|workspace|builds|mnt)\/[\w.-]+/, "a folder of a machine"],
  [/\b[A-Z]:\\{1,2}(?:Users|a|agent|builds)\\/, "a folder of a machine"],
  [/file:\/\/\/[\w.-]+\//, "a folder of a machine"],
  [/\b(?:registry|npm)\.(?:[\w-]+\.)+(?:org|com|io|net|dev|cloud)\b/, "the host of a registry"],
  [/_auth[T]oken|_[p]assword=/, "a credential"],
];

/** What a text tells of where it was made. `folder` is where it certainly was: even the last part of it is a hint. */
export function leaks(text, folder) {
  const found = telling.flatMap(([pattern, what]) => {
    const match = pattern.exec(text);
    return match ? [`${what}: ${match[0].trim()}`] : [];
  });
  return folder !== undefined && text.includes(folder) ? [...found, "the folder that it was made in"] : found;
}

/** What differs between two tarballs of the same package. */
export function differences(one, other) {
  if (one.equals(other)) return [];
  const [first, second] = [readTarball(one), readTarball(other)];
  const names = [...new Set([...first.keys(), ...second.keys()])].sort();
  const differing = names.filter((name) => {
    const [a, b] = [first.get(name), second.get(name)];
    return !a || !b || a.mode !== b.mode || !a.bytes.equals(b.bytes);
  });
  return differing.length > 0 ? differing.map((name) => `${name} differs`) : ["order, times or compression differ"];
}
