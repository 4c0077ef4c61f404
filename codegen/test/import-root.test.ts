import { expect, test } from "@jest/globals";
import { complaints, generated } from "./support.ts";

const proto = (packageName: string, ...imports: string[]): string =>
  `syntax = "proto3";\npackage ${packageName};\n${imports.map((name) => `import "${name}";\n`).join("")}`;
const message = (packageName: string, ...imports: string[]): string =>
  `${proto(packageName, ...imports)}message M {}\n`;

const cases: [string, Record<string, string>, { protos: string[]; protoPaths?: string[] }, string[]][] = [
  ["a single file", { "greeter.proto": message("demo.v1") }, { protos: ["greeter.proto"] }, ["greeter.pb.ts"]],
  [
    "a folder",
    { "protos/a/v1/a.proto": message("a.v1"), "protos/b.proto": message("b") },
    { protos: ["protos"] },
    ["a/v1/a.pb.ts", "b.pb.ts"],
  ],
  [
    "a file in the folders of its package",
    { "protos/a/v1/a.proto": message("a.v1") },
    { protos: ["protos/a/v1/a.proto"] },
    ["a/v1/a.pb.ts"],
  ],
  [
    "a folder inside the one that imports are relative to",
    { "protos/a/v1/a.proto": message("x", "a/v1/b.proto"), "protos/a/v1/b.proto": message("y") },
    { protos: ["protos/a"] },
    ["a/v1/a.pb.ts", "a/v1/b.pb.ts"],
  ],
  [
    "a folder around the one that imports are relative to",
    { "work/protos/a/v1/a.proto": message("x", "a/v1/b.proto"), "work/protos/a/v1/b.proto": message("y") },
    { protos: ["work"] },
    ["a/v1/a.pb.ts", "a/v1/b.pb.ts"],
  ],
  [
    "two folders",
    { "one/a.proto": message("a", "b/b.proto"), "two/b/b.proto": message("b", "c.proto"), "two/c.proto": message("c") },
    { protos: ["one", "two"] },
    ["a.pb.ts", "b/b.pb.ts", "c.pb.ts"],
  ],
  [
    "two files of two folders",
    { "one/a.proto": message("a"), "two/b.proto": message("b") },
    { protos: ["one/a.proto", "two/b.proto"] },
    ["one/a.pb.ts", "two/b.pb.ts"],
  ],
  [
    "a proto path",
    { "x/y/a.proto": message("a", "y/b.proto"), "lib/y/b.proto": message("b") },
    { protos: ["x/y/a.proto"], protoPaths: ["lib", "x"] },
    ["y/a.pb.ts"],
  ],
];

test.each(cases)("finds the import root of %s", async (_name, files, options, expected) => {
  expect(Object.keys(await generated(files, options))).toEqual(expected);
});

test("also generates what is used, but not what is only imported", async () => {
  const files = {
    "a.proto": `${proto("a", "used.proto", "unused.proto", "zerobind/v1/options.proto", "google/api/http.proto")}message A { used.M m = 1; }\n`,
    "used.proto": `${proto("used", "deep.proto")}message M { deep.E e = 1; }\n`,
    "deep.proto": `${proto("deep")}enum E { E_UNSPECIFIED = 0; }\n`,
    "unused.proto": message("unused"),
    "google/api/http.proto": message("google.api"),
  };
  expect(Object.keys(await generated(files, { protos: ["a.proto"] }))).toEqual(["a.pb.ts", "deep.pb.ts", "used.pb.ts"]);
  expect(Object.keys(await generated(files))).toEqual(["a.pb.ts", "deep.pb.ts", "unused.pb.ts", "used.pb.ts"]);
});

test("takes the user's copy of a file that would be there anyway", async () => {
  const status = `${proto("google.rpc")}message Status { int32 code = 1; }\nmessage Extra {}\n`;
  const files = {
    "a.proto": `${proto("a", "google/rpc/status.proto")}message A { google.rpc.Status status = 1; }\n`,
    "google/rpc/status.proto": status,
  };
  expect(Object.keys(await generated(files))).toEqual(["a.pb.ts"]);
});

test("says where it looked, and which files get in each other's way", async () => {
  expect(await complaints({ "x/a.proto": message("a", "b.proto") }, { protos: ["x/a.proto"] })).toEqual([
    'x/a.proto:3:1: imports "b.proto", which is not in x; name the folder that it is relative to with --proto-path.',
  ]);
  expect(
    await complaints({ "one/a.proto": message("a"), "two/a.proto": message("b") }, { protos: ["one", "two"] }),
  ).toEqual([
    'two/a.proto: would be imported as "a.proto", and so would one/a.proto; name their common folder with --proto-path.',
  ]);
});

test.each([
  ["js", '"./a.pb.js"', '"zerobind/wire"'],
  ["ts", '"./a.pb.ts"', '"zerobind/wire"'],
  ["none", '"./a.pb"', '"zerobind/wire"'],
] as const)("ends relative imports in %s", async (importExtension, messages, wire) => {
  const files = { "a.proto": `${message("a")}service S { rpc Do(M) returns (M); }\n` };
  const out = await generated(files, { importExtension });
  expect(out["a.rpc.ts"]).toContain(`from ${messages};\n`);
  expect(out["a.pb.ts"]).toContain(`from ${wire};\nimport type { MessageInit } from "zerobind";\n`);
});

test("takes a runtime that is relative to the output folder", async () => {
  const files = {
    "a/b.proto": `${proto("a", "google/protobuf/any.proto")}message M { google.protobuf.Any any = 1; }\nservice S { rpc Do(M) returns (M); }\n`,
  };
  const out = await generated(files, { protos: ["."], runtime: "../lib", importExtension: "ts" });
  expect(out["a/b.rpc.ts"]).toContain('} from "../../lib/index.ts";\n');
  expect(out["a/b.pb.ts"]).toContain(
    'from "../../lib/wire.ts";\nimport type { MessageInit } from "../../lib/contract.ts";\nimport { Any } from "../../lib/google.ts";\n',
  );
});
