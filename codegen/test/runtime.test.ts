import { expect, test } from "@jest/globals";
import * as googleTypes from "./golden/gen/google_types/v1/google_types.rpc.ts";
import { Fields, Lists } from "./golden/gen/google_types/v1/google_types.pb.ts";
import * as legacy from "./golden/gen/legacy/legacy.pb.ts";
import * as legacyContract from "./golden/gen/legacy/legacy.rpc.ts";
import * as messages from "./golden/gen/names/v1/names.pb.ts";
import * as names from "./golden/gen/names/v1/names.rpc.ts";
import { Feed, Patterns } from "./golden/gen/patterns/v1/patterns.rpc.ts";

/** What is left of a message after it was written and read. */
function again<T>(type: { encode(value: T): { finish(): Uint8Array }; decode(bytes: Uint8Array): T }, value: T): T {
  return type.decode(type.encode(value).finish());
}

test("the contract of nasty names is plain data, and each of its messages the right one", () => {
  expect(names.Names.methods.map(({ localName }) => localName)).toEqual([
    "promised", "call", "twice", "both", "service", "constructor$", "toString$", "valueOf$", "hasOwnProperty$", "toJSON$", "prototype$", "proto",
    "delete", "class", "getHTTPHeader2", "thisMethodHasANameOfSuchLengthThatItsSignatureHasToBeBrokenOverSeveralLines",
  ]); // prettier-ignore
  const types = names.Names.methods.slice(0, 5).map(({ input, output }) => [input.$type, output.$type]);
  expect(types).toEqual([
    ["names.v1.Promise", "names.v1.Contract"],
    ["names.v1.CallOptions", "names.v1.AsyncIterable"],
    ["names.v1.NamesClient", "names.other.NamesClient"],
    ["names.v1.Outer.Inner", "names.other.Outer.Inner"],
    ["names.other.Names", "names.v1.Iterable"],
  ]);
  expect(Object.keys(names).sort()).toEqual(["Names", "Object$", "RequestStream", "class$", "default$"]);
  expect(Object.getPrototypeOf(names.Names)).toBe(Object.prototype);
});

test("messages with nasty fields keep them", () => {
  const value = messages.Iterable.fromPartial({
    class: "a",
    default: "b",
    Proto: "c",
    prototype: "d",
    then: "e",
    aJsonName: "f",
    date: [{ value: "g" }],
    errors: new Map([["__proto__", { value: "h" }]]),
  });
  expect(again(messages.Iterable, value)).toEqual(value);
  expect(messages.Iterable.fromJSON(messages.Iterable.toJSON(value))).toEqual(value);
  expect(messages.Enum.constructor).toBe(1);
});

test("google's messages go over the wire as messages and as what ts-proto makes of them", () => {
  const value = Fields.fromPartial({
    time: new Date(1234),
    duration: { seconds: 5n },
    wrapped: 7n,
    struct: { a: [1, "x", null, { b: true }] },
    value: [1, 2],
    any: { typeUrl: "t", value: new Uint8Array([1]) },
    status: { code: 3, details: [{ typeUrl: "u" }] },
    times: [new Date(0)],
    timesByNumber: new Map([[9n, new Date(1)]]),
    choice: { $case: "anything", value: { deep: [{}] } },
  });
  expect(again(Fields, value)).toEqual(value);
  expect(googleTypes.GoogleTypes.methods.map(({ input }) => input.$type).slice(0, 3)).toEqual([
    "google.protobuf.Empty",
    "google.protobuf.Timestamp",
    "google.protobuf.Int64Value",
  ]);
});

test("keys from the wire cannot become prototypes", () => {
  const sent = JSON.parse('{ "__proto__": { "admin": true }, "plain": 1 }') as Record<string, unknown>;
  const received = again(Fields, Fields.fromPartial({ struct: sent })).struct;
  expect(received?.["admin"]).toBeUndefined();
  expect(Object.keys(received ?? {}).sort()).toEqual(["__proto__", "plain"]);
  expect(JSON.stringify(received)).toBe(JSON.stringify(sent));
});

test("code that is kept from the type check is right when it runs", () => {
  const value = Lists.fromPartial({
    list: [1, "a"],
    lists: [[1], []],
    mask: ["a.b", "c"],
    choice: { $case: "one", value: [true] },
  });
  expect(again(Lists, value)).toEqual(value);
  const other = Lists.fromPartial({ choice: { $case: "other", value: ["x.y"] } });
  expect(again(Lists, other)).toEqual(other);
});

test("strings of a proto cannot become code", () => {
  /* eslint-disable @typescript-eslint/no-deprecated -- the whole file is */
  const { name } = legacy.Request.fromPartial({});
  expect(name).toBe(["a", '"quoted"', "\\", "$" + "{name}", "default"].join(" "));
  expect(Patterns.methods[0]?.options?.requires).toEqual(["buyer", 'adult "quoted" \\ \n']);
  expect(legacyContract.Legacy.typeName).toBe("Legacy");
  /* eslint-enable @typescript-eslint/no-deprecated */
});

test("options come with the contract", () => {
  expect(Patterns.callback).toBe("patterns.v1.Listener");
  const [everything, ...rest] = Patterns.methods.map(({ options }) => options);
  expect(everything).toMatchObject({ idempotency: "idempotent", timeoutMs: 1500, deprecated: true });
  expect(everything?.faults?.map(({ $type }) => $type)).toEqual([
    "patterns.v1.OutOfStock",
    "google.rpc.BadRequest",
    "patterns.v1.Order.Unpaid",
  ]);
  expect(rest.map((options) => options?.pattern)).toEqual([
    { case: "one_way" },
    { case: "event", topic: "price.{symbol}.{number}", fields: ["symbol", "number"] },
    { case: "pipeline" },
    { case: "ticket" },
    undefined,
  ]);
});

test("the fields of a topic are properties of the message", () => {
  expect(Feed.methods.map(({ options }) => options?.pattern)).toEqual([
    {
      case: "event",
      topic: "shipped.{weight_grams}.{kind}.{EXPRESS}.{note}.{kind}",
      fields: ["weightGrams", "kind", "EXPRESS", "note", "kind"],
    },
    { case: "event", topic: "all", fields: [] },
    { case: "event", topic: "käse", fields: [] },
  ]);
  expect(Feed.methods.map(({ localName }) => localName)).toEqual(["shipped", "thenAll", "toString$"]);
});
