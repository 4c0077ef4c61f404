import { cpSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { CodeGeneratorRequestSchema, CodeGeneratorResponseSchema } from "@bufbuild/protobuf/wkt";
import { runPlugin } from "../src/index.ts";
import { filesIn, folderWith, root, run } from "./support.ts";

const golden = join(import.meta.dirname, "golden");
const plugin = join(root, "codegen/bin/protoc-gen-zerobind.js");
const buf = join(root, "codegen/node_modules/@bufbuild/buf/bin/buf");
const goldenFiles = filesIn(join(golden, "gen"));
const protos = [
  "google_types/v1/google_types",
  "legacy/legacy",
  "names/other/other",
  "names/v1/names",
  "patterns/v1/patterns",
];

/** protoc and buf make code for the files they are given, not for those that these use. */
const expected = Object.fromEntries(Object.entries(goldenFiles).filter(([path]) => !path.startsWith("google/")));

/** protoc is not part of the installation. */
const hasProtoc = (): boolean => {
  try {
    run("protoc", ["--version"]);
    return true;
  } catch {
    return false;
  }
};

(hasProtoc() ? test : test.skip)(
  "protoc and the plugin make the golden files",
  () => {
    const out = folderWith();
    const paths = [`-I${golden}`, `-I${join(root, "protos")}`, "-I/usr/include"];
    const options = [
      `--plugin=protoc-gen-zerobind=${plugin}`,
      "--zerobind_opt=runtime=@zerobind/core,import_extension=ts",
      `--zerobind_out=${out}`,
    ];
    run("protoc", [...paths, ...options, ...protos.map((name) => `${name}.proto`)]);
    expect(filesIn(out)).toEqual(expected);
  },
  60_000,
);

test("buf and the plugin make the golden files, a folder at a time", () => {
  const folder = folderWith({ "buf.yaml": "version: v2\n" });
  cpSync(golden, folder, { recursive: true, filter: (path) => !path.endsWith("/gen") });
  for (const name of ["zerobind", "google"])
    cpSync(join(root, "protos", name), join(folder, name), { recursive: true });
  const local = {
    local: [process.execPath, plugin],
    out: "out",
    opt: ["runtime=@zerobind/core", "import_extension=ts"],
  };
  const paths = protos.flatMap((name) => ["--path", `${name}.proto`]);
  run(
    process.execPath,
    [buf, "generate", "--template", JSON.stringify({ version: "v2", plugins: [local] }), ...paths],
    folder,
  );
  expect(filesIn(join(folder, "out"))).toEqual(expected);
}, 60_000);

/** What the plugin answers to a request that was not compiled by anybody. */
function respond(
  parameter: string,
  file: object,
): { error: string; features: bigint; minimum: number; maximum: number } {
  const request = create(CodeGeneratorRequestSchema, {
    parameter,
    fileToGenerate: ["a.proto"],
    protoFile: [{ name: "a.proto", ...file }],
  });
  const response = fromBinary(CodeGeneratorResponseSchema, runPlugin(toBinary(CodeGeneratorRequestSchema, request)));
  return {
    error: response.error,
    features: response.supportedFeatures,
    minimum: response.minimumEdition,
    maximum: response.maximumEdition,
  };
}

test("the plugin says what it supports, and refuses editions itself", () => {
  expect(respond("", { syntax: "editions", edition: 1000 })).toEqual({
    error: expect.stringMatching(/^a\.proto: edition 2023 is not supported: /),
    features: 3n,
    minimum: 998,
    maximum: 1001,
  });
});

test("the plugin refuses options that it does not know", () => {
  const known = "there are runtime=<module>, import_extension=js|ts|none and google=runtime|local.";
  expect(respond("import_extension=mjs", {}).error).toBe(
    `protoc-gen-zerobind does not know the option "import_extension=mjs"; ${known}`,
  );
  expect(respond("runtime=x,colour=red", {}).error).toBe(
    `protoc-gen-zerobind does not know the option "colour=red"; ${known}`,
  );
});
