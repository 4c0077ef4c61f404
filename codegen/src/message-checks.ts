import type { DescEnum, DescFile, DescMessage } from "@bufbuild/protobuf";
import { FieldDescriptorProto_Type } from "@bufbuild/protobuf/wkt";
import type { Problem } from "./codegen-error.ts";
import { inheritedProperties, isIdentifier, propertyName, reservedWords, typeName } from "./names.ts";
import { field, SourceInfo, type Path } from "./source-info.ts";

/** Types and helpers that ts-proto's code uses, and the names of its parameters and variables, which would hide a message. */
const usedByMessageCode: ReadonlySet<string> = new Set(
  (
    "AnyValueWrapperFns BigInt BinaryReader BinaryWriter Builtin DeepPartial FieldMaskWrapperFns ListValueWrapperFns Map MessageFns " +
    "MessageInit StructWrapperFns Uint8Array acc arr array b64 base base64FromBytes bin byte bytesFromBase64 date e floatToJson " +
    "fraction fromJsonTimestamp fromTimestamp i input isObject isSet k key len length longToNumber m match message millis nanos " +
    "noBytes obj padded previousRecursionDepth reader result seconds struct t tag timestampToJson toTimestamp v value values writer"
  ).split(" "),
);
const usedByMessageCodePattern = /^(createBase\w*|[a-z]\w*(From|To)JSON|entry\d*|end\d*)$/;

/**
 * Finds what ts-proto would turn into code that does not compile or that fails when it runs. Numbers are all that
 * goes over the wire, so that the names can be changed without harm.
 */
export function checkMessages(file: DescFile): Problem[] {
  const check = new MessageCheck(file);
  file.messages.forEach((message, index) => check.message(message, [field.file.message, index]));
  file.enums.forEach((type, index) => check.enum(type, [field.file.enum, index]));
  return check.problems;
}

const renaming = "rename it, which changes nothing on the wire";

class MessageCheck {
  readonly problems: Problem[] = [];
  readonly #source: SourceInfo;
  readonly #types = new Map<string, string>();
  readonly #usesTimestamp: boolean;

  constructor(file: DescFile) {
    this.#source = new SourceInfo(file.proto);
    this.#usesTimestamp = file.proto.dependency.includes("google/protobuf/timestamp.proto");
  }

  message(message: DescMessage, path: Path): void {
    this.#typeName(message, path);
    const properties = new Map<string, string>();
    message.oneofs.forEach((oneof, index) =>
      this.#property(properties, message, oneof.name, [...path, field.message.oneof, index]),
    );
    message.fields.forEach((member, index) => {
      const place = [...path, field.message.field, index];
      if (member.proto.type === FieldDescriptorProto_Type.GROUP) {
        this.#add(
          `the group ${message.name}.${member.name} is not supported by the message code; make it a message and a field.`,
          place,
        );
      }
      // Fields of a oneof are values of `$case`, not properties, but must not inherit a value in fromJSON either.
      this.#property(member.oneof === undefined ? properties : new Map<string, string>(), message, member.name, place);
    });
    message.nestedMessages.forEach((nested) => {
      const index = message.proto.nestedType.indexOf(nested.proto);
      this.message(nested, [...path, field.message.message, index]);
    });
    message.nestedEnums.forEach((nested, index) => this.enum(nested, [...path, field.message.enum, index]));
  }

  enum(type: DescEnum, path: Path): void {
    this.#typeName(type, path);
    type.values.forEach(({ name }, index) => {
      const taken = reservedWords.has(name) || name === "__proto__" || name === "UNRECOGNIZED";
      if (taken)
        this.#add(`the enum value ${type.name}.${name} has a name that generated code cannot use; ${renaming}.`, [
          ...path,
          field.enum.value,
          index,
        ]);
    });
  }

  #typeName(type: DescMessage | DescEnum, path: Path): void {
    const name = typeName(type);
    const what = `the ${type.kind} ${type.name}`;
    const used =
      usedByMessageCode.has(name) ||
      usedByMessageCodePattern.test(name) ||
      (name === "Timestamp" && this.#usesTimestamp);
    const taken = used || reservedWords.has(name) || !isIdentifier(name);
    if (taken)
      this.#add(`${what} would be \`${name}\` in generated code, which cannot use that name for it; rename it.`, path);
    const other = this.#types.get(name);
    if (other !== undefined)
      this.#add(`${what} and ${other} would both be \`${name}\` in generated code; rename one of them.`, path);
    this.#types.set(name, what);
  }

  #property(seen: Map<string, string>, message: DescMessage, protoName: string, path: Path): void {
    const name = propertyName(protoName);
    const what = `${message.name}.${protoName}`;
    if (inheritedProperties.has(name)) {
      this.#add(
        `the field ${what} would be \`${name}\` in generated code, which every object inherits, so that an unset field could not be told; ${renaming}.`,
        path,
      );
    }
    if (name === "")
      this.#add(`the field ${what} has no letter or digit that could name it in generated code; ${renaming}.`, path);
    const other = seen.get(name);
    if (other !== undefined)
      this.#add(`${other} and ${what} would both be \`${name}\` in generated code; ${renaming}.`, path);
    seen.set(name, what);
  }

  #add(message: string, path: Path): void {
    this.problems.push(this.#source.problem(message, [...path, field.name], path));
  }
}
