// What is known and accepted. A line that is added here is a decision: look at what the package is and does first.

/** Folders of the packages that are published. */
export const published = ["packages/core", "packages/zeromq", "codegen", "packages/zerobind"];

/** Licences of packages that come along. libzmq, in zeromq's native files, is under the MPL, which others may link. */
export const licences = ["MIT", "ISC", "Apache-2.0", "BSD-3-Clause", "MPL-2.0"];

/** Every package that comes along with the published ones. */
export const runtime = [
  "@bufbuild/buf-linux-aarch64@1.75.0",
  "@bufbuild/buf-linux-x64@1.75.0",
  "@bufbuild/buf@1.75.0",
  "@bufbuild/protobuf@2.17.0",
  "case-anything@2.1.13",
  "cmake-ts@1.0.2",
  "commander@14.0.3",
  "detect-libc@1.0.3",
  "dprint-node@1.0.8",
  "long@5.3.2",
  "node-addon-api@8.9.2",
  "protobufjs@8.8.1",
  "reflect-metadata@0.2.2",
  "ts-poet@6.12.0",
  "ts-proto-descriptors@2.1.0",
  "ts-proto@2.18.0",
  "zeromq@6.8.0",
];

/** Those of them that are a program or native code for one platform, and come only there. */
export const platforms = ["@bufbuild/buf-linux-aarch64@1.75.0", "@bufbuild/buf-linux-x64@1.75.0"];

/** Native files of those that are for all platforms. */
export const natives = {
  "dprint-node@1.0.8": [
    "dprint-node.darwin-arm64.node",
    "dprint-node.darwin-x64.node",
    "dprint-node.linux-arm64-gnu.node",
    "dprint-node.linux-arm64-musl.node",
    "dprint-node.linux-x64-gnu.node",
    "dprint-node.linux-x64-musl.node",
    "dprint-node.win32-x64-msvc.node",
  ],
  "zeromq@6.8.0": [
    "build/darwin/arm64/node/115/addon.node",
    "build/darwin/arm64/node/libc-115-Release/addon.node",
    "build/darwin/x64/node/115/addon.node",
    "build/darwin/x64/node/64/addon.node",
    "build/darwin/x64/node/libc-115-Release/addon.node",
    "build/darwin/x64/node/libc-72-Release/addon.node",
    "build/linux/arm64/node/glibc-127-Release/addon.node",
    "build/linux/arm64/node/musl-127-Release/addon.node",
    "build/linux/x64/node/108/addon.node",
    "build/linux/x64/node/115/addon.node",
    "build/linux/x64/node/64/addon.node",
    "build/linux/x64/node/glibc-115-Release/addon.node",
    "build/linux/x64/node/glibc-127-Release/addon.node",
    "build/linux/x64/node/glibc-147-Release/addon.node",
    "build/linux/x64/node/glibc-72-Release/addon.node",
    "build/linux/x64/node/musl-127-Release/addon.node",
    "build/win32/arm64/node/msvc-115-Release/addon.node",
    "build/win32/ia32/node/115/addon.node",
    "build/win32/ia32/node/72/addon.node",
    "build/win32/ia32/node/msvc-115-Release/addon.node",
    "build/win32/ia32/node/msvc-72-Release/addon.node",
    "build/win32/x64/node/115/addon.node",
    "build/win32/x64/node/64/addon.node",
    "build/win32/x64/node/msvc-115-Release/addon.node",
    "build/win32/x64/node/msvc-72-Release/addon.node",
  ],
};

/**
 * Packages of which not all platforms are locked, so that a clone of this workspace can be worked on under Linux with
 * glibc, on x64 and arm64. Who installs the published packages is not concerned.
 */
export const partlyLocked = ["@bufbuild/buf", "oxc-parser", "rolldown", "unrs-resolver"];

const javascript = (...names) => names.flatMap((name) => [`dist/${name}.js`, `dist/${name}.js.map`]);
const always = ["package.json", "README.md", "LICENSE"];

/** What is in each package beside its sources, what they are compiled to, and chunks of bundled JavaScript. */
export const shipped = {
  "packages/core": {
    bundled: true,
    files: [...always, "THIRD-PARTY-NOTICES.txt", ...javascript("index", "google", "decorators"), "dist/wire.js"],
  },
  "packages/zeromq": { bundled: true, files: [...always, ...javascript("index")] },
  codegen: { bundled: false, files: [...always, "bin/protoc-gen-zerobind.js"] },
  "packages/zerobind": {
    bundled: true,
    files: [
      ...always,
      "bin/zerobind.js",
      "bin/protoc-gen-zerobind.js",
      ...javascript("index", "cli/main", "workers/thread"),
      "dist/wire.js",
      "dist/google.js",
      "dist/decorators.js",
      "protos/zerobind/v1/options.proto",
      "protos/google/rpc/status.proto",
      "protos/google/rpc/error_details.proto",
    ],
  },
};
