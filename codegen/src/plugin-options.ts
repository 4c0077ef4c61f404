import { posix } from "node:path";
import { CodegenError } from "./codegen-error.ts";

/** How relative imports between generated files end. */
export type ImportExtension = "js" | "ts" | "none";

/** What the parameter of the plugin says. */
export interface PluginOptions {
  /** The module that generated code gets its types from: a package, or a path relative to the output folder. */
  readonly runtime: string;
  readonly importExtension: ImportExtension;
  /** Whether google's messages come from the runtime or from files generated beside the others, as in core itself. */
  readonly google: "runtime" | "local";
}

export const defaultOptions: PluginOptions = { runtime: "zerobind", importExtension: "js", google: "runtime" };

/** Reads `runtime=zerobind,import_extension=js`. Throws a CodegenError that names the options there are. */
export function parseParameter(parameter: string): PluginOptions {
  const options = { ...defaultOptions } as { -readonly [K in keyof PluginOptions]: PluginOptions[K] };
  for (const part of parameter.split(",").filter((text) => text.trim() !== "")) {
    const [key = "", value = ""] = part.trim().split(/=(.*)/s);
    if (key === "runtime" && value !== "") options.runtime = value;
    else if (key === "import_extension" && (value === "js" || value === "ts" || value === "none"))
      options.importExtension = value;
    else if (key === "google" && (value === "runtime" || value === "local")) options.google = value;
    else {
      const known = "runtime=<module>, import_extension=js|ts|none and google=runtime|local";
      throw new CodegenError([
        { message: `protoc-gen-zerobind does not know the option "${part.trim()}"; there are ${known}.` },
      ]);
    }
  }
  return options;
}

/** What generated code finds in which module of the runtime. */
export type RuntimeModule = "index" | "contract" | "wire" | "google";

/** Makes the import specifiers of one generated file. */
export class Specifiers {
  readonly #folder: string;
  readonly #options: PluginOptions;

  /** `file` is the path of the importing file, from the output folder. */
  constructor(file: string, options: PluginOptions) {
    this.#folder = posix.dirname(file);
    this.#options = options;
  }

  /** The specifier of a part of the runtime. A package answers for `contract` at its root. */
  runtime(module: RuntimeModule): string {
    const { runtime } = this.#options;
    if (runtime.startsWith(".")) return this.relative(posix.join(runtime, module));
    return module === "index" || module === "contract" ? runtime : `${runtime}/${module}`;
  }

  /** The specifier of another file, given by its path from the output folder without extension. */
  relative(target: string): string {
    const { importExtension } = this.#options;
    const path = posix.relative(this.#folder, target) + (importExtension === "none" ? "" : `.${importExtension}`);
    return path.startsWith("../") ? path : `./${path}`;
  }
}
