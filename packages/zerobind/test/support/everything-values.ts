import fc from "fast-check";
import type { Arbitrary } from "fast-check";
import type { JsonObject, JsonValue } from "../../src/dynamic/types.ts";
import { Color, Detail, EchoEverything } from "../gen/test/v1/everything.pb.ts";
import type { Inner } from "../gen/test/v1/everything.pb.ts";

/** One value twice: as generated code has it, and as JSON; undefined where it is left out. */
interface Twice<T> {
  readonly value: T;
  readonly json: JsonValue | undefined;
}

/** The same message in both forms, made without any of the codecs. */
export interface MessageTwice {
  readonly message: EchoEverything;
  readonly json: JsonObject;
}

const twice = <T>(source: Arbitrary<T>, toJson: (value: T) => JsonValue): Arbitrary<Twice<T>> =>
  source.map((value) => ({ value, json: toJson(value) }));

/** A field without presence: JSON leaves its default out. */
const implicit = <T>(source: Arbitrary<Twice<T>>, isDefault: (value: T) => boolean): Arbitrary<Twice<T>> =>
  source.map(({ value, json }) => ({ value, json: isDefault(value) ? undefined : json }));

const optional = <T>(source: Arbitrary<Twice<T>>): Arbitrary<Twice<T | undefined>> =>
  fc.option(source, { nil: { value: undefined, json: undefined } });

const list = <T>(source: Arbitrary<Twice<T>>): Arbitrary<Twice<T[]>> =>
  fc.array(source, { maxLength: 5 }).map((items) => ({
    value: items.map(({ value }) => value),
    json: items.length === 0 ? undefined : items.map(({ json }) => json!),
  }));

const map = <K, V>(keys: Arbitrary<K>, values: Arbitrary<Twice<V>>): Arbitrary<Twice<Map<K, V>>> =>
  fc.uniqueArray(fc.tuple(keys, values), { selector: ([key]) => key, maxLength: 5 }).map((entries) => ({
    value: new Map(entries.map(([key, { value }]) => [key, value])),
    json: entries.length === 0 ? undefined : Object.fromEntries(entries.map(([key, { json }]) => [String(key), json!])),
  }));

const integer = (min: number, max: number): Arbitrary<Twice<number>> =>
  twice(fc.integer({ min, max }), (value) => value);
const long = (min: bigint, max: bigint): Arbitrary<Twice<bigint>> =>
  twice(fc.oneof(fc.bigInt({ min, max }), fc.constantFrom(min, max, 0n, 1n, 9007199254740993n)), String);
const floating = (source: Arbitrary<number>): Arbitrary<Twice<number>> =>
  twice(source, (value) => (Number.isFinite(value) ? value : String(value)));

const int32 = integer(-0x80000000, 0x7fffffff);
const uint32 = integer(0, 0xffffffff);
const int64 = long(-(2n ** 63n), 2n ** 63n - 1n);
const uint64 = long(0n, 2n ** 64n - 1n);
const double = floating(fc.double());
const float = floating(fc.float());
const bool = twice(fc.boolean(), (value) => value);
// "__proto__" has a test of its own: the comparison of results does not see it.
const plainText = fc.string({ unit: "binary", maxLength: 12 }).filter((value) => value !== "__proto__");
const text = twice(plainText, (value) => value);
const bytes = twice(fc.uint8Array({ maxLength: 12 }), (value) => Buffer.from(value).toString("base64"));
const color = fc.oneof(
  fc
    .constantFrom(...(["COLOR_UNSPECIFIED", "COLOR_RED", "COLOR_GREEN", "COLOR_INFRARED"] as const))
    .map((name) => ({ value: Color[name], json: name })),
  // A value that this version of the enumeration does not have.
  fc.constantFrom(77, -9).map((value) => ({ value: value as Color, json: value })),
);

const isZero = (value: number): boolean => value === 0;
const isLongZero = (value: bigint): boolean => value === 0n;
const isEmpty = ({ length }: { length: number }): boolean => length === 0;
/** Neither codec tells the two zeros apart where a field has no presence. */
const oneZero = (source: Arbitrary<Twice<number>>): Arbitrary<Twice<number>> =>
  source.map((both) => (both.value === 0 ? { value: 0, json: 0 } : both));

const { inner } = fc.letrec<{ inner: Twice<Inner> }>((tie) => ({
  inner: fc
    .record({
      name: implicit(text, isEmpty),
      weight: implicit(int64, isLongZero),
      children: fc.oneof(
        { depthSize: "small", withCrossShrink: true },
        fc.constant({ value: [] as Inner[], json: undefined }),
        list(tie("inner")),
      ),
    })
    .map(joined<Inner>),
}));

const duration = fc
  .integer({ min: 0, max: 315_576_000_000 })
  .map((seconds) => ({ value: { seconds: BigInt(seconds), nanos: 250_000_000 }, json: `${seconds}.250s` }));
