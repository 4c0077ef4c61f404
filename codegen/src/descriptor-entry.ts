import type { NamesInUse } from "./imported-names.ts";
import type { MethodModel, Pattern } from "./model.ts";
import { quote } from "./names.ts";
import { topicProperties } from "./topic.ts";
import { wrapObject } from "./wrap.ts";

/** The entry of a method in the contract's list. */
export function descriptorEntry(method: MethodModel, names: NamesInUse): string {
  const options = optionEntries(method, names);
  const entries = [
    `name: ${quote(method.name)}`,
    `localName: ${quote(method.localName)}`,
    `kind: ${quote(method.kind)}`,
    `input: ${names.message(method.input)}`,
    `output: ${names.message(method.output)}`,
    ...(options.length === 0 ? [] : [wrapObject(options, "      ", "options: ").trim().slice(0, -1)]),
  ];
  return wrapObject(entries, "    ");
}

function optionEntries({ operation, idempotency, deprecated }: MethodModel, names: NamesInUse): string[] {
  const { pattern, timeoutMs, requires, faults } = operation;
  return [
    ...(pattern.case === "call" ? [] : [patternEntry(pattern)]),
    ...(idempotency === undefined ? [] : [`idempotency: ${quote(idempotency)}`]),
    ...(timeoutMs === undefined ? [] : [`timeoutMs: ${timeoutMs}`]),
    ...(requires.length === 0 ? [] : [`requires: [${requires.map(quote).join(", ")}]`]),
    ...(faults.length === 0 ? [] : [`faults: [${faults.map((fault) => names.message(fault)).join(", ")}]`]),
    ...(deprecated ? ["deprecated: true"] : []),
  ];
}

function patternEntry(pattern: Pattern): string {
  if (pattern.case !== "event") return `pattern: { case: ${quote(pattern.case)} }`;
  const fields = topicProperties(pattern.topic).map(quote).join(", ");
  const entries = [`case: "event"`, `topic: ${quote(pattern.topic)}`, `fields: [${fields}]`];
  return wrapObject(entries, "        ", "pattern: ").trim().slice(0, -1);
}
