import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { loadContract } from "zerobind";
import { ProtoTypes } from "../src/dynamic/proto-types.ts";
import { folderWith } from "./support/protos.ts";

const echo =
  'syntax = "proto3";\npackage shop.v1;\nimport "shop/v1/item.proto";\nservice Shop {\n  rpc Find(Item) returns (Item);\n}\n';
const item = 'syntax = "proto3";\npackage shop.v1;\nmessage Item {\n  string name = 1;\n}\n';

/** Loads `main.proto` of a folder with the given files, and gives what is wrong with it. */
async function problemOf(files: Readonly<Record<string, string>>, service = "a.S"): Promise<string> {
  await using folder = await folderWith(files);
  const error: unknown = await loadContract(join(folder.path, "main.proto"), service).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ name: "ProtoError" });
  return (error as Error).message.replaceAll(folder.path, "DIR");
}

const service = (text: string): string => `syntax = "proto3";\npackage a;\nmessage M {}\nservice S {\n${text}\n}\n`;

describe("imports are found", () => {
  test.each(["shop/v1", "protos/shop/v1", "deep/er/protos/shop/v1"])(
    "from the folder that the package says: %s",
    async (at) => {
      await using folder = await folderWith({ [`${at}/shop.proto`]: echo, [`${at}/item.proto`]: item });
      const { methods } = await loadContract(join(folder.path, at, "shop.proto"), "shop.v1.Shop");
      expect(methods[0]!.input.$type).toBe("shop.v1.Item");
    },
  );

  test("beside the file, where folders do not follow packages", async () => {
    await using folder = await folderWith({
      "x/shop.proto": echo.replace("shop/v1/item", "item"),
      "x/item.proto": item,
    });
    expect((await ProtoTypes.load(join(folder.path, "x/shop.proto"))).services).toEqual(["shop.v1.Shop"]);
  });

  test("in the proto paths, which may hold the file itself as well", async () => {
    await using folder = await folderWith({ "a/main/shop.proto": echo, "b/shop/v1/item.proto": item });
    const protoPaths = [join(folder.path, "a"), join(folder.path, "b")];
    expect((await ProtoTypes.load("main/shop.proto", { protoPaths })).services).toEqual(["shop.v1.Shop"]);
  });

  test("once, also if they are named and imported, and import each other", async () => {
    const files = {
      "shop/v1/shop.proto": echo,
      "shop/v1/item.proto": item.replace("message", 'import "shop/v1/shop.proto";\nmessage'),
    };
    await using folder = await folderWith(files);
    const paths = Object.keys(files).map((path) => join(folder.path, path));
    expect((await ProtoTypes.load(paths)).services).toEqual(["shop.v1.Shop"]);
  });

  test("without being there, for the framework's and google's own", async () => {
    const names = [
      "zerobind/v1/options.proto",
      "google/rpc/status.proto",
      "google/rpc/error_details.proto",
      "google/protobuf/any.proto",
    ];
    const more = ["google/protobuf/descriptor.proto", "google/protobuf/type.proto", "google/protobuf/wrappers.proto"];
    const imports = [...names, ...more].map((name) => `import "${name}";\n`).join("");
    const rpc =
      'rpc M(google.rpc.Status) returns (google.protobuf.Type) { option (zerobind.v1.operation) = { local_name: "other" }; }';
    await using folder = await folderWith({
      "main.proto": `syntax = "proto3";\npackage a;\n${imports}service S { ${rpc} }`,
    });
    const { methods } = await loadContract(join(folder.path, "main.proto"), "a.S");
    expect(methods[0]).toMatchObject({
      localName: "other",
      input: { $type: "google.rpc.Status" },
      output: { $type: "google.protobuf.Type" },
    });
  });
});

