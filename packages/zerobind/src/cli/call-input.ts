import type { JsonMessageType } from "../dynamic/message-type.ts";
import type { JsonObject } from "../dynamic/types.ts";
import type { FoundMethod } from "./call-method.ts";
import { JsonReader, checkJson, jsonValues, keepLargeIntegers } from "./json-reader.ts";
import type { JsonText } from "./json-reader.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

/** Where the messages of a call come from. */
export interface InputSource {
  /** The argument of the command; undefined or `-` for standard input. */
  readonly json: string | undefined;
  readonly stdin: Terminal["stdin"];
}

/** What to call a method with: one message, or a stream of them as they come in. Throws UsageError. */
export async function requestOf(
  { method, input }: FoundMethod,
  source: InputSource,
): Promise<JsonObject | AsyncIterable<JsonObject>> {
  const messages = messagesOf(input, source);
  if (method.kind === "client_stream" || method.kind === "bidi_stream") return messages;
  if (source.json === undefined && source.stdin.isTTY) return {};
  const all: JsonObject[] = [];
  for await (const message of messages) all.push(message);
  if (all.length > 1) throw new UsageError(`${method.name} takes one message, and there are ${all.length}`);
  return all[0] ?? {};
}

async function* messagesOf(type: JsonMessageType, { json, stdin }: InputSource): AsyncGenerator<JsonObject> {
  if (json !== undefined && json !== "-") {
    for (const value of jsonValues(json)) yield messageOf(type, value, "the JSON argument");
    return;
  }
  for await (const value of valuesOf(stdin)) yield messageOf(type, value, "standard input");
}

async function* valuesOf(stdin: Terminal["stdin"]): AsyncGenerator<JsonText> {
  const reader = new JsonReader();
  stdin.setEncoding("utf8");
  for await (const chunk of stdin) yield* reader.add(chunk as string);
  const last = reader.end();
  if (last) yield last;
}

function messageOf(type: JsonMessageType, value: JsonText, source: string): JsonObject {
  checkJson(value, source);
  try {
    return type.parse(keepLargeIntegers(value.text));
  } catch (error) {
    throw new UsageError(`${source}, line ${value.line}: ${(error as Error).message}`, { cause: error });
  }
}
