import { expect, test } from "@jest/globals";
import { complaints } from "./support.ts";

const head = `syntax = "proto3";
package p;
import "google/protobuf/empty.proto";
import "zerobind/v1/options.proto";
message M { string s = 1; repeated string many = 2; M nested = 3; bytes b = 4; map<string, string> map = 5; oneof o { string one = 6; } }
`;

/** A proto whose service starts in line 6, with the method in line 7. */
const method = (rpc: string): Record<string, string> => ({ "a.proto": `${head}service S {\n  ${rpc}\n}\n` });
const operation = (options: string, types = "(M) returns (M)"): Record<string, string> =>
  method(`rpc Do${types} { option (zerobind.v1.operation) = { ${options} }; }`);
const oneWay = "(M) returns (google.protobuf.Empty)";
const lines = (...text: string[]): Record<string, string> => ({
  "a.proto": `syntax = "proto3";\n${text.join("\n")}\n`,
});

/** What the compiler refuses, and what is refused before anything else is looked at. */
const compilerCases: [string, Record<string, string>, string[]][] = [
  [
    "an edition",
    { "a.proto": 'edition = "2023";\nmessage M {}\n' },
    [
      'a.proto:1:1: edition 2023 is not supported: its features (presence, encoding) would be ignored by the message code, and the bytes would be wrong; write `syntax = "proto3";` instead.',
    ],
  ],
  [
    "an edition of a file that is used",
    {
      "a.proto": 'syntax = "proto3";\nimport "b.proto";\nmessage M { N n = 1; }\n',
      "b.proto": '\nedition = "2023";\nmessage N {}\n',
    },
    [
      'b.proto:2:1: edition 2023 is not supported: its features (presence, encoding) would be ignored by the message code, and the bytes would be wrong; write `syntax = "proto3";` instead.',
    ],
  ],
  [
    "imports that do not exist",
    lines('import "no/such.proto";', "import 'google/protobuf/none.proto';"),
    [
      'a.proto:2:1: imports "no/such.proto", which is not in .; name the folder that it is relative to with --proto-path.',
      "a.proto:3:1: imports 'google/protobuf/none.proto', which is not in .; name the folder that it is relative to with --proto-path.",
    ],
  ],
  [
    "a type that does not exist",
    lines("message M {", "  N n = 1;", "}"),
    ["a.proto:3:3: cannot find `N` in this scope"],
  ],
  [
    "text that is no proto",
    { "a.proto": "hello\n" },
    expect.arrayContaining([expect.stringMatching(/^a\.proto:1:1: /)]) as unknown as string[],
  ],
];