const time = twice(
  fc.date({ min: new Date("0001-01-01T00:00:00Z"), max: new Date("9999-12-31T23:59:59.999Z"), noInvalidDate: true }),
  (value) => value.toISOString().replace(".000Z", "Z"),
);
const any = text.map(({ value }) => ({
  value: {
    typeUrl: "type.googleapis.com/test.v1.Detail",
    value: Detail.encode({ reason: value, count: -1n }).finish(),
  },
  json: { "@type": "type.googleapis.com/test.v1.Detail", ...(value !== "" && { reason: value }), count: "-1" },
}));
const jsonText = plainText.filter((value) => !value.includes("__proto__"));
const { freely } = fc.letrec<{ freely: JsonValue }>((tie) => ({
  freely: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom(null, true, false, 0, 1.5, -1e300),
    jsonText,
    fc.array(tie("freely"), { maxLength: 3 }),
    fc.dictionary(jsonText, tie("freely"), { maxKeys: 3, noNullPrototype: true }),
  ),
}));
const struct = fc.dictionary(jsonText, freely, { maxKeys: 3, noNullPrototype: true });
const mask = fc.array(
  fc.constantFrom(["int32_field", "int32Field"], ["inner.name", "inner.name"], ["string_field", "stringField"]),
  { minLength: 1, maxLength: 3 },
);

/** Joins the fields of a message; `choice` brings a JSON name of its own. */
function joined<T>(
  fields: Readonly<Record<string, Twice<unknown> & { readonly name?: string }>>,
): Twice<T> & { json: JsonObject } {
  const entries = Object.entries(fields);
  const present = entries.filter(([, { json }]) => json !== undefined);
  return {
    value: Object.fromEntries(entries.map(([name, { value }]) => [name, value])) as T,
    json: Object.fromEntries(present.map(([name, field]) => [field.name ?? name, field.json!])),
  };
}

const member = <T>(
  $case: string,
  source: Arbitrary<Twice<T>>,
): Arbitrary<Twice<EchoEverything["choice"]> & { name: string }> =>
  source.map(({ value, json }) => ({ value: { $case, value } as EchoEverything["choice"], json, name: $case }));

const fields = {
  doubleField: implicit(oneZero(double), isZero),
  floatField: implicit(oneZero(float), isZero),
  int32Field: implicit(int32, isZero),
  int64Field: implicit(int64, isLongZero),
  uint32Field: implicit(uint32, isZero),
  uint64Field: implicit(uint64, isLongZero),
  sint32Field: implicit(int32, isZero),
  sint64Field: implicit(int64, isLongZero),
  fixed32Field: implicit(uint32, isZero),
  fixed64Field: implicit(uint64, isLongZero),
  sfixed32Field: implicit(int32, isZero),
  sfixed64Field: implicit(int64, isLongZero),
  boolField: implicit(bool, (value) => !value),
  stringField: implicit(text, isEmpty),
  bytesField: implicit(bytes, isEmpty),
  color: implicit(color, isZero),
  inner: optional(inner),
  doubles: list(double),
  floats: list(float),
  int32s: list(int32),
  int64s: list(int64),
  uint64s: list(uint64),
  sint32s: list(int32),
  sint64s: list(int64),
  fixed32s: list(uint32),
  fixed64s: list(uint64),
  sfixed64s: list(int64),
  bools: list(bool),
  strings: list(text),
  byteses: list(bytes),
  colors: list(color),
  inners: list(inner),
  unpacked: list(int32),
  maybeInt32: optional(int32),
  maybeInt64: optional(int64),
  maybeString: optional(text),
  maybeBytes: optional(bytes),
  maybeBool: optional(bool),
  maybeColor: optional(color),
  texts: map(plainText, text),
  blobs: map(fc.integer({ min: -0x80000000, max: 0x7fffffff }), bytes),
  longs: map(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), int64),
  innerByNumber: map(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), inner),
  colorByFlag: map(fc.boolean(), color),
  // Entries of maps have no presence either.
  numbers: map(plainText, oneZero(double)),
  choice: fc.oneof(
    fc.constant({ value: undefined, json: undefined }),
    member("number", uint64),
    member("text", text),
    member("blob", bytes),
    member("nested", inner),
    member("shade", color),
    member("flag", bool),
  ),
  time: optional(time),
  duration: optional(duration),
  any: optional(any),
  struct: optional(twice(struct, (value) => value)),
  value: optional(twice(freely, (value) => value)),
  wrappedString: optional(text),
  wrappedInt64: optional(int64),
  mask: optional(
    mask.map((paths) => ({ value: paths.map(([path]) => path), json: paths.map(([, path]) => path).join(",") })),
  ),
  retry: optional(duration.map(({ value, json }) => ({ value: { retryDelay: value }, json: { retryDelay: json } }))),
};

/** Messages of all shapes. */
export const everything: Arbitrary<MessageTwice> = fc
  .record(fields as Record<string, Arbitrary<Twice<unknown>>>, { requiredKeys: Object.keys(fields) })
  .map((values) => joined<EchoEverything>(values))
  .map(({ value, json }) => ({ message: value, json }));
