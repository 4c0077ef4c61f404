// Jest transform: TypeScript to JavaScript by esbuild, types erased, decorators as tsc emits them.
const { createHash } = require("node:crypto");
const { transformSync, version } = require("esbuild");

module.exports = {
  createTransformer: () => ({
    canInstrument: false,
    getCacheKey: (source, file, options) =>
      createHash("sha1")
        .update(`${source}\0${file}\0${version}\0${options.supportsStaticESM}\0${options.instrument}`)
        .digest("hex"),
    process(source, file, options) {
      const { code, map } = transformSync(source, {
        loader: "ts",
        sourcefile: file,
        format: options.supportsStaticESM ? "esm" : "cjs",
        target: "es2022",
        sourcemap: "both",
        sourcesContent: true,
        tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
      });
      return { code, map };
    },
  }),
};
