import { isIdentifier, lifecycleNames, methodName, unsafeMethodNames } from "@zerobind/codegen/parts";

const isTaken = (name: string): boolean => unsafeMethodNames.has(name) || lifecycleNames.has(name);

/** Whether the option `local_name` may have this value. */
export function isLocalName(name: string): boolean {
  return isIdentifier(name) && !isTaken(name);
}

/**
 * The property of a method on clients and handlers, as in generated code: its name in lowerCamelCase, with `$` behind it
 * where that name is taken. (The generator refuses some of these, since their author can still rename them.)
 */
export function localNameOf(name: string): string {
  const local = methodName(name);
  return isTaken(local) ? `${local}$` : local;
}