describe("what is wrong with files is told", () => {
  test("a file that is not there", async () => {
    await expect(loadContract("nowhere/greeter.proto", "S")).rejects.toThrow(
      /^nowhere\/greeter\.proto: there is no such file in /,
    );
  });

  test("a folder", async () => {
    await using folder = await folderWith({ "a.proto": item });
    await expect(loadContract(folder.path, "S")).rejects.toThrow(/: is a folder; name the \.proto files in it$/);
  });

  test("no file", async () => {
    await expect(loadContract([], "S")).rejects.toThrow("no .proto file was named");
  });

  test.each([
    ["hello", /^DIR\/main\.proto:1: "hello" is no word that may stand here$/],
    ['syntax = "proto3";\nmessage A {\n  int32 x 1;\n}', /^DIR\/main\.proto:3: found "1" where "=" should be$/],
    [
      'syntax = "proto3";\nmessage A {\n  int32 x = 1;\n',
      /^DIR\/main\.proto:4: the file ends in the middle of something$/,
    ],
    ['syntax = "proto3";\nmessage A {\n  int32 x = 0x;\n}', /^DIR\/main\.proto:3: "0x" is no /],
    [
      'syntax = "proto3";\nmessage A {\n  int32 x = 1;\n  int32 y = 1;\n}',
      /^DIR\/main\.proto: duplicate id 1 in Type A$/,
    ],
    ['syntax = "proto3";\nmessage A {}\nmessage A {}', /^DIR\/main\.proto: duplicate name 'A' in Root$/],
  ])("syntax: %j", async (text, message) => {
    expect(await problemOf({ "main.proto": text })).toMatch(message);
  });

  test("syntax of an imported file", async () => {
    const files = {
      "main.proto": 'syntax = "proto3";\nimport "other.proto";',
      "other.proto": 'syntax = "proto3";\noops',
    };
    expect(await problemOf(files)).toMatch(/^DIR\/other\.proto:2: "oops" is no word that may stand here$/);
  });

  test("an import that is not there", async () => {
    const message = await problemOf({ "main.proto": 'syntax = "proto3";\n\nimport public "no/where.proto";' });
    expect(message).toMatch(
      /^DIR\/main\.proto:3: imports "no\/where\.proto", which is not found; it was looked for in DIR.*\. Say which folder it is relative to \(protoPaths, or -I\)\.$/,
    );
  });

  test("a type that is not there, of a field and of a method", async () => {
    expect(await problemOf({ "main.proto": 'syntax = "proto3";\npackage a;\nmessage M {\n  b.Other x = 1;\n}' })).toBe(
      "DIR/main.proto:4: the message a.M uses the type b.Other, which is not defined here nor in what is imported",
    );
    expect(await problemOf({ "main.proto": service("  rpc Do(M) returns (Missing);") })).toBe(
      "DIR/main.proto:5: the method a.S/Do uses the type Missing, which is not defined here nor in what is imported",
    );
  });

  test("a service that is not there", async () => {
    const two = `${service("")}service T {}`;
    expect(await problemOf({ "main.proto": two }, "a.SS")).toBe(
      'DIR/main.proto: there is no service "a.SS". Did you mean "a.S"? The services are: a.S, a.T.',
    );
    expect(await problemOf({ "main.proto": two }, "constructor")).toMatch(
      /there is no service "constructor"\. The services are: a\.S, a\.T\.$/,
    );
    expect(await problemOf({ "main.proto": item })).toBe("DIR/main.proto: there is no service in it");
  });
});

