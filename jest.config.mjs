const root = import.meta.dirname;

/** One jest project per package; tests run on the sources through the `@zerobind/source` condition. */
const project = (folder) => ({
  displayName: folder.split("/").at(-1),
  rootDir: `${root}/${folder}`,
  testEnvironment: "node",
  testEnvironmentOptions: { customExportConditions: ["@zerobind/source", "node", "node-addons"] },
  testMatch: ["<rootDir>/test/**/*.test.ts"],
  extensionsToTreatAsEsm: [".ts"],
  transform: { "^.+\\.ts$": `${root}/scripts/esbuild-jest.cjs` },
});

export default {
  projects: ["packages/core", "packages/zeromq", "packages/zerobind", "codegen", "examples"].map(project),
  coverageProvider: "v8",
  collectCoverageFrom: ["packages/*/src/**/*.ts", "codegen/src/**/*.ts", "!**/gen/**"],
  testTimeout: 20_000,
};
