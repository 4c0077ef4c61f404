// Writes the JavaScript of the packages that programs load: one file for each entry point, and chunks for what several
// of them share, so that each class exists once in a process. A hundred small modules take Node longer to find and read
// than to run. `tsc -b` writes the declarations beside it. The source maps lead to src, which is in the packages too.
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { rolldown } from "rolldown";
import { root } from "./tools.mjs";

/**
 * Entry points by package. `inlined` is what is taken in of other packages: core needs three modules of the twenty that
 * @bufbuild/protobuf/wire loads. It stays a dependency, for its types.
 */
const packages = [
  { folder: "packages/core", entries: ["index", "wire", "google", "decorators"], inlined: ["@bufbuild/protobuf"] },
  { folder: "packages/zeromq", entries: ["index"] },
  { folder: "packages/zerobind", entries: ["index", "wire", "google", "decorators", "cli/main", "workers/thread"] },
];

async function bundle({ folder, entries, inlined = [] }) {
  const bundled = await rolldown({
    cwd: join(root, folder),
    input: Object.fromEntries(entries.map((entry) => [entry, `src/${entry}.ts`])),
    platform: "neutral",
    tsconfig: false,
    external: (specifier) => /^[^./]/.test(specifier) && !inlined.some((name) => specifier.startsWith(`${name}/`)),
  });
  const dist = join(root, folder, "dist");
  const { output } = await bundled.write({
    dir: dist,
    entryFileNames: "[name].js",
    chunkFileNames: "chunks/[name]-[hash].js",
    comments: { legal: true, annotation: true, jsdoc: false },
    sourcemap: true,
    sourcemapExcludeSources: true,
  });
  await bundled.close();
  removeOthers(dist, new Set(output.map(({ fileName }) => join(dist, fileName))));
}

/** Chunks of earlier builds have other names. */
function removeOthers(dist, written) {
  for (const name of readdirSync(dist, { recursive: true })) {
    const path = join(dist, name);
    if (/\.js(\.map)?$/.test(path) && !written.has(path)) rmSync(path);
  }
}

/** What `tsc` made of sources that are gone, which would be published. */
function removeStale(folder, endings) {
  const dist = join(root, folder, "dist");
  for (const name of readdirSync(dist, { recursive: true })) {
    const [, stem] = endings.exec(name) ?? [];
    if (stem !== undefined && !existsSync(join(root, folder, `src/${stem}.ts`))) rmSync(join(dist, name));
  }
}

await Promise.all(packages.map(bundle));
for (const { folder } of packages) removeStale(folder, /^(.*)\.d\.ts(?:\.map)?$/);
removeStale("codegen", /^(.*?)(?:\.d\.ts|\.js)(?:\.map)?$/);
