import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { loadContract } from "zerobind";
import type { Contract, DynamicPatterns, JsonObject, PublisherOf, WorkerOf } from "zerobind";
import * as patterns from "../../core/test/gen/test/v1/patterns.rpc.ts";
import { folderWith, protosFolder } from "./support/protos.ts";

const patternsProto = join(protosFolder, "test/v1/patterns.proto");

const plain = ({ methods }: Contract): unknown =>
  methods.map(({ name, localName, kind, input, output, options }) => ({
    ...{ name, localName, kind, input: input.$type, output: output.$type, options },
  }));

test.each([patterns.Prices, patterns.Market, patterns.Imaging] as Contract[])(
  "events and pipelines are those of generated code",
  async (contract) => {
    const loaded = await loadContract(patternsProto, contract.typeName);
    expect(plain(loaded)).toEqual(plain(contract));
    const publish: PublisherOf<typeof loaded> = {} satisfies DynamicPatterns["publisher"];
    const work: WorkerOf<typeof loaded> = { resize: (job) => job };
    expect([publish, work]).toHaveLength(2);
  },
);

test("fields stand in topics as they do with generated code", async () => {
  const { methods } = await loadContract(patternsProto, "Prices");
  const values = (method: number, message: JsonObject): unknown[] => {
    const { input, options } = methods[method]!;
    const pattern = options!.pattern as { fields: readonly string[] };
    return pattern.fields.map((field) => input.topicValue?.(message, field));
  };
  expect(values(0, { symbol: "käse" })).toEqual(["käse"]);
  expect(values(0, {})).toEqual([""]);
  expect(values(1, { symbol: "A", venue: "VENUE_FLOOR" })).toEqual(["A", 1]);
  expect(values(1, { venue: 2 })).toEqual(["", 2]);
  expect(values(2, { sensorId: -7, height: "NaN", serial: "18446744073709551615", alarm: true })).toEqual([
    ...[-7, NaN, "18446744073709551615", true],
  ]);
  expect(values(2, { sensor_id: 3 })).toEqual([3, 0, "0", false]);
  expect(() => values(1, { venue: "VENUE_MOON" })).toThrow(/venue/);
});

test.each([
  ["{", "the braces of the topic"],
  ["a b", "has a space or a control character in it"],
  ["", "event needs a topic"],
  ["{none}", 'names the field "none", which p.M does not have'],
  ["{many}", 'names the field "many", which is no single string, number, bool or enum of its own'],
  ["{inner}", 'names the field "inner", which is no single'],
  ["{map}", 'names the field "map", which is no single'],
  ["{raw}", 'names the field "raw", which is no single'],
  ["{one}", 'names the field "one", which is no single'],
  ["{maybe}", undefined],
  ["x.{maybe}.{other}", "the events B and A of p.S can have the same topic"],
])("the topic %s is read as by the generator", async (topic, problem) => {
  await using folder = await folderWith({
    "a.proto": `syntax = "proto3"; package p;
      import "google/protobuf/empty.proto"; import "zerobind/v1/options.proto";
      message M {
        repeated string many = 1; M inner = 2; map<string, string> map = 3; bytes raw = 4;
        oneof choice { string one = 5; } optional string maybe = 6; string other = 7;
      }
      service S {
        rpc B(M) returns (google.protobuf.Empty) { option (zerobind.v1.operation) = { event: { topic: "x.{other}.{maybe}" } }; }
        rpc A(M) returns (google.protobuf.Empty) { option (zerobind.v1.operation) = { event: { topic: "${topic}" } }; }
      }`,
  });
  const loading = loadContract(join(folder.path, "a.proto"), "S");
  if (problem === undefined) expect((await loading).methods).toHaveLength(2);
  else await expect(loading).rejects.toThrow(problem);
});
