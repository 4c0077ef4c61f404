import { createRequire } from "node:module";

/**
 * The parts of ts-proto that its own plugin is made of. They are called in this process and per file, not through
 * `protoc-gen-ts_proto`, because that one shares its import symbols between the files of a request: the names of
 * one file would then change the text of another.
 */
interface TsProto {
  readonly options: object;
  readonly files: readonly { readonly name: string }[];
  /** The code of one file, before formatting options are applied. */
  print(file: { readonly name: string }): string;
}

const settings = [
  "annotateFilesWithVersion=false",
  "emitImportedFiles=false",
  "enumsAsLiterals=true",
  "env=both",
  "esModuleInterop=true",
  "exportCommonSymbols=false",
  "fileSuffix=.pb",
  "forceLong=bigint",
  "oneof=unions-value",
  "outputServices=none",
  "outputTypeAnnotations=static-only",
  "useExactTypes=false",
  "useMapType=true",
];

/* eslint-disable @typescript-eslint/no-explicit-any -- ts-proto's inner modules are not typed for use from outside */
const require = createRequire(import.meta.url);
const load = (module: string): any => require(`ts-proto/build/src/${module}.js`);
/* eslint-enable @typescript-eslint/no-explicit-any */

/** Opens ts-proto on a request, given in bytes. `parameters` are added to our own settings. */
export function openTsProto(request: Uint8Array, parameters: readonly string[]): TsProto {
  const { generateFile, makeUtils } = load("main");
  const { optionsFromParameter, getTsPoetOpts } = load("options");
  const { createTypeMap } = load("types");
  const { createFileContext } = load("context");
  const { CodeGeneratorRequest } = createRequire(require.resolve("ts-proto/build/src/plugin.js"))(
    "ts-proto-descriptors",
  );

  const decoded = CodeGeneratorRequest.decode(request);
  const options = optionsFromParameter([...settings, ...parameters].join(","));
  const typeMap = createTypeMap(decoded, options);
  return {
    options,
    files: decoded.protoFile,
    print(file) {
      const context = { typeMap, options, utils: makeUtils(options), currentFile: createFileContext(file) };
      const [path, code] = generateFile(context, file);
      return code.toString({ ...getTsPoetOpts(options, "", "", file.name), path }) as string;
    },
  };
}
