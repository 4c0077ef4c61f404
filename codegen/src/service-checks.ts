import type { Problem } from "./codegen-error.ts";
import type { MethodModel, ServiceModel } from "./model.ts";
import { operationPath } from "./operation-options.ts";
import { interfaceNames } from "./pattern-types.ts";
import { field, type Path, type SourceInfo } from "./source-info.ts";
import { topicShape } from "./topic-template.ts";

/** What to do about a method whose name will not do. */
export const renameHint = 'rename the method, or add `option (zerobind.v1.operation) = { local_name: "…" }`';

/** What is wrong with the methods of a service beside each other. */
export function checkMethods(methods: readonly MethodModel[], source: SourceInfo, service: Path): Problem[] {
  const names = duplicates(methods, ({ localName }) => localName).map(({ first, again, index }) => {
    const path = [...service, field.service.method, index];
    const message = `the methods ${first.name} and ${again.name} are both \`${again.localName}\` in generated code; ${renameHint}.`;
    return source.problem(message, [...path, field.name], path);
  });
  const topics = duplicates(methods, topicOf).map(({ first, again, index }) => {
    const path = [...service, field.service.method, index];
    const message = `the events ${first.name} and ${again.name} can have the same topic, so that subscribers could not tell them apart; begin each topic with another word.`;
    return source.problem(message, operationPath(path), path);
  });
  return [...names, ...topics];
}

/** What is wrong with the services of a file beside each other: `A` with events and `AEvent` both have an `AEventHandler`. */
export function checkServices(services: readonly ServiceModel[], source: SourceInfo): Problem[] {
  const all = services.flatMap((service, index) => interfaceNames(service).map((name) => ({ name, service, index })));
  return duplicates(all, ({ name }) => name).map(({ first, again }) => {
    const message = `the services ${first.service.localName} and ${again.service.localName} would both have an interface ${again.name} in generated code; rename one of them.`;
    const path = [field.file.service, again.index];
    return source.problem(message, [...path, field.name], path);
  });
}

function topicOf({ operation: { pattern } }: MethodModel): string | undefined {
  return pattern.case === "event" ? topicShape(pattern.topic) : undefined;
}

interface Duplicate<T> {
  readonly first: T;
  readonly again: T;
  readonly index: number;
}

/** Items whose key an item before them has. */
function duplicates<T>(items: readonly T[], keyOf: (item: T) => string | undefined): Duplicate<T>[] {
  const seen = new Map<string, T>();
  return items.flatMap((again, index) => {
    const key = keyOf(again);
    if (key === undefined) return [];
    const first = seen.get(key);
    if (first !== undefined) return [{ first, again, index }];
    seen.set(key, again);
    return [];
  });
}
