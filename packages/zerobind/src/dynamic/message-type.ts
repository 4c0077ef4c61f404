import type { MessageType } from "@zerobind/core";
import { BinaryReader, BinaryWriter } from "@zerobind/core/wire";
import protobuf from "protobufjs";
import protojson from "protobufjs/ext/protojson.js";
import { suggestion } from "./proto-error.ts";
import { bare } from "./proto-root.ts";
import type { JsonObject, JsonValue } from "./types.ts";

/** Types whose JSON is no object; as messages of their own they stand as `{ value: … }`, as they do in an Any. */
const boxedTypes: ReadonlySet<string> = new Set(
  ["Timestamp", "Duration", "FieldMask", "Value", "ListValue", "DoubleValue", "FloatValue", "Int64Value", "UInt64Value"]
    .concat(["Int32Value", "UInt32Value", "BoolValue", "StringValue", "BytesValue"])
    .map((name) => `.google.protobuf.${name}`),
);

/** Types whose JSON follows rules of its own. */
const specialTypes: ReadonlySet<string> = new Set([...boxedTypes, ".google.protobuf.Struct", ".google.protobuf.Any"]);

/** A message type whose values are in protobuf's JSON form, on top of the parser's own codec. */
export class JsonMessageType implements MessageType<JsonObject> {
  readonly $type: string;
  readonly #type: protobuf.Type;
  readonly #emitDefaults: boolean;

  constructor(type: protobuf.Type, emitDefaults: boolean) {
    this.$type = bare(type.fullName);
    this.#type = type;
    this.#emitDefaults = emitDefaults;
  }

  encode(message: JsonObject, writer: BinaryWriter = new BinaryWriter()): BinaryWriter {
    const parsed = readJson(this.#type, () => protojson.fromJson(this.#type, this.unbox(message)));
    return writer.raw(this.#type.encode(parsed).finish());
  }

  decode(input: BinaryReader | Uint8Array, length?: number): JsonObject {
    if (!(input instanceof BinaryReader))
      return this.#decodeBytes(length === undefined ? input : input.subarray(0, length));
    // The parser has a reader of its own; the field has no public name, and a test holds it against the library.
    const { buf } = input as unknown as { buf: Uint8Array };
    const end = length === undefined ? input.len : input.pos + length;
    const message = this.#decodeBytes(buf.subarray(input.pos, end));
    input.pos = end;
    return message;
  }

  /** JSON says everything with what it leaves out, so that nothing has to be filled in. */
  fromPartial(init: object): JsonObject {
    if (typeof init !== "object" || init === null)
      throw new TypeError(`a ${this.$type} must be an object, not ${init === null ? "null" : typeof init}`);
    return init as JsonObject;
  }

  /** As it stands in topics; see `MessageType`. */
  topicValue(message: JsonObject, field: string): string | number | bigint | boolean {
    const found = this.#type.fieldsArray.find(({ jsonName }) => jsonName === field);
    const names = found === undefined ? [] : [found.jsonName, found.name];
    const name = names.find((each) => Object.hasOwn(message, each));
    const json = name === undefined ? {} : { [name]: message[name]! };
    const parsed = readJson(this.#type, () => protojson.fromJson(this.#type, json));
    const value: unknown = (parsed as unknown as Record<string, unknown>)[found?.name ?? field] ?? found?.typeDefault;
    // 64-bit integers are objects of the parser.
    return typeof value === "number" || typeof value === "boolean" ? value : String(value);
  }

  /** Reads JSON text as a message, and throws Error with what is wrong with it, duplicate keys included. */
  parse(text: string): JsonObject {
    readJson(this.#type, () => protojson.fromJsonString(this.#type, text));
    return this.box(JSON.parse(text) as JsonValue);
  }

  /** A message as the JSON it stands for. */
  unbox(message: JsonObject): JsonValue {
    if (!boxedTypes.has(this.#type.fullName)) return message;
    if (Object.hasOwn(message, "value")) return message["value"]!;
    throw new TypeError(`a ${this.$type} stands as { value: … } where it is the message of a method`);
  }

  /** JSON as a message of its own. */
  box(json: JsonValue): JsonObject {
    return boxedTypes.has(this.#type.fullName) ? { value: json } : (json as JsonObject);
  }

  #decodeBytes(bytes: Uint8Array): JsonObject {
    const reader = protobuf.Reader.create(bytes);
    reader.discardUnknown = true;
    const json = readJson(this.#type, () => protojson.toJson(this.#type, this.#type.decode(reader)) as JsonValue);
    return this.box(this.#emitDefaults ? withDefaults(this.#type, json) : json);
  }
}

/** Runs the JSON codec, and says what it complains about in words for people. */
function readJson<T>(type: protobuf.Type, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof SyntaxError) throw error;
    throw new Error(explain(type, (error as Error).message), { cause: error });
  }
}

function explain(type: protobuf.Type, message: string): string {
  const [, owner, field] = /^\.(\S+): unknown field: "(.*)"$/.exec(message) ?? [];
  if (owner !== undefined && field !== undefined) {
    const names = type.root.lookupType(owner).fieldsArray.map(({ jsonName }) => jsonName);
    return `${owner} has no field "${field}".${suggestion(field, names)} Its fields are: ${names.length > 0 ? names.join(", ") : "none"}.`;
  }
  if (message.includes("serialize a BigInt"))
    return `${bare(type.fullName)}: 64-bit integers are strings here: "123", not 123n`;
  const [, unknown] = /^no such type: (.*)$/.exec(message) ?? [];
  if (unknown !== undefined)
    return `an Any has the type ${unknown}, which is in none of the .proto files that were loaded`;
  return bare(message);
}

/** Adds the fields that JSON leaves out because they have their default, in the order of the proto. */
function withDefaults(type: protobuf.Type, json: JsonValue): JsonValue {
  if (specialTypes.has(type.fullName) || typeof json !== "object" || json === null) return json;
  const given = json as JsonObject;
  const entries = type.fieldsArray.flatMap((field): [string, JsonValue][] => {
    const name = field.jsonName;
    if (Object.hasOwn(given, name)) return [[name, fieldWithDefaults(field, given[name]!)]];
    const value = defaultOf(field);
    return value === undefined ? [] : [[name, value]];
  });
  return Object.fromEntries(entries);
}

function fieldWithDefaults(field: protobuf.Field, value: JsonValue): JsonValue {
  const inner = field.resolvedType;
  if (!(inner instanceof protobuf.Type)) return value;
  if (field.repeated) return (value as readonly JsonValue[]).map((item) => withDefaults(inner, item));
  if (!field.map) return withDefaults(inner, value);
  return Object.fromEntries(Object.entries(value as JsonObject).map(([key, item]) => [key, withDefaults(inner, item)]));
}

/** The default of a field in JSON; undefined if being left out means something. */
function defaultOf(field: protobuf.Field): JsonValue | undefined {
  if (field.map) return {};
  if (field.repeated) return [];
  if (field.hasPresence || field.resolvedType instanceof protobuf.Type) return undefined;
  if (field.resolvedType instanceof protobuf.Enum) return field.resolvedType.valuesById[0] ?? 0;
  if (field.type === "string" || field.type === "bytes") return "";
  if (field.type === "bool") return false;
  return field.type.endsWith("64") ? "0" : 0;
}
