import type { AnyMessageType, OperationOptions, OperationPattern } from "@zerobind/core";
import { checkTopicText, topicFields } from "@zerobind/codegen/parts";
import protobuf from "protobufjs";
import { isLocalName, localNameOf } from "./local-name.ts";
import { problemAt } from "./proto-error.ts";
import { bare } from "./proto-root.ts";

/** A value of an option as the parser leaves it. */
type Parsed = string | number | boolean | undefined | ParsedObject | Parsed[];
interface ParsedObject {
  readonly [name: string]: Parsed;
}

/** Finds a message type by its full name. */
export type FindMessage = (name: string) => AnyMessageType | undefined;

/** What the options of a method say, with its name on clients and handlers. Throws ProtoError. */
export function readMethodOptions(
  method: protobuf.Method,
  find: FindMessage,
): { localName: string; options: OperationOptions } {
  const operation = objectIn(optionOf(method, "zerobind.v1.operation"));
  const problem = (what: string): Error =>
    problemAt(
      method.parent?.filename ?? "",
      undefined,
      `the option (zerobind.v1.operation) of ${bare(method.parent?.fullName ?? "")}/${method.name}: ${what}`,
    );
  checkNames(method, operation, problem);
  const localName = text(operation["local_name"]);
  if (localName !== "" && !isLocalName(localName))
    throw problem(`local_name "${localName}" is no name that a client or handler can have`);
  const pattern = patternOf(operation, method, problem);
  if (pattern !== undefined && (method.requestStream || method.responseStream))
    throw problem(`${pattern.case} is for methods that do not stream`);
  const timeoutMs = timeoutOf(operation);
  if (timeoutMs !== undefined && !(timeoutMs > 0)) throw problem("timeout must be positive");
  const faults = listOf(operation["faults"]).map((name) => {
    const type = find(name);
    if (type === undefined) throw problem(`faults names ${name}, which is no message that is defined here`);
    return type;
  });
  const requires = rolesIn(operation["requires"], problem);
  const idempotency = idempotencies[text(optionOf(method, "idempotency_level"))];
  return {
    localName: localName === "" ? localNameOf(method.name) : localName,
    options: {
      ...(pattern && { pattern }),
      ...(idempotency && { idempotency }),
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(requires.length > 0 && { requires }),
      ...(faults.length > 0 && { faults }),
      ...(optionOf(method, "deprecated") === true && { deprecated: true }),
    },
  };
}

const fields = new Set("one_way event pipeline ticket timeout requires faults local_name".split(" "));

/** The parser takes any name of an option, and one that is misspelt must not leave a method open that requires something. */
function checkNames(method: protobuf.Method, operation: ParsedObject, problem: (what: string) => Error): void {
  const unknown = Object.keys(operation).find((name) => !fields.has(name));
  if (unknown !== undefined) throw problem(`there is no ${unknown}; there are ${[...fields].join(", ")}`);
  for (const option of (method.parsedOptions ?? []) as ParsedObject[])
    for (const name of Object.keys(option))
      if (/^\(\.?zerobind\.v1\./.test(name) && bare(name.slice(1, -1)) !== "zerobind.v1.operation")
        throw problem(`${name} is no option of methods; is (zerobind.v1.operation) meant?`);
}

/** The roles of `requires`; what is none must not be passed over. */
function rolesIn(value: Parsed, problem: (what: string) => Error): string[] {
  if (value === undefined) return [];
  const roles = Array.isArray(value) ? value : [value];
  if (roles.every((role) => typeof role === "string" && role !== "")) return roles as string[];
  throw problem("requires must be roles: texts that are not empty");
}

/** The service that the server calls back, from the options of the service. */
export function callbackOf(service: protobuf.Service): string | undefined {
  const name = text(objectIn(optionOf(service, "zerobind.v1.service"))["callback"]);
  return name === "" ? undefined : bare(name);
}

const idempotencies: Readonly<Record<string, "no_side_effects" | "idempotent">> = Object.assign(
  Object.create(null) as Record<string, "no_side_effects" | "idempotent">,
  { NO_SIDE_EFFECTS: "no_side_effects", IDEMPOTENT: "idempotent" },
);

/** The value of an option. Those with a dot in their name are extensions, which may be named from within their package. */
function optionOf(object: protobuf.ReflectionObject, wanted: string): Parsed {
  const parsed = (object.parsedOptions ?? []) as ParsedObject[];
  for (const option of parsed) {
    for (const [key, value] of Object.entries(option)) {
      if (key === wanted) return value;
      const name = /^\((.*)\)$/.exec(key)?.[1];
      if (name === undefined) continue;
      const found = bare(name) === wanted || object.parent?.lookup(name)?.fullName === `.${wanted}`;
      if (found) return value;
    }
  }
  return undefined;
}

function patternOf(
  operation: ParsedObject,
  method: protobuf.Method,
  problem: (what: string) => Error,
): OperationPattern | undefined {
  for (const name of ["one_way", "pipeline", "ticket"] as const)
    if (operation[name] !== undefined) return { case: name };
  if (operation["event"] === undefined) return undefined;
  const topic = text(objectIn(operation["event"])["topic"]);
  const wrong = checkTopicText(topic);
  if (wrong !== undefined) throw problem(wrong);
  return {
    case: "event",
    topic,
    fields: topicFields(topic).map((name) => topicProperty(method, topic, name, problem)),
  };
}

/** The property that a field in a topic has in JSON. */
function topicProperty(
  { resolvedRequestType: type }: protobuf.Method,
  topic: string,
  name: string,
  problem: (what: string) => Error,
): string {
  const where = `the topic ${JSON.stringify(topic)} names the field "${name}", which`;
  const found = type?.fieldsArray.find((field) => field.name === name);
  if (found === undefined) throw problem(`${where} ${bare(type?.fullName ?? "")} does not have`);
  const plain = found.resolvedType === null || found.resolvedType instanceof protobuf.Enum;
  if (!plain || found.type === "bytes" || found.repeated || found.map || (found.partOf && !isOptional(found)))
    throw problem(`${where} is no single string, number, bool or enum of its own`);
  return found.jsonName;
}

/** Whether a field is `optional`, which the parser says by a oneof of its own. */
function isOptional({ partOf }: protobuf.Field): boolean {
  return partOf?.isProto3Optional ?? false;
}

function timeoutOf({ timeout }: ParsedObject): number | undefined {
  if (timeout === undefined) return undefined;
  const { seconds, nanos } = objectIn(timeout);
  return Number(seconds ?? 0) * 1000 + Math.ceil(Number(nanos ?? 0) / 1_000_000);
}

function objectIn(value: Parsed): ParsedObject {
  return typeof value === "object" && !Array.isArray(value) ? value : {};
}

function listOf(value: Parsed): string[] {
  return (Array.isArray(value) ? value : [value]).map(text).filter((item) => item !== "");
}

function text(value: Parsed): string {
  return typeof value === "string" ? value : "";
}
