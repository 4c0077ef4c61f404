import { kindOf } from "./check.ts";
import type { Principal } from "./context.ts";

/** How a program says who somebody is: a name alone has no roles. */
export type PrincipalInit = string | { readonly name: string; readonly roles?: readonly string[] | undefined };

/** A principal as a program has given it, copied; TypeError, which names `from`, for what is none. */
export function toPrincipal(from: string, given: PrincipalInit): Principal {
  const { name, roles = [] } = typeof given === "string" ? { name: given } : (given ?? {});
  const areRoles = Array.isArray(roles) && roles.every((role) => typeof role === "string" && role !== "");
  if (typeof name === "string" && name !== "" && areRoles)
    return Object.freeze({ name, roles: Object.freeze([...(roles as readonly string[])]) });
  const wanted = 'the name of a principal, { name, roles: ["…"] }, or undefined for none';
  throw new TypeError(
    `${from} must give ${wanted}, not ${typeof given === "object" ? "another object" : kindOf(given)}`,
  );
}
