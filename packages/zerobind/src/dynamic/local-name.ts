/** Names that mean something on any object, or that clients and handlers need for themselves. */
const takenNames: ReadonlySet<string> = new Set(
  (
    "__proto__ __defineGetter__ __defineSetter__ __lookupGetter__ __lookupSetter__ constructor hasOwnProperty isPrototypeOf " +
    "propertyIsEnumerable toLocaleString toString valueOf prototype toJSON " +
    "then catch finally open close closed abort dispose state"
  ).split(" "),
);

/** Whether the option `local_name` may have this value. */
export function isLocalName(name: string): boolean {
  return /^[A-Za-z_$][A-Za-z0-9_$]*$/.test(name) && !takenNames.has(name);
}

/**
 * The property of a method on clients and handlers, as in generated code: its name in lowerCamelCase, with `$` behind it
 * where that name is taken.
 */
export function localNameOf(name: string): string {
  const camel = toCamel(name.replace(/^_+/, ""));
  const local = camel.slice(0, 1).toLowerCase() + camel.slice(1);
  const usable = /^[A-Za-z_$]/.test(local) ? local : name;
  return takenNames.has(usable) ? `${usable}$` : usable;
}

function toCamel(name: string): string {
  if (!name.includes("_")) return name;
  const mixed = /[a-z]/.test(name);
  const [first = "", ...rest] = name.split("_").map((part) => (mixed ? part : part.toLowerCase()));
  return first + rest.map((part) => part.slice(0, 1).toUpperCase() + part.slice(1)).join("");
}
