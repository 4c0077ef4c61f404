// `pnpm pack` puts dependencies in whatever order it came to know their versions; sorted, equal packages are equal files.
const sorted = (dependencies) =>
  Object.fromEntries(Object.entries(dependencies ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)));

module.exports = {
  hooks: { beforePacking: (manifest) => ({ ...manifest, dependencies: sorted(manifest.dependencies) }) },
};