/** What we refuse. All of them are compiled together, as each run of the compiler takes its time. */
const cases: [string, Record<string, string>, string[]][] = [
  [
    "methods of one name",
    method("rpc SayHello(M) returns (M);\n  rpc sayHello(M) returns (M);\n  rpc say_hello(M) returns (M);"),
    [
      'a.proto:8:7: the methods SayHello and sayHello are both `sayHello` in generated code; rename the method, or add `option (zerobind.v1.operation) = { local_name: "…" }`.',
      'a.proto:9:7: the methods SayHello and say_hello are both `sayHello` in generated code; rename the method, or add `option (zerobind.v1.operation) = { local_name: "…" }`.',
    ],
  ],
  ...["Then", "catch", "Finally", "open", "Close", "Closed", "Abort", "Dispose", "State"].map(
    (name): [string, Record<string, string>, string[]] => [
      `a method called ${name}`,
      method(`rpc ${name}(M) returns (M);`),
      [
        `a.proto:7:7: S.${name} would be \`${name.toLowerCase()}\` in generated code, which clients and handlers need for themselves; rename the method, or add \`option (zerobind.v1.operation) = { local_name: "…" }\`.`,
      ],
    ],
  ),
  [
    "a local_name that is no identifier",
    operation('local_name: "a-b"'),
    [
      'a.proto:7:34: local_name of S.Do is "a-b", which is no plain identifier; use letters and digits, as in "sayHello".',
    ],
  ],
  ...["close", "then", "constructor", "__proto__", "toJSON"].map((name): [string, Record<string, string>, string[]] => [
    `a local_name of ${name}`,
    operation(`local_name: "${name}"`),
    [
      `a.proto:7:34: local_name of S.Do is "${name}", which clients and handlers need for themselves; choose another one.`,
    ],
  ]),

  [
    "one_way on a stream",
    operation("one_way: {}", "(stream M) returns (google.protobuf.Empty)"),
    ["a.proto:7:61: S.Do: one_way is for unary methods, and this one streams; take `stream` or one_way away."],
  ],
  [
    "a pipeline on a stream",
    operation("pipeline: {}", "(M) returns (stream M)"),
    ["a.proto:7:41: S.Do: pipeline is for unary methods, and this one streams; take `stream` or pipeline away."],
  ],
  [
    "a ticket on a stream",
    operation("ticket: {}", "(stream M) returns (stream M)"),
    ["a.proto:7:48: S.Do: ticket is for unary methods, and this one streams; take `stream` or ticket away."],
  ],
  [
    "an event on a stream",
    operation('event: { topic: "t" }', "(stream M) returns (google.protobuf.Empty)"),
    ["a.proto:7:61: S.Do: event is for unary methods, and this one streams; take `stream` or event away."],
  ],
  [
    "one_way with an answer",
    operation("one_way: {}"),
    ["a.proto:7:34: S.Do: a method with one_way is never answered and must return google.protobuf.Empty, not p.M."],
  ],
  [
    "an event with an answer",
    operation('event: { topic: "t" }'),
    ["a.proto:7:34: S.Do: a method with event is never answered and must return google.protobuf.Empty, not p.M."],
  ],
  [
    "one_way with a timeout and with faults",
    operation('one_way: {} timeout: { seconds: 1 } faults: ["p.M"]', oneWay),
    [
      "a.proto:7:54: S.Do: timeout has no meaning together with one_way, as nobody waits for an answer; take one of them away.",
      "a.proto:7:54: S.Do: faults have no meaning together with one_way, as no error is sent back; take one of them away.",
    ],
  ],
  [
    "an event without a topic",
    operation("event: {}", oneWay),
    ['a.proto:7:54: S.Do: event needs a topic, as in `event: { topic: "price.{symbol}" }`.'],
  ],
  ...[
    ["{s", 'the braces of the topic "{s" do not match; write {field} around the name of a field.'],
    ["s}", 'the braces of the topic "s}" do not match; write {field} around the name of a field.'],
    ["{{s}}", 'the braces of the topic "{{s}}" do not match; write {field} around the name of a field.'],
    ["{}", 'the topic "{}" names the field "", which p.M does not have; its fields are: s, many, nested, b, map, one.'],
    [
      "a.{x}",
      'the topic "a.{x}" names the field "x", which p.M does not have; its fields are: s, many, nested, b, map, one.',
    ],
    ["{many}", 'the topic "{many}" names the field "many", which has many values; a topic needs one.'],
    ["{map}", 'the topic "{map}" names the field "map", which has many values; a topic needs one.'],
    [
      "{nested}",
      'the topic "{nested}" names the field "nested", which is a message; a topic needs a string, a number, a bool or an enum.',
    ],
    [
      "{b}",
      'the topic "{b}" names the field "b", which is bytes; a topic needs a string, a number, a bool or an enum.',
    ],
    [
      "{one}",
      'the topic "{one}" names the field "one", which is in the oneof o and may not be there; take it out of it.',
    ],
    ["a b", 'the topic "a b" has a space or a control character in it; part words by dots, as in "price.{symbol}".'],
    [
      "\\000a",
      'the topic "\\u0000a" has a space or a control character in it; part words by dots, as in "price.{symbol}".',
    ],
    [
      "a\\177{s}",
      'the topic "a\u007f{s}" has a space or a control character in it; part words by dots, as in "price.{symbol}".',
    ],
  ].map(([topic, message]): [string, Record<string, string>, string[]] => [
    `the topic ${topic}`,
    operation(`event: { topic: "${topic}" }`, oneWay),
    [`a.proto:7:54: S.Do: ${message}`],
  ]),
  [
    "events of one topic",
    method(
      ["A", "B", "C"]
        .map((name, index) => {
          const topic = ["x.{s}.y", "x.{n}.y", "x.{s}"][index];
          return `rpc ${name}(N) returns (google.protobuf.Empty) { option (zerobind.v1.operation) = { event: { topic: "${topic}" } }; }`;
        })
        .concat("}\nmessage N { string s = 1; string n = 2;")
        .join("\n  "),
    ),
    [
      "a.proto:8:53: the events A and B can have the same topic, so that subscribers could not tell them apart; begin each topic with another word.",
    ],
  ],
  [
    "services whose interfaces have one name",
    method(
      `rpc E(M) returns (google.protobuf.Empty) { option (zerobind.v1.operation) = { event: { topic: "t" } }; }\n}\nservice SEvent {`,
    ),
    [
      "a.proto:9:9: the services S and SEvent would both have an interface SEventHandler in generated code; rename one of them.",
    ],
  ],
  [
    "a timeout of nothing",
    operation("timeout: {}"),
    ["a.proto:7:34: S.Do: timeout must be positive, as in `timeout: { seconds: 5 }`."],
  ],
  [
    "a timeout in the past",
    operation("timeout: { seconds: -1 }"),
    ["a.proto:7:34: S.Do: timeout must be positive, as in `timeout: { seconds: 5 }`."],
  ],
  [
    "an empty role",
    operation('requires: [""]'),
    ["a.proto:7:34: S.Do: requires names an empty role; write the name of a role, or leave requires out."],
  ],
  [
    "a fault that does not exist",
    operation('faults: ["p.M", "p.Nope"]'),
    [
      "a.proto:7:34: S.Do: faults names the message p.Nope, which does not exist here; write its full name and import its file.",
    ],
  ],
  [
    "a callback that does not exist",
    method('option (zerobind.v1.service) = { callback: "p.M" };'),
    [
      "a.proto:7:10: S: callback names the service p.M, which does not exist here; write its full name and import its file.",
    ],
  ],

  [
    "fields that every object has",
    lines("message M {", "  string to_string = 1;", "  oneof constructor {", "    int32 value_of = 2;", "  }", "}"),
    [
      "a.proto:3:10: the field M.to_string would be `toString` in generated code, which every object inherits, so that an unset field could not be told; rename it, which changes nothing on the wire.",
      "a.proto:4:9: the field M.constructor would be `constructor` in generated code, which every object inherits, so that an unset field could not be told; rename it, which changes nothing on the wire.",
      "a.proto:5:11: the field M.value_of would be `valueOf` in generated code, which every object inherits, so that an unset field could not be told; rename it, which changes nothing on the wire.",
    ],
  ],
  [
    "fields of one name",
    lines("message M {", "  string FOO_BAR = 1;", "  string foo_bar = 2;", "  string _ = 3;", "}"),
    [
      "a.proto:4:10: M.FOO_BAR and M.foo_bar would both be `fooBar` in generated code; rename it, which changes nothing on the wire.",
      "a.proto:5:10: the field M._ has no letter or digit that could name it in generated code; rename it, which changes nothing on the wire.",
    ],
  ],
  [
    "messages that cannot have their name",
    lines(
      "message Map {}",
      "message string {}",
      "enum class { A = 0; }",
      "message a_b {}",
      "message aB {}",
      "message _ {}",
    ),
    [
      "a.proto:2:9: the message Map would be `Map` in generated code, which cannot use that name for it; rename it.",
      "a.proto:3:9: the message string would be `string` in generated code, which cannot use that name for it; rename it.",
      "a.proto:4:6: the enum class would be `class` in generated code, which cannot use that name for it; rename it.",
      "a.proto:6:9: the message aB and the message a_b would both be `aB` in generated code; rename one of them.",
      "a.proto:7:9: the message _ would be `` in generated code, which cannot use that name for it; rename it.",
    ],
  ],
  [
    "values of nested enums",
    lines(
      "message Other {}",
      "message Outer {",
      "  map<string, string> first = 1;",
      "  message Inner { enum E { __proto__ = 0; UNRECOGNIZED = 1; } }",
      "}",
    ),
    [
      "a.proto:5:28: the enum value E.__proto__ has a name that generated code cannot use; rename it, which changes nothing on the wire.",
      "a.proto:5:43: the enum value E.UNRECOGNIZED has a name that generated code cannot use; rename it, which changes nothing on the wire.",
    ],
  ],
  [
    "a group",
    { "a.proto": 'syntax = "proto2";\nmessage M {\n  optional group G = 1 {}\n}\n' },
    ["a.proto:3:18: the group M.g is not supported by the message code; make it a message and a field."],
  ],
];

