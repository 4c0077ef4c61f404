import {
  getOption,
  hasOption,
  type DescMessage,
  type DescMethod,
  type DescService,
  type FileRegistry,
} from "@bufbuild/protobuf";
import type { Problem } from "./codegen-error.ts";
import type { OperationModel, Pattern } from "./model.ts";
import { field, type Path, type SourceInfo } from "./source-info.ts";
import { topicProblem } from "./topic.ts";

/** The number of our extensions of MethodOptions and ServiceOptions. */
const extensionNumber = 51320;

/** What reading a part of a file needs beside the part. */
export interface Reading {
  readonly registry: FileRegistry;
  readonly source: SourceInfo;
  readonly problems: Problem[];
}

/** The message of the extension as @bufbuild/protobuf reads it, without generated code for it. */
interface RawOperation {
  readonly pattern:
    { case: "oneWay" | "pipeline" | "ticket" | undefined } | { case: "event"; value: { topic: string } };
  readonly timeout?: { seconds: bigint; nanos: number };
  readonly requires: string[];
  readonly faults: string[];
  readonly localName: string;
}

/** The path of the option inside a method, for the places of problems. */
export function operationPath(method: Path): Path {
  return [...method, field.method.options, extensionNumber];
}

/** Reads and checks the option. Problems are added to `reading.problems`. */
export function readOperation(method: DescMethod, path: Path, reading: Reading): OperationModel {
  const raw = readExtension("zerobind.v1.operation", method, reading) as RawOperation | undefined;
  if (raw === undefined)
    return { pattern: { case: "call" }, timeoutMs: undefined, requires: [], faults: [], localName: "" };
  const problem = (message: string): void => {
    reading.problems.push(
      reading.source.problem(`${method.parent.name}.${method.name}: ${message}`, operationPath(path), path),
    );
  };
  const pattern = readPattern(raw);
  checkPattern(method, pattern, problem);
  if (pattern.case === "one_way" || pattern.case === "event") checkUnanswered(method, raw, pattern.case, problem);
  for (const role of raw.requires)
    if (role === "") problem("requires names an empty role; write the name of a role, or leave requires out.");
  return {
    pattern,
    timeoutMs: readTimeout(raw, problem),
    requires: raw.requires,
    faults: raw.faults.flatMap((name) => readFault(name, reading, problem)),
    localName: raw.localName,
  };
}

/** Reads and checks the callback contract of a service. A service may name itself: both ends then serve the same. */
export function readCallback(service: DescService, path: Path, reading: Reading): string | undefined {
  const raw = readExtension("zerobind.v1.service", service, reading) as { callback: string } | undefined;
  if (raw === undefined || raw.callback === "") return undefined;
  if (reading.registry.getService(raw.callback) === undefined) {
    const message = `${service.name}: callback names the service ${raw.callback}, which does not exist here; write its full name and import its file.`;
    reading.problems.push(reading.source.problem(message, [...path, field.service.options, extensionNumber], path));
  }
  return raw.callback;
}

/** The extension is looked up by name: whoever uses it has imported its file, so that the registry knows it. */
function readExtension(name: string, desc: DescMethod | DescService, { registry }: Reading): unknown {
  const extension = registry.getExtension(name);
  if (extension === undefined || !hasOption(desc as never, extension as never)) return undefined;
  return getOption(desc as never, extension as never);
}

function readPattern({ pattern }: RawOperation): Pattern {
  switch (pattern.case) {
    case "event":
      return { case: "event", topic: pattern.value.topic };
    case "oneWay":
      return { case: "one_way" };
    case "pipeline":
    case "ticket":
      return { case: pattern.case };
    case undefined:
      return { case: "call" };
  }
}

function checkPattern(method: DescMethod, pattern: Pattern, problem: (message: string) => void): void {
  if (pattern.case !== "call" && method.methodKind !== "unary") {
    problem(`${pattern.case} is for unary methods, and this one streams; take \`stream\` or ${pattern.case} away.`);
  }
  const topic = pattern.case === "event" ? topicProblem(pattern.topic, method.input) : undefined;
  if (topic !== undefined) problem(topic);
}

/** Nobody waits for the answer of these methods, so that nothing may be said of it. */
function checkUnanswered(
  method: DescMethod,
  raw: RawOperation,
  pattern: string,
  problem: (message: string) => void,
): void {
  if (method.output.typeName !== "google.protobuf.Empty") {
    problem(
      `a method with ${pattern} is never answered and must return google.protobuf.Empty, not ${method.output.typeName}.`,
    );
  }
  if (raw.timeout !== undefined)
    problem(`timeout has no meaning together with ${pattern}, as nobody waits for an answer; take one of them away.`);
  if (raw.faults.length > 0)
    problem(`faults have no meaning together with ${pattern}, as no error is sent back; take one of them away.`);
}

function readTimeout({ timeout }: RawOperation, problem: (message: string) => void): number | undefined {
  if (timeout === undefined) return undefined;
  const milliseconds = Number(timeout.seconds) * 1000 + Math.ceil(timeout.nanos / 1_000_000);
  if (milliseconds > 0) return milliseconds;
  problem("timeout must be positive, as in `timeout: { seconds: 5 }`.");
  return undefined;
}

function readFault(name: string, { registry }: Reading, problem: (message: string) => void): DescMessage[] {
  const message = registry.getMessage(name);
  if (message !== undefined) return [message];
  problem(`faults names the message ${name}, which does not exist here; write its full name and import its file.`);
  return [];
}
