import { beforeAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { BinaryReader, BinaryWriter } from "zerobind/wire";
import type { JsonMessageType } from "../src/dynamic/message-type.ts";
import { ProtoTypes } from "../src/dynamic/proto-types.ts";
import type { JsonObject } from "../src/dynamic/types.ts";
import { EchoEverything, OldEverything } from "./gen/test/v1/everything.pb.ts";
import { everything } from "./support/everything-values.ts";
import { everythingProto } from "./support/protos.ts";

let dynamic: JsonMessageType;
let old: JsonMessageType;

beforeAll(async () => {
  const types = await ProtoTypes.load(everythingProto);
  dynamic = types.message("test.v1.EchoEverything")!;
  old = types.message("test.v1.OldEverything")!;
});

const bytesOf = (json: JsonObject): Uint8Array => dynamic.encode(json).finish();
const roundTrip = (json: JsonObject): JsonObject => dynamic.decode(bytesOf(json));

describe("generated and dynamic messages", () => {
  test("a generated message reads as the JSON it stands for", () => {
    fc.assert(
      fc.property(everything, ({ message, json }) => {
        expect(dynamic.decode(EchoEverything.encode(message).finish())).toEqual(json);
      }),
      { numRuns: 150 },
    );
  });

  test("JSON reads as the generated message it stands for", () => {
    fc.assert(
      fc.property(everything, ({ message, json }) => {
        expect(EchoEverything.decode(bytesOf(json))).toEqual(message);
      }),
      { numRuns: 150 },
    );
  });

  test("both codecs write the same bytes, but for maps, whose order is free and whose entries may leave out defaults", () => {
    const maps = {
      texts: undefined,
      blobs: undefined,
      longs: undefined,
      innerByNumber: undefined,
      colorByFlag: undefined,
      numbers: undefined,
    };
    const without = { ...maps, struct: undefined, value: undefined };
    fc.assert(
      fc.property(everything, ({ message, json }) => {
        const mapless = Object.entries(json).filter(([name]) => !(name in without));
        const written = EchoEverything.encode(EchoEverything.fromPartial({ ...message, ...without })).finish();
        expect(Buffer.from(bytesOf(Object.fromEntries(mapless))).toString("hex")).toBe(
          Buffer.from(written).toString("hex"),
        );
      }),
      { numRuns: 150 },
    );
  });

  test("a message in the middle of a frame is read from its place to its end, and written behind what is there", () => {
    const writer = new BinaryWriter().uint32(7);
    dynamic.encode({ stringField: "ä", int64s: ["1", "-1"] }, writer);
    const frame = writer.uint32(9).finish();
    const reader = new BinaryReader(frame);
    expect(reader.uint32()).toBe(7);
    expect(dynamic.decode(reader, frame.byteLength - 2)).toEqual({ stringField: "ä", int64s: ["1", "-1"] });
    expect(reader.uint32()).toBe(9);
    expect(dynamic.decode(frame.subarray(1), frame.byteLength - 2)).toEqual({ stringField: "ä", int64s: ["1", "-1"] });
    const last = new BinaryReader(frame.subarray(1, -1));
    expect(dynamic.decode(last)).toEqual({ stringField: "ä", int64s: ["1", "-1"] });
    expect(last.pos).toBe(last.len);
  });

  test("bytes that are cut off are refused", () => {
    const bytes = bytesOf({ stringField: "hello", inner: { name: "x" } });
    expect(() => dynamic.decode(bytes.subarray(0, -1))).toThrow();
  });
});

describe("the edges of types", () => {
  test.each([
    [{ int64Field: "9223372036854775807", sint64Field: "-9223372036854775808", uint64Field: "18446744073709551615" }],
    [{ fixed64Field: "18446744073709551615", sfixed64Field: "-9223372036854775808" }],
    [{ int32Field: -2147483648, uint32Field: 4294967295, sint32Field: -2147483648, fixed32Field: 4294967295 }],
    [{ doubleField: "NaN", floatField: "-Infinity", doubles: ["Infinity", 5e-324, 1.7976931348623157e308] }],
    [
      {
        maybeInt32: 0,
        maybeInt64: "0",
        maybeString: "",
        maybeBytes: "",
        maybeBool: false,
        maybeColor: "COLOR_UNSPECIFIED",
      },
    ],
    [{ longs: { "-9223372036854775808": "9223372036854775807" }, innerByNumber: { "18446744073709551615": {} } }],
    [{ duration: "-1.500s", time: "1950-01-01T00:00:00Z" }],
    [{ time: "2000-02-29T12:00:00.123Z" }],
    [{ any: { "@type": "type.googleapis.com/google.protobuf.Duration", value: "3s" } }],
    [{ any: { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "R" } }],
    [{ value: null }],
  ])("%j comes back as it was", (json) => {
    expect(roundTrip(json)).toEqual(json);
    expect(dynamic.decode(EchoEverything.encode(EchoEverything.decode(bytesOf(json))).finish())).toEqual(json);
  });

  test("times keep their nanoseconds, also before 1970", () => {
    const json = { time: "1969-12-31T23:59:59.123456789Z" };
    expect(roundTrip(json)).toEqual(json);
  });

  test("names of the proto, numbers as text, text as numbers and other base64 are read as well", () => {
    expect(roundTrip({ int32_field: "5", int64Field: 6, double_field: "1.5", bytes_field: "_-8", color: 1 })).toEqual({
      int32Field: 5,
      int64Field: "6",
      doubleField: 1.5,
      bytesField: "/+8=",
      color: "COLOR_RED",
    });
  });

  test("null is a field that is left out", () => {
    expect(roundTrip({ int32Field: null, inner: null, texts: null, doubles: null, maybeInt32: null })).toEqual({});
  });

  test("fields that a version does not know are skipped, whichever codec reads them", () => {
    fc.assert(
      fc.property(everything, ({ message }) => {
        const bytes = EchoEverything.encode(message).finish();
        const known = OldEverything.decode(bytes);
        expect(known).toEqual({ int32Field: message.int32Field, stringField: message.stringField });
        expect(OldEverything.decode(old.encode(old.decode(bytes)).finish())).toEqual(known);
      }),
      { numRuns: 30 },
    );
  });
});

describe("JSON that does not fit", () => {
  test.each<[string, unknown, RegExp]>([
    [
      "a field that is not there",
      { int32Feild: 1 },
      /^test\.v1\.EchoEverything has no field "int32Feild"\. Did you mean "int32Field"\? Its fields are: doubleField, /,
    ],
    [
      "a field of an inner message that is not there",
      { inner: { nmae: "" } },
      /^test\.v1\.Inner has no field "nmae"\. Did you mean "name"\?/,
    ],
    ["text for a number", { int32Field: "five" }, /^test\.v1\.EchoEverything\.int32_field: invalid integer: "five"$/],
    ["a number out of range", { uint32Field: -1 }, /uint32_field: out of range/],
    ["a fraction for an integer", { int64Field: 1.5 }, /int64_field: not an integer: 1\.5/],
    ["a bigint", { int64Field: 5n }, /64-bit integers are strings/],
    ["a number for text", { stringField: 5 }, /string_field: expected string: 5/],
    ["a value that the enumeration does not have", { color: "toString" }, /color: unknown enum value: "toString"/],
    ["two members of a oneof", { number: "1", text: "x" }, /multiple values for oneof choice/],
    [
      "an Any of a type that is not known",
      { any: { "@type": "type.googleapis.com/a.B" } },
      /an Any has the type a\.B, which is in none of the \.proto files/,
    ],
    ["a Timestamp that is none", { time: "yesterday" }, /google\.protobuf\.Timestamp: invalid timestamp: "yesterday"/],
    ["half of a character", { stringField: "\ud800" }, /unpaired high surrogate/],
  ])("%s", (_, json, message) => {
    expect(() => dynamic.encode(json as JsonObject)).toThrow(message);
  });

  test.each([null, undefined, "text", 5])("%p is no message", (value) => {
    expect(() => dynamic.fromPartial(value as never)).toThrow(/^a test\.v1\.EchoEverything must be an object, not /);
  });

  test("nesting without end is refused", () => {
    let json: JsonObject = {};
    for (let depth = 0; depth < 200; depth++) json = { children: [json] };
    expect(() => dynamic.encode({ inner: json })).toThrow(/max depth/);
  });

  test("names that all objects have change no object", () => {
    const hostile = JSON.parse('{"__proto__":{"polluted":1}}') as JsonObject;
    expect(() => dynamic.encode(hostile)).toThrow(/has no field "__proto__"/);
    expect(() => dynamic.encode({ inner: hostile })).toThrow(/has no field "__proto__"/);
    const texts = JSON.parse('{"__proto__":"a","constructor":"b","hasOwnProperty":"c"}') as JsonObject;
    const struct = JSON.parse('{"__proto__":{"polluted":1},"toString":2}') as JsonObject;
    const back = roundTrip({ texts, struct });
    expect(JSON.stringify(back)).toBe(JSON.stringify({ texts, struct }));
    expect(Object.getPrototypeOf(back["texts"])).toBe(Object.prototype);
    expect(Object.getPrototypeOf(back["struct"])).toBe(Object.prototype);
    expect("polluted" in {}).toBe(false);
  });
});

describe("defaults on request", () => {
  test("all fields without presence are there, in the order of the proto, at every depth", async () => {
    const types = await ProtoTypes.load(everythingProto, { emitDefaults: true });
    const type = types.message("test.v1.EchoEverything")!;
    const json = type.decode(
      bytesOf({ inner: {}, inners: [{}], innerByNumber: { "1": {} }, time: "1970-01-01T00:00:00Z" }),
    );
    const inner = { name: "", weight: "0", children: [] };
    expect(json).toMatchObject({
      doubleField: 0,
      int64Field: "0",
      boolField: false,
      stringField: "",
      bytesField: "",
      color: "COLOR_UNSPECIFIED",
    });
    expect(json).toMatchObject({
      doubles: [],
      texts: {},
      inner,
      inners: [inner],
      innerByNumber: { "1": inner },
      time: "1970-01-01T00:00:00Z",
    });
    for (const absent of ["maybeInt32", "number", "duration", "any"]) expect(json).not.toHaveProperty(absent);
    expect(Object.keys(json).slice(0, 3)).toEqual(["doubleField", "floatField", "int32Field"]);
    expect(EchoEverything.decode(type.encode(json).finish())).toEqual(
      EchoEverything.decode(
        bytesOf({ inner: {}, inners: [{}], innerByNumber: { "1": {} }, time: "1970-01-01T00:00:00Z" }),
      ),
    );
  });
});
