import type { Contract } from "@zerobind/core";
import type { LoadOptions } from "./proto-types.ts";
import type { DynamicClient, DynamicHandler, DynamicPatterns } from "./types.ts";

/** How `loadContract` reads `.proto` files. */
export type LoadContractOptions = LoadOptions;

/**
 * Makes a contract from a `.proto` file when the program runs, without generated code: to call with
 * `channel.client(contract)` or to serve with `host.serve(contract, handler)`. Messages are plain objects in protobuf's
 * JSON form (see `JsonObject`); options of methods count as they do in generated code.
 *
 * `protoFiles` are relative to the current folder. Imports are found from there too: from the folder that the file's
 * package says, its own, and those above; `options.protoPaths` names other folders instead. The framework's options,
 * `google/protobuf` and `google/rpc` need not be there. `serviceName` is the full name (`examples.greeter.v1.Greeter`),
 * or the last part of it if that is clear.
 *
 * Rejects with an Error that tells file and line: for files that are missing or do not parse, and for a service that is
 * not in them. A message that does not fit its type fails its call with INTERNAL, and the name of the field.
 *
 * Its events and pipelines are those of the `.proto`, too. Whoever knows the methods may say so:
 * `loadContract<GreeterClient, GreeterHandler>(…)`; nothing checks it.
 */
export async function loadContract<
  Client = DynamicClient,
  Handler extends object = DynamicHandler,
  Patterns = DynamicPatterns,
>(
  protoFiles: string | readonly string[],
  serviceName: string,
  options: LoadContractOptions = {},
): Promise<Contract<Client, Handler, Patterns>> {
  // Parser and JSON codec are for those who ask for them.
  const { ProtoTypes } = await import("./proto-types.ts");
  const types = await ProtoTypes.load(protoFiles, options);
  return types.contract(serviceName) as Contract as Contract<Client, Handler, Patterns>;
}
