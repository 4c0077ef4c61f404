import protobuf from "protobufjs";
import { ProtoError, lineOf, literal, problemAt } from "./proto-error.ts";
import { ProtoFiles } from "./proto-files.ts";
import type { ProtoFile } from "./proto-files.ts";

/** Parses `.proto` files and all they import. Throws ProtoError for what is not found and what does not parse. */
export async function loadRoot(protoFiles: readonly string[], protoPaths: readonly string[]): Promise<protobuf.Root> {
  const files = new ProtoFiles(protoPaths);
  const root = new protobuf.Root();
  const loaded = new Map<string, ProtoFile>();
  const open: ProtoFile[] = [];
  for (const path of protoFiles) open.push(await files.named(path));
  for (let file = open.shift(); file !== undefined; file = open.shift()) {
    if (loaded.has(file.key)) continue;
    loaded.set(file.key, file);
    for (const name of parse(file, root)) open.push(...(await importOf(file, name, { root, files, loaded })));
  }
  await addGoogleTypes(root, files);
  resolveTypes(root, new Map(Array.from(loaded.values(), ({ shown, text }) => [shown, text])));
  return root;
}

/** Adds what a file defines to the root, and gives the names of what it imports. */
function parse({ shown, text }: ProtoFile, root: protobuf.Root): readonly string[] {
  // The parser notes this name in what it makes of the file, which error messages need later.
  const parser = protobuf.parse as unknown as { filename: string | null };
  parser.filename = shown;
  try {
    // Fields keep their names, so that two of them never fall together.
    const { imports = [], weakImports = [] } = protobuf.parse(text, root, { keepCase: true });
    return [...imports, ...weakImports];
  } catch (error) {
    throw parseError(shown, error as Error);
  } finally {
    parser.filename = null;
  }
}

function parseError(file: string, { message }: Error): ProtoError {
  const [, what = message, line] = /^([^]*) \((?:.*, )?line (\d+)\)$/.exec(message) ?? [];
  const [, kind = "word", token, wanted] = /^illegal (?:(\w[\w ]*) )?'([^]*?)'(?:, '(.*)' expected)?$/.exec(what) ?? [];
  const at = line === undefined ? undefined : Number(line);
  if (token === undefined) return problemAt(file, at, what);
  if (token === "null") return problemAt(file, at, "the file ends in the middle of something");
  const found = JSON.stringify(token);
  if (wanted !== undefined) return problemAt(file, at, `found ${found} where ${JSON.stringify(wanted)} should be`);
  return problemAt(file, at, `${found} is no ${kind === "token" ? "word" : kind} that may stand here`);
}

interface Loading {
  readonly root: protobuf.Root;
  readonly files: ProtoFiles;
  readonly loaded: Map<string, ProtoFile>;
}

/** The file that is imported; nothing if the parser has it built in. */
async function importOf(importer: ProtoFile, name: string, { root, files, loaded }: Loading): Promise<ProtoFile[]> {
  const builtIn = protobuf.common.get(name);
  if (builtIn !== null) {
    if (!loaded.has(name)) {
      loaded.set(name, { key: name, shown: name, text: "" });
      root.addJSON(builtIn.nested ?? {});
    }
    return [];
  }
  const file = await files.imported(name);
  if (file !== undefined) return [file];
  const line = lineOf(importer.text, new RegExp(`import[^;]*["']${literal(name)}["']`));
  const looked = `it was looked for in ${files.looked}`;
  throw problemAt(
    importer.shown,
    line,
    `imports "${name}", which is not found; ${looked}. Say which folder it is relative to (protoPaths, or -I).`,
  );
}

/** What an Any or the details of an error may have in them is known even where no file imports it. */
async function addGoogleTypes(root: protobuf.Root, files: ProtoFiles): Promise<void> {
  for (const name of ["any", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers"]) {
    const defined = protobuf.common.get(`google/protobuf/${name}.proto`)?.nested;
    if (defined && root.lookup(`.google.protobuf.${firstTypes[name] ?? ""}`) === null) root.addJSON(defined);
  }
  if (root.lookup(".google.rpc.ErrorInfo") !== null) return;
  const details = await files.imported("google/rpc/error_details.proto");
  if (details !== undefined) parse(details, root);
}

/** One type of each file that the parser has built in. */
const firstTypes: Readonly<Record<string, string>> = {
  any: "Any",
  duration: "Duration",
  empty: "Empty",
  field_mask: "FieldMask",
  struct: "Struct",
  timestamp: "Timestamp",
  wrappers: "StringValue",
};

/** Makes names into types. The parser's own messages do not tell the file, so that it is looked up here. */
function resolveTypes(root: protobuf.Root, texts: ReadonlyMap<string, string>): void {
  for (const service of servicesOf(root)) {
    for (const method of service.methodsArray) {
      for (const name of [method.requestType, method.responseType]) {
        if (service.lookup(name, [protobuf.Type]) !== null) continue;
        throw unknownType(service.filename, name, `the method ${bare(service.fullName)}/${method.name}`, texts);
      }
    }
  }
  try {
    root.resolveAll();
  } catch (error) {
    const { message } = error as Error;
    const [, name, owner = ""] = /^no such Type or Enum '(.*)' in Type (\S+)$/.exec(message) ?? [];
    if (name === undefined) throw new ProtoError(message, { cause: error });
    throw unknownType(root.lookup(owner)?.filename, name, `the message ${bare(owner)}`, texts);
  }
}

function unknownType(
  file: string | null | undefined,
  name: string,
  owner: string,
  texts: ReadonlyMap<string, string>,
): ProtoError {
  const shown = file ?? "";
  const line = lineOf(texts.get(shown) ?? "", new RegExp(`(?<![\\w."])${literal(name)}(?![\\w."])`));
  return problemAt(shown, line, `${owner} uses the type ${name}, which is not defined here nor in what is imported`);
}

/** All services of all files, by name. */
export function servicesOf(space: protobuf.NamespaceBase): protobuf.Service[] {
  const found = space.nestedArray.flatMap((inner) => {
    if (inner instanceof protobuf.Service) return [inner];
    return inner instanceof protobuf.Namespace && !(inner instanceof protobuf.Type) ? servicesOf(inner) : [];
  });
  return found.sort((a, b) => (a.fullName < b.fullName ? -1 : 1));
}

/** A full name as protos write it, without the parser's dot in front. */
export function bare(fullName: string): string {
  return fullName.replace(/^\./, "");
}