describe("options of methods", () => {
  const withOption = (option: string): Readonly<Record<string, string>> => ({
    "main.proto":
      `import "zerobind/v1/options.proto";\n${service(`rpc Do(M) returns (M) { option (zerobind.v1.operation) = { ${option} }; }`)}`.replace(
        /^(import.*\n)(syntax.*\n)/,
        "$2$1",
      ),
    "zerobind/v1/options.proto": "",
  });

  test.each([
    ["timeout: { seconds: -1 }", /a\.S\/Do: timeout must be positive$/],
    ['local_name: "then"', /a\.S\/Do: local_name "then" is no name that a client or handler can have$/],
    ['local_name: "a b"', /local_name "a b" is no name/],
    [
      'require: "a"',
      /a\.S\/Do: there is no require; there are one_way, event, pipeline, ticket, timeout, requires, faults, local_name$/,
    ],
    ['requires: ["a", ""]', /a\.S\/Do: requires must be roles: texts that are not empty$/],
    ["requires: [5]", /requires must be roles/],
    ['} ; option (zerobind.v1.operatio) = { requires: "a"', /\(zerobind\.v1\.operatio\) is no option of methods; is/],
    ['faults: "a.Missing"', /faults names a\.Missing, which is no message that is defined here$/],
  ])("%s is refused", async (option, message) => {
    const files = withOption(option);
    expect(await problemOf({ ...files })).toMatch(message);
  });

  test("all ways to write them count", async () => {
    const text = `
      syntax = "proto3";
      package zerobind.test;
      import "zerobind/v1/options.proto";
      message M {}
      service S {
        option (zerobind.v1.service).callback = "zerobind.test.S";
        rpc A(M) returns (M) { option (.zerobind.v1.operation).timeout.seconds = 2; option idempotency_level = IDEMPOTENT; }
        rpc B(M) returns (M) { option (v1.operation) = { requires: "a" requires: "b" pipeline {} }; }
        rpc C(stream M) returns (stream M);
        rpc say_hello(M) returns (M);
        rpc SayHello(M) returns (M);
        rpc Open(M) returns (M);
        rpc _1(M) returns (M);
        rpc constructor(M) returns (M);
        rpc GET_ALL(M) returns (M);
      }`;
    await using folder = await folderWith({ "main.proto": text });
    const { methods, callback } = await loadContract(join(folder.path, "main.proto"), "S");
    expect(callback).toBe("zerobind.test.S");
    expect(methods.map(({ localName }) => localName)).toEqual([
      "a",
      "b",
      "c",
      "sayHello",
      "sayHello$",
      "open$",
      "_1",
      "constructor$",
      "getAll",
    ]);
    expect(methods.slice(0, 3).map(({ kind, options }) => ({ kind, options }))).toEqual([
      { kind: "unary", options: { timeoutMs: 2000, idempotency: "idempotent" } },
      { kind: "unary", options: { requires: ["a", "b"], pattern: { case: "pipeline" } } },
      { kind: "bidi_stream", options: undefined },
    ]);
  });

  test("a pattern that streams is refused", async () => {
    const text =
      'syntax = "proto3";\npackage a;\nimport "zerobind/v1/options.proto";\nmessage M {}\nservice S { rpc Do(stream M) returns (M) { option (zerobind.v1.operation) = { one_way: {} }; } }';
    expect(await problemOf({ "main.proto": text })).toMatch(/one_way is for methods that do not stream$/);
  });
});

test("names that all objects have are harmless wherever they stand", async () => {
  const text = `
    syntax = "proto3";
    package constructor.__proto__;
    message constructor { string toString = 1; string constructor = 2; map<string, string> valueOf = 3; int32 __proto__ = 4; }
    message __proto__ {}
    enum hasOwnProperty { __proto__ = 0; prototype = 1; }
    service toString { rpc valueOf(.constructor.__proto__.constructor) returns (constructor); rpc __proto__(constructor) returns (constructor); }`;
  await using folder = await folderWith({
    "main.proto": text.replaceAll("constructor.__proto__", "constructor.prototype"),
  });
  const contract = await loadContract(join(folder.path, "main.proto"), "toString");
  expect(contract.methods[0]!.localName).toBe("valueOf$");
  const { input } = contract.methods[0]!;
  const json = { toString: "a", constructor: "b", valueOf: { constructor: "c" } };
  expect(input.decode(input.encode(json).finish())).toEqual(json);
  expect({}).not.toHaveProperty("polluted");
  expect(Object.getOwnPropertyNames(Object.prototype)).toHaveLength(12);
});
