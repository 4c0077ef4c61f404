import type { DescEnum, DescMessage } from "@bufbuild/protobuf";

const words = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/));

/** Words that cannot name both a value and a type in a strict module. Others, like `type` and `async`, can. */
export const reservedWords: ReadonlySet<string> = words(
  "any arguments as await bigint boolean break case catch class const continue debugger default delete do else enum eval export " +
    "extends false finally for function globalThis if implements import in infer instanceof interface keyof let never new null " +
    "number object package private protected public readonly return static string super switch symbol this throw true try " +
    "typeof undefined unique unknown var void while with yield",
);

/** What every object inherits: a property of such a name is there even where nobody has set it. */
export const inheritedProperties: ReadonlySet<string> = words(
  "__proto__ __defineGetter__ __defineSetter__ __lookupGetter__ __lookupSetter__ constructor hasOwnProperty isPrototypeOf " +
    "propertyIsEnumerable toLocaleString toString valueOf",
);

/** Names that mean something on any object, or that a client or handler may need for itself. */
export const unsafeMethodNames: ReadonlySet<string> = new Set([...inheritedProperties, "prototype", "toJSON"]);

/** Taken by the life cycle of clients and handlers, or (`then`) by promises. */
export const lifecycleNames: ReadonlySet<string> = words("then catch finally open close closed abort dispose state");

/** Globals whose names a generated constant should not take from the module that imports it. */
export const commonGlobals: ReadonlySet<string> = words(
  "AbortController AbortSignal Array ArrayBuffer AsyncIterable AsyncIterator BigInt Boolean Buffer DataView Date Error Function " +
    "Infinity Iterable Iterator JSON Map Math NaN Number Object Promise Proxy ReadableStream Reflect RegExp Set String Symbol " +
    "Uint8Array URL WeakMap WeakRef WeakSet console process",
);

/** Whether the text can stand as `name(…)` in an interface without quotes. */
export function isIdentifier(text: string): boolean {
  return /^[A-Za-z_$][A-Za-z0-9_$]*$/.test(text);
}

/** The name that ts-proto gives a message or an enumeration: `Outer_Inner`. */
export function typeName(type: DescMessage | DescEnum): string {
  const own = snakeToCamel(type.name);
  const name = type.parent === undefined ? own : `${outerName(type.parent)}_${own}`;
  // ts-proto renames these two, as its own code uses the globals.
  return name === "Date" || name === "Function" ? `${name}Message` : name;
}

function outerName(type: DescMessage): string {
  const own = snakeToCamel(type.name);
  return type.parent === undefined ? own : `${outerName(type.parent)}_${own}`;
}

/** The property that ts-proto makes of a field or a oneof. */
export function propertyName(name: string): string {
  return snakeToCamel(name);
}

/** The name of a method in lowerCamelCase: `SayHello`, `sayHello` and `say_hello` are all `sayHello`. */
export function methodName(name: string): string {
  const camel = snakeToCamel(name.replace(/^_+/, ""));
  const local = camel.slice(0, 1).toLowerCase() + camel.slice(1);
  // `_1` and `_` have nothing else that could stand as a name.
  return isIdentifier(local) ? local : name;
}

function snakeToCamel(name: string): string {
  if (!name.includes("_")) return name;
  const mixed = /[a-z]/.test(name);
  const parts = name.split("_").map((part) => (mixed ? part : part.toLowerCase()));
  return parts.map((part, index) => (index === 0 ? part : part.slice(0, 1).toUpperCase() + part.slice(1))).join("");
}

/** A string literal that cannot end early, not even where a line may not break. */
export function quote(text: string): string {
  return JSON.stringify(text).replace(/[\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16)}`);
}

/** Hands out names, each once: a name that is taken gets `$`, then `$2`, `$3` and so on. */
export class NameScope {
  readonly #taken = new Set<string>();

  claim(wanted: string): string {
    let name = wanted;
    for (let n = 1; this.#taken.has(name); n++) name = n === 1 ? `${wanted}$` : `${wanted}$${n}`;
    this.#taken.add(name);
    return name;
  }
}
