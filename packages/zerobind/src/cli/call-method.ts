import type { MethodDescriptor } from "@zerobind/core";
import type { JsonMessageType } from "../dynamic/message-type.ts";
import { suggestion } from "../dynamic/proto-error.ts";
import type { ProtoTypes } from "../dynamic/proto-types.ts";
import type { DynamicContract } from "../dynamic/types.ts";
import { UsageError } from "./usage-error.ts";

/** A method, the contract it is of, and its messages. */
export interface FoundMethod {
  readonly contract: DynamicContract;
  readonly method: MethodDescriptor;
  readonly input: JsonMessageType;
  readonly output: JsonMessageType;
}

/** Finds `package.Service/Method`, or `package.Service.Method`. Throws UsageError, or ProtoError for the service. */
export function findMethod(types: ProtoTypes, path: string): FoundMethod {
  const split = path.includes("/") ? path.lastIndexOf("/") : path.lastIndexOf(".");
  const [service, name] = [path.slice(0, Math.max(split, 0)).replace(/^\//, ""), path.slice(split + 1)];
  if (service === "" || name === "") {
    const known = types.services.length > 0 ? ` The services are: ${types.services.join(", ")}.` : "";
    throw new UsageError(`"${path}" is no method; write package.Service/Method.${known}`);
  }
  const contract = types.contract(service);
  const method = contract.methods.find((each) => each.name === name);
  if (method === undefined) throw new UsageError(unknownMethod(contract, name));
  const pattern = method.options?.pattern?.case ?? "call";
  if (pattern !== "call" && pattern !== "one_way")
    throw new UsageError(`${contract.typeName}/${name} is of the pattern ${pattern} and cannot be called`);
  const [input, output] = [types.message(method.input.$type), types.message(method.output.$type)];
  if (input === undefined || output === undefined) throw new Error(`${path} has messages that are not there`);
  return { contract, method, input, output };
}

function unknownMethod({ typeName, methods }: DynamicContract, name: string): string {
  const names = methods.map((method) => method.name);
  const list = names.length > 0 ? `Its methods are: ${names.join(", ")}.` : "It has no methods.";
  return `${typeName} has no method "${name}".${suggestion(name, names)} ${list}`;
}
