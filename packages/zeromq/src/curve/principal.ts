import { kindOf } from "@zerobind/core";
import type { Principal } from "@zerobind/core";

/** Who a key stands for: a name, or a name and roles. */
export type PrincipalInit = string | { readonly name: string; readonly roles?: readonly string[] | undefined };

/** The principal; TypeError, beginning with `what`, for what cannot be one. The given object is not kept. */
export function principalOf(given: PrincipalInit, what: string): Principal {
  const { name, roles = [], ...others } = typeof given === "string" ? { name: given } : objectOf(given, what);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined)
    throw new TypeError(`${what}: a principal has name and roles, not ${JSON.stringify(unknown)}`);
  checkName(name, `${what}: name of a principal`);
  if (!Array.isArray(roles)) throw new TypeError(`${what}: roles must be an array of names, not ${kindOf(roles)}`);
  for (const [index, role] of roles.entries()) checkName(role, `${what}: roles[${index}]`);
  return Object.freeze({ name: name as string, roles: Object.freeze([...new Set(roles as string[])]) });
}

/** The roles of a comma-separated list. */
export function rolesOf(list: string): string[] {
  return list
    .split(",")
    .map((role) => role.trim())
    .filter((role) => role !== "");
}

export function samePrincipal(one: Principal | undefined, other: Principal | undefined): boolean {
  return (
    one?.name === other?.name &&
    one?.roles.length === other?.roles.length &&
    (one?.roles ?? []).every((role) => other?.roles.includes(role))
  );
}

function objectOf(given: unknown, what: string): { name?: unknown; roles?: unknown } {
  if (typeof given === "object" && given !== null && !Array.isArray(given)) return given;
  throw new TypeError(`${what}: a principal is a name or { name, roles }, not ${kindOf(given)}`);
}

/** Names go to logs and are compared by eye. */
function checkName(name: unknown, what: string): void {
  if (typeof name === "string" && /^(?!\s)[^\p{Cc}\p{Cf}\u2028\u2029]{1,256}(?<!\s)$/u.test(name)) return;
  throw new TypeError(
    `${what} must be text of 1 to 256 characters without control characters and outer spaces, not ${kindOf(name)}`,
  );
}
