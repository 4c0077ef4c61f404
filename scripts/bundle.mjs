// Writes the JavaScript of the packages that programs load: one file for each entry point, and chunks for what several
// of them share, so that each class exists once in a process. A hundred small modules take Node longer to find and read
// than to run. `tsc -b` writes the declarations beside it. The source maps lead to src, which is in the packages too.
import { readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { root } from "./tools.mjs";

/**
 * Entry points by package. `inlined` is what is taken in of other packages: core needs three modules of the twenty that
 * @bufbuild/protobuf/wire loads. It stays a dependency, for its types.
 */
const packages = [
  { folder: "packages/core", entries: ["index", "wire", "google", "decorators"], inlined: ["@bufbuild/protobuf"] },
  { folder: "packages/zeromq", entries: ["index"] },
  { folder: "packages/zerobind", entries: ["index", "wire", "google", "decorators", "cli/main"] },
];

/** Leaves all imports of other packages alone, except for those that are taken in. */
const externalExcept = (inlined) => ({
  name: "external",
  setup({ onResolve }) {
    onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
      if (kind === "entry-point" || inlined.some((name) => path.startsWith(`${name}/`))) return undefined;
      return { path, external: true };
    });
  },
});

async function bundle({ folder, entries, inlined = [] }) {
  const { metafile } = await build({
    absWorkingDir: join(root, folder),
    entryPoints: entries.map((entry) => `src/${entry}.ts`),
    outbase: "src",
    outdir: "dist",
    chunkNames: "chunks/[name]-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    sourcemap: true,
    sourcesContent: false,
    metafile: true,
    logLevel: "warning",
    plugins: [externalExcept(inlined)],
  });
  removeOthers(
    join(root, folder, "dist"),
    new Set(Object.keys(metafile.outputs).map((path) => resolve(root, folder, path))),
  );
}

/** Chunks of earlier builds have other names. */
function removeOthers(dist, written) {
  for (const name of readdirSync(dist, { recursive: true })) {
    const path = join(dist, name);
    if (/\.js(\.map)?$/.test(path) && !written.has(path)) rmSync(path);
  }
}

await Promise.all(packages.map(bundle));
