/** Throws TypeError, naming the option, for a value that it cannot have. */
export type Check = (name: string, value: unknown) => void;

/** The options that there are, each with the check of its values; undefined is always allowed. */
export type Checks = Readonly<Record<string, Check>>;

/**
 * Checks an object of options as the types do, for callers that have none: TypeError for an option that does not exist,
 * since one that is misspelt would be silently ignored, and for values that cannot be. `what` is as in "call option".
 */
export function checkOptions(what: string, given: object, checks: Checks): void {
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new TypeError(`${what}s must be an object, not ${kindOf(given)}`);
  // Not Object.entries: this is done for each call that has options.
  for (const key in given) {
    const check = Object.hasOwn(checks, key) ? checks[key] : undefined;
    if (check === undefined) throw new TypeError(unknown(what, key, Object.keys(checks)));
    const value = (given as Record<string, unknown>)[key];
    if (value !== undefined) check(key, value);
  }
}

function unknown(what: string, key: string, known: readonly string[]): string {
  const wanted = key.toLowerCase();
  const close = known.find((name) => name.toLowerCase().startsWith(wanted) || wanted.startsWith(name.toLowerCase()));
  const hint = close === undefined ? "" : `; is ${close} meant?`;
  return `there is no ${what} ${JSON.stringify(key)}${hint} There are: ${known.join(", ")}`.replace(
    '" There',
    '". There',
  );
}

/** What a value is, for a message: `an array`, `null`, `"text"`. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === "number") return `the number ${value}`;
  if (typeof value === "boolean") return String(value);
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

export const isFunction: Check = (name, value) => {
  if (typeof value !== "function") throw new TypeError(`${name} must be a function, not ${kindOf(value)}`);
};

export const isBoolean: Check = (name, value) => {
  if (typeof value !== "boolean") throw new TypeError(`${name} must be true or false, not ${kindOf(value)}`);
};

export const isObject: Check = (name, value) => {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new TypeError(`${name} must be an object, not ${kindOf(value)}`);
};

/** One of a few texts. */
export function isOneOf(...known: readonly string[]): Check {
  return (name, value) => {
    if (known.includes(value as string)) return;
    throw new TypeError(`${name} must be ${known.map((each) => `"${each}"`).join(" or ")}, not ${kindOf(value)}`);
  };
}

/** Anything but a number from 0 to Infinity is no time to wait. */
export const isTime: Check = (name, value) => {
  if (typeof value === "number" && value >= 0) return;
  throw new TypeError(
    `${name} must be a number of milliseconds, 0 or more (Infinity for no limit), not ${kindOf(value)}`,
  );
};

/** A number of things, of which there must be some; Infinity for any. */
export function isCountFrom(least: number): Check {
  return (name, value) => {
    if (typeof value === "number" && value >= least && (Number.isInteger(value) || value === Infinity)) return;
    throw new TypeError(
      `${name} must be a whole number, ${least} or more (Infinity for no limit), not ${kindOf(value)}`,
    );
  };
}

/** A number of things, Infinity for any. */
export const isCount: Check = isCountFrom(0);

export function isAtLeast(least: number): Check {
  return (name, value) => {
    if (typeof value === "number" && value >= least) return;
    throw new TypeError(`${name} must be a number from ${least}, not ${kindOf(value)}`);
  };
}

export const areFunctions: Check = (name, value) => {
  if (!Array.isArray(value)) throw new TypeError(`${name} must be an array of functions, not ${kindOf(value)}`);
  for (const [index, each] of value.entries()) isFunction(`${name}[${index}]`, each);
};
