import type { ErrorDetail, Metadata, RpcError } from "@zerobind/core";
import type { ProtoTypes } from "../dynamic/proto-types.ts";
import { printable } from "./terminal.ts";

/** An error of a call for people: code and message, and below it each detail as JSON. */
export function describeError(error: RpcError, types: ProtoTypes): string {
  const lines = [
    `${error.codeName}: ${error.message}`,
    ...error.details.map((detail) => describeDetail(detail, types)),
  ];
  return lines.map((line) => printable(line).replaceAll("\n", "\n  ")).join("\n  ");
}

function describeDetail({ typeUrl, value }: ErrorDetail, types: ProtoTypes): string {
  const name = typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
  const type = types.message(name);
  const size = `${value.byteLength} byte${value.byteLength === 1 ? "" : "s"}`;
  if (type === undefined) return `${name} (${size} of a type that is in none of the .proto files)`;
  try {
    return `${name} ${JSON.stringify(type.unbox(type.decode(value)))}`;
  } catch (cause) {
    return `${name} (${size} that cannot be decoded: ${(cause as Error).message})`;
  }
}

/** A block of metadata, one line for each value; bytes are base64. */
export function describeMetadata(title: string, block: Metadata): string {
  const lines = Array.from(
    block,
    ([key, value]) => `  ${key}: ${typeof value === "string" ? value : Buffer.from(value).toString("base64")}`,
  );
  return [`${title}:`, ...lines].map(printable).join("\n");
}
