import { create, createFileRegistry, type DescFile, type FileRegistry } from "@bufbuild/protobuf";
import { Edition, FileDescriptorSetSchema, type FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { CodegenError, type Problem } from "./codegen-error.ts";
import { readServices } from "./read-services.ts";
import type { ServiceModel } from "./model.ts";
import { checkMessages } from "./message-checks.ts";
import { generateMessages, type GeneratedFile } from "./messages.ts";
import type { PluginOptions } from "./plugin-options.ts";
import { referencedFiles } from "./references.ts";
import { generateRpcFile } from "./rpc-file.ts";
import { sharedGoogleFiles } from "./shared-google.ts";
import { field, SourceInfo } from "./source-info.ts";

/** Which files code is made for. */
export interface Wanted {
  readonly names: readonly string[];
  /** Whether files whose messages those files use are wanted as well. */
  readonly withReferences: boolean;
}

/**
 * Generates the code of the wanted files, all of which are in the image with everything they import. The result is
 * sorted and depends on nothing else. Throws a CodegenError with all that is wrong.
 */
export function generateCode(
  image: readonly FileDescriptorProto[],
  wanted: Wanted,
  options: PluginOptions,
): GeneratedFile[] {
  const protos = image.filter((file) => wanted.names.includes(file.name));
  throwIfAny(protos.flatMap(checkEdition));
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [...image] }));
  const files = readFiles(registry, wanted, options);
  const contracts = files
    .filter(({ services }) => services.length > 0)
    .map(({ file, services }) => generateRpcFile(file, services, options));
  const messages = generateMessages(
    image,
    files.map(({ file }) => file),
    options,
  );
  return [...messages, ...contracts].sort((a, b) => (a.path < b.path ? -1 : 1));
}

interface ReadFile {
  readonly file: DescFile;
  readonly services: readonly ServiceModel[];
}

/** Reads and checks the wanted files and, if so wished, those that they use, and so on. */
function readFiles(registry: FileRegistry, { names, withReferences }: Wanted, options: PluginOptions): ReadFile[] {
  const problems: Problem[] = [];
  const read = new Map<string, ReadFile>();
  const open = names.flatMap((name) => registry.getFile(name) ?? []);
  for (let file = open.shift(); file !== undefined; file = open.shift()) {
    const { name } = file.proto;
    if (read.has(name) || (options.google === "runtime" && sharedGoogleFiles.has(name))) continue;
    problems.push(...checkEdition(file.proto), ...checkName(file.proto), ...checkMessages(file));
    const services = readServices(file, registry, problems);
    read.set(name, { file, services });
    if (withReferences) open.push(...referencedFiles(file, services, registry));
  }
  throwIfAny(problems);
  return [...read.values()];
}

function throwIfAny(problems: readonly Problem[]): void {
  if (problems.length > 0) throw new CodegenError(problems);
}

/** The message code ignores the features of an edition and would write other bytes than its peers. */
function checkEdition(file: FileDescriptorProto): Problem[] {
  if (file.syntax !== "editions") return [];
  const edition = Edition[file.edition]?.replace("EDITION_", "") ?? String(file.edition);
  const message =
    `edition ${edition} is not supported: its features (presence, encoding) would be ignored by the message code, ` +
    'and the bytes would be wrong; write `syntax = "proto3";` instead.';
  return [new SourceInfo(file).problem(message, [field.file.edition], [field.file.syntax])];
}

/** The names of files stand in comments and import specifiers of generated code. */
function checkName({ name }: FileDescriptorProto): Problem[] {
  if (!/[\p{Cc}"'`\\\u2028\u2029]/u.test(name)) return [];
  return [{ file: name, message: "has a quote, a backslash or a control character in its name; rename the file." }];
}