test.each(compilerCases)("refuses %s", async (_name, files, expected) => {
  expect(await complaints(files)).toEqual(expected);
});

/** The complaints about each of the cases, which stand in files and packages of their own. */
const together: Promise<string[][]> = (async () => {
  const own = (text: string, n: number): string =>
    (text.includes("package p;") ? text : text.replace(/^(syntax = "\w+";)/, "$1 package p;"))
      .replace("package p;", `package p${n};`)
      .replace(/\bp(?=\.[A-Z])/g, `p${n}`);
  const files = cases.map(([, text], n): [string, string] => [`${n}.proto`, own(text["a.proto"] ?? "", n)]);
  const lines = await complaints(Object.fromEntries(files));
  return cases.map((_, n) =>
    lines
      .filter((line) => line.startsWith(`${n}.proto:`))
      .map((line) => line.replace(/^\d+/, "a").replaceAll(`p${n}.`, "p.")),
  );
})();

test.each(cases.map(([name, , expected], n) => [name, n, expected] as const))(
  "refuses %s",
  async (_name, n, expected) => {
    expect((await together)[n]).toEqual(expected);
  },
);

test("says all that is wrong, in all files, in their order", async () => {
  const files = {
    "b.proto": 'syntax = "proto3";\nmessage Map {}\n',
    "a.proto": 'syntax = "proto3";\nmessage Uint8Array {}\nmessage MessageFns {}\n',
  };
  expect((await complaints(files)).map((line) => line.slice(0, 12))).toEqual([
    "a.proto:2:9:",
    "a.proto:3:9:",
    "b.proto:2:9:",
  ]);
});

test("refuses what is not there", async () => {
  expect(await complaints({}, { protos: ["none.proto"] })).toEqual(["none.proto: there is no such file or folder."]);
  expect(await complaints({ "readme.md": "" })).toEqual([".: no .proto file is in this folder."]);
  expect(await complaints({ "readme.md": "" }, { protos: ["readme.md"] })).toEqual([
    "readme.md: is not a .proto file.",
  ]);
  expect(await complaints({}, { protos: [] })).toEqual([
    "no .proto file was named; name files, or folders that have some in them.",
  ]);
});
