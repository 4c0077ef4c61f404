import { create, toBinary, type DescFile, type DescMessage } from "@bufbuild/protobuf";
import { CodeGeneratorRequestSchema, type FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import type { PluginOptions } from "./plugin-options.ts";
import { Specifiers } from "./plugin-options.ts";
import { sharedGoogleFiles } from "./shared-google.ts";
import { openTsProto } from "./ts-proto.ts";

/** `a/b.proto` → `a/b.pb`: where the messages of a file are, without extension. */
export function messagesPath(protoName: string): string {
  return `${protoName.replace(/\.proto$/, "")}.pb`;
}

/** A file of generated code, its path relative to the output folder. */
export interface GeneratedFile {
  readonly path: string;
  readonly content: string;
}

/** Generates `x.pb.ts` for each of the files: ts-proto's code, joined to the runtime. */
export function generateMessages(
  image: readonly FileDescriptorProto[],
  files: readonly DescFile[],
  options: PluginOptions,
): GeneratedFile[] {
  const request = create(CodeGeneratorRequestSchema, { protoFile: [...image] });
  const suffix = options.importExtension === "none" ? "" : `.${options.importExtension}`;
  const imports =
    options.google === "local" ? [] : [...sharedGoogleFiles].map((name) => `M${name}=${googlePlaceholder}`);
  const tsProto = openTsProto(toBinary(CodeGeneratorRequestSchema, request), [`importSuffix=${suffix}`, ...imports]);
  const byName = new Map(tsProto.files.map((file) => [file.name, file]));
  return files.map((file) => {
    const path = messagesPath(file.proto.name);
    const source = byName.get(file.proto.name);
    if (source === undefined) throw new Error(`${file.proto.name} is not in the image`);
    return { path: `${path}.ts`, content: joinToRuntime(tsProto.print(source), file, new Specifiers(path, options)) };
  });
}

/** Stands in ts-proto's output for the module of google's messages, whose specifier differs from file to file. */
const googlePlaceholder = "@runtime/google";

const partialType = /\ntype DeepPartial<T> = [^]*?;\n(?=\n|$)/;
const builtinType = /\ntype Builtin = [^\n]*;\n/;

/**
 * Makes ts-proto's code use the runtime: its reader and writer, so that a process has one of each, and its
 * `MessageInit` in the place of `DeepPartial`, so that message types fit `MessageType` under all strict flags.
 */
function joinToRuntime(code: string, file: DescFile, specifiers: Specifiers): string {
  const usesPartial = /^  create\(base\?: DeepPartial</m.test(code);
  if (usesPartial && !partialType.test(code))
    throw new Error("ts-proto declares DeepPartial in a form that is not known here");
  const init = usesPartial ? `\nimport type { MessageInit } from "${specifiers.runtime("contract")}";` : "";
  const joined = code
    .replace(builtinType, "")
    .replace(partialType, "")
    .replace(/\bDeepPartial</g, "MessageInit<")
    .replace(
      /(?<=^(?:import .*|\}) from )"@bufbuild\/protobuf\/wire";$/m,
      () => `"${specifiers.runtime("wire")}";${init}`,
    )
    .replace(
      new RegExp(`(?<=^(?:import .*|\\}) from )"${googlePlaceholder}";$`, "m"),
      () => `"${specifiers.runtime("google")}";`,
    );
  const safe = sharedBytes(defineKeys(validTimestamps(joined)));
  return needsNoCheck(file) ? safe.replace("/* eslint-disable */", noCheck) : safe;
}

/** The nanos of a Timestamp count forward, also before 1970, where ts-proto makes them negative and the message invalid. */
function validTimestamps(code: string): string {
  return code
    .replaceAll("BigInt(Math.trunc(date.getTime() / 1_000))", "BigInt(Math.floor(date.getTime() / 1_000))")
    .replaceAll("(date.getTime() % 1_000) * 1_000_000", "(((date.getTime() % 1_000) + 1_000) % 1_000) * 1_000_000");
}

/**
 * Keys of maps and of Struct come from the wire. Where ts-proto assigns them to plain objects, "__proto__" would give
 * the object a prototype of the sender's choice; defined as properties they are keys like all others.
 */
function defineKeys(code: string): string {
  return code.replace(
    /^( +)(obj(?:\.\w+|\[".*"\])|object)\[(k|key)\] = (.*);$/gm,
    (_, indent: string, object: string, key: string, value: string) =>
      `${indent}globalThis.Object.defineProperty(${object}, ${key}, {\n${indent}  value: ${value},\n${indent}  configurable: true,\n` +
      `${indent}  enumerable: true,\n${indent}  writable: true,\n${indent}});`,
  );
}

/** An array of its own for each empty `bytes` field would be the most expensive part of most messages. */
function sharedBytes(code: string): string {
  const shared = code.replaceAll("new Uint8Array(0)", "noBytes");
  return shared === code
    ? code
    : shared.replace(/(?<=^import \{ [^}]*)(?= \} from ".*\bwire(?:\.\w+)?";$)/m, ", noBytes");
}

const noCheck = `/* eslint-disable */
// @ts-nocheck ts-proto does not type assignments of the lists that ListValue and FieldMask stand for.`;

/**
 * Whether the file has a field that ts-proto turns into a plain list of a type. In such places its code is right
 * when it runs, but does not pass the type check: it mixes up readonly and undefined. The exported types are fine.
 */
function needsNoCheck(file: DescFile): boolean {
  const unchecked = (message: DescMessage | undefined): boolean =>
    message?.typeName === "google.protobuf.ListValue" || message?.typeName === "google.protobuf.FieldMask";
  const inMessage = (message: DescMessage): boolean =>
    message.fields.some((field) => unchecked(field.message)) || message.nestedMessages.some(inMessage);
  return file.messages.some(inMessage);
}
