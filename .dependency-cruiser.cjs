// The package table of the workspace as rules: who may import what. Anything that is not allowed is forbidden, so a
// new dependency is a decision made here. `scripts/check-imports.mjs` runs them, and shows first that they can fail.

/** Files of core that may use Node's own modules, each because a browser has its own way to do what they do. */
const coreFilesOnNode = [];

/** Packages that do what this one does. Only benchmarks measure against them. */
const rivals = [
  "@grpc/[^/]+",
  "nice-grpc[^/]*",
  "@connectrpc/[^/]+",
  "@trpc/[^/]+",
  "moleculer",
  "nats",
  "@nats-io/[^/]+",
  "capnweb",
];

const npm = (...names) => `(^|/)node_modules/(${names.join("|")})/`;
const unresolvedNpm = (...names) => `^(${names.join("|")})(/|$)`;
const anyOf = (files) => (files.length > 0 ? files : ["(?!)"]);
const escape = (path) => `^${path.replaceAll(".", "\\.")}$`;

/** Files of one room may import the room itself and what is listed, by path or as one of Node's modules. */
function room(name, path, allowed, { node = false, except = [] } = {}) {
  return {
    name: `${name}-imports`,
    comment: `${path} may import only: itself, ${allowed.join(", ") || "nothing else"}${node ? ", node:*" : ""}`,
    severity: "error",
    from: { path: `^${path}/(src|bin)/`, pathNot: anyOf(except.map(escape)) },
    to: { pathNot: [`^${path}/`, ...allowed], ...(node && { dependencyTypesNot: ["core"] }) },
  };
}

const core = "^packages/core/src/";
const zeromq = "^packages/zeromq/src/";
const codegen = "^codegen/src/";

module.exports = {
  forbidden: [
    room("core", "packages/core", [npm("@bufbuild/protobuf"), npm("reflect-metadata")], {
      except: coreFilesOnNode,
    }),
    {
      name: "core-on-node-imports",
      comment: "The listed files of core may use node:* on top of what core may import",
      severity: "error",
      from: { path: anyOf(coreFilesOnNode.map(escape)) },
      to: { pathNot: [core, npm("@bufbuild/protobuf")], dependencyTypesNot: ["core"] },
    },
    {
      name: "reflect-metadata-only-in-decorators",
      comment: "reflect-metadata changes a global at import: only the decorators subpath may bring it in",
      severity: "error",
      from: { path: "/src/", pathNot: escape("packages/core/src/decorators.ts") },
      to: { path: [npm("reflect-metadata"), unresolvedNpm("reflect-metadata")] },
    },
    room("zeromq", "packages/zeromq", [core, npm("zeromq")], { node: true }),
    {
      name: "zeromq-only-in-socket",
      comment: "One file makes native sockets with the options that they need; the one beside it uses them as is safe",
      severity: "error",
      from: {
        path: "^(packages|codegen|examples)/",
        pathNot: [escape("packages/zeromq/src/socket-kinds.ts"), "/test/"],
      },
      to: { path: [npm("zeromq"), unresolvedNpm("zeromq")] },
    },
    room("zerobind", "packages/zerobind", [core, zeromq, codegen, npm("protobufjs"), npm("commander")], { node: true }),
    room("codegen", "codegen", [npm("ts-proto"), npm("@bufbuild/[^/]+")], { node: true }),
    {
      name: "rivals-only-in-benchmarks",
      comment: "Only benchmarks may name a rival",
      severity: "error",
      from: { pathNot: "^benchmarks/" },
      to: { path: [npm(...rivals), unresolvedNpm(...rivals)] },
    },
    {
      name: "packages-by-name",
      comment: "Other packages of the workspace are imported by name: a relative path breaks when they are packed",
      severity: "error",
      from: { path: "^(packages/[^/]+|codegen|examples|benchmarks|faults)/(src|bin)/" },
      to: {
        path: "^(packages/[^/]+|codegen|examples|benchmarks|faults)/",
        pathNot: "^$1/",
        dependencyTypes: ["local"],
      },
    },
    {
      name: "no-circular",
      comment: "No cycle, not even of types: each file can be read knowing only what is below it",
      severity: "error",
      from: { path: "/src/" },
      to: { circular: true },
    },
    {
      name: "src-never-imports-test",
      comment: "Shipped code does not depend on tests",
      severity: "error",
      from: { path: "/(src|bin)/" },
      to: { path: "/test/" },
    },
    {
      name: "resolvable",
      comment: "Every import leads somewhere",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(^|/)(dist|golden)/" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["@zerobind/source", "import", "node", "default", "types"],
    },
  },
};
