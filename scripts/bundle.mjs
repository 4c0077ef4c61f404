// Writes the JavaScript of the packages that programs load: one file for each entry point, and chunks for what several
// of them share, so that each class exists once in a process. A hundred small modules take Node longer to find and read
// than to run. `tsc -b` writes the declarations beside it. The source maps lead to src, which is in the packages too.
import { readdirSync, rmSync } from "node:fs";
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

await Promise.all(packages.map(bundle));
