export { CodegenError, type Problem } from "./codegen-error.ts";
export { generate, type GenerateOptions, type GenerateResult } from "./generate.ts";
export { pluginMain, runPlugin } from "./plugin.ts";
export type { ImportExtension } from "./plugin-options.ts";
