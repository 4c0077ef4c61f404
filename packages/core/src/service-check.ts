import { isRule } from "./authorization.ts";
import { areFunctions, checkOptions, isFunction, isObject, isOneOf } from "./check.ts";
import type { Checks } from "./check.ts";
import { callMethods, checkHasCalls, methodPath } from "./contract.ts";
import type { Contract, MethodDescriptor } from "./contract.ts";
import type { Need, TransportElement } from "./binding.ts";
import { throttleChecks } from "./lane.ts";
import { describedService, hasRule } from "./serve-options.ts";
import type { HandlerClass, MethodServeOptions, ServeOptions, Service } from "./serve-options.ts";

const incomplete = new WeakSet<object>();

/**
 * Marks a handler, or a class of handlers, that implements only some methods of its contract on purpose; the others
 * answer UNIMPLEMENTED. Without it a missing method is a compile error, and a TypeError from `serve`.
 */
export function partial<Handler extends object>(
  contract: Contract<unknown, Handler>,
  handler: Partial<Handler>,
): Handler;
export function partial<Handler extends object>(
  contract: Contract<unknown, Handler>,
  handler: HandlerClass<Partial<Handler>>,
): HandlerClass<Handler>;
export function partial(_contract: Contract, handler: object): object {
  incomplete.add(handler);
  return handler;
}

const isSerialize = isOneOf("none", "session", "instance");

const methodChecks: Checks = {
  throttle: (_name, value) => checkOptions("throttle option", value as object, throttleChecks),
  serialize: isSerialize,
  authorize: isRule,
};

const serveChecks: Checks = {
  ...methodChecks,
  interceptors: areFunctions,
  instancing: isOneOf("single", "session", "call"),
  create: isFunction,
  methods(name, value) {
    isObject(name, value);
    for (const settings of Object.values(value as Record<string, object>))
      checkOptions("method option", settings, methodChecks);
  },
};

/** Checks a service as it was given; TypeError with what is wrong. Returns the methods that it leaves out on purpose. */
export function checkService({ contract, handler, options, members }: Service): readonly MethodDescriptor[] {
  checkHasCalls(contract);
  const name = contract.typeName;
  checkOptions("serve option", options, serveChecks);
  const isClass = typeof handler === "function";
  for (const key of ["instancing", "create"] as const)
    if (options[key] !== undefined && !isClass)
      throw new TypeError(`${name}: option ${key} is for classes, and the handler is an object that already exists`);
  if (isClass && !options.create && handler.length > 0)
    throw new TypeError(`${name}: the constructor of ${handler.name} takes arguments; say how with the option create`);
  const methods = callMethods(contract);
  for (const key of Object.keys(options.methods ?? {}))
    if (!methods.some(({ localName }) => localName === key))
      throw new TypeError(`${name} has no method ${key}, which the option methods names`);
  return missingMethods(contract, handler, members);
}

function missingMethods(
  contract: Contract,
  handler: object,
  members: ReadonlyMap<string, string>,
): readonly MethodDescriptor[] {
  const isClass = typeof handler === "function";
  const holder = holderOf(handler);
  const missing = callMethods(contract).filter(
    ({ localName }) => typeof memberOf(holder, members.get(localName) ?? localName) !== "function",
  );
  if (missing.length === 0 || incomplete.has(handler)) return missing;
  const names = missing.map(({ localName }) => localName).join(", ");
  const hint = isClass ? " (functions in fields are only there once it is made: write methods)" : "";
  throw new TypeError(
    `the handler of ${contract.typeName} has no method ${names}${hint}; add them, or mark it with partial(contract, handler)`,
  );
}

/** What has the members: the handler, or what its instances will be. */
function holderOf(handler: object): object {
  return typeof handler === "function" ? (handler as { prototype: object }).prototype : handler;
}

/** A member of the handler or of its class, but none that every object has. */
function memberOf(handler: object, name: string): unknown {
  for (
    let holder: object | null = handler;
    holder && holder !== Object.prototype;
    holder = Object.getPrototypeOf(holder) as object | null
  ) {
    const property = Object.getOwnPropertyDescriptor(holder, name);
    if (property) return property.get ? (handler as Record<string, unknown>)[name] : property.value;
  }
  return undefined;
}

/** What was given to `serve`, by either of its forms. TypeError for what is no service. */
export function toService(first: unknown, second: unknown, third: ServeOptions | undefined): Service {
  const described = describedService(first);
  if (described) {
    return { ...described, handler: first as object, options: overriding(described.options, second as ServeOptions) };
  }
  if (typeof first === "function")
    throw new TypeError(
      `${first.name || "the class"} has no @service(contract); serve it as serve(contract, ${first.name})`,
    );
  const contract = first as Contract | null | undefined;
  if (typeof contract?.typeName !== "string" || !Array.isArray(contract.methods))
    throw new TypeError(
      "the first argument of serve must be a contract, which generated code exports under the name of the service",
    );
  if ((typeof second !== "object" && typeof second !== "function") || second === null)
    throw new TypeError(
      `the handler of ${contract.typeName} must be an object or a class, not ${second === null ? "null" : typeof second}`,
    );
  const said = describedService(second) ?? describedService(second.constructor);
  if (said?.contract.typeName !== contract.typeName) checkRules(contract, second, third);
  if (said?.contract.typeName !== contract.typeName)
    return { contract, handler: second, options: third ?? {}, members: new Map<string, string>() };
  // How instances are made and kept says nothing of one that is there.
  const { instancing, create, ...ofAny } = said.options;
  const ofClass = typeof second === "function" ? { instancing, create } : {};
  return { contract, handler: second, options: overriding({ ...ofAny, ...ofClass }, third), members: said.members };
}

/** TypeError for a class whose decorators say who may call it, where nobody would read that. */
function checkRules(contract: Contract, handler: object, options: ServeOptions | undefined): void {
  if (options?.authorize !== undefined) return;
  const type: unknown = typeof handler === "function" ? handler : handler.constructor;
  const holder = holderOf(handler);
  const methods = callMethods(contract).map(({ localName }) => memberOf(holder, localName));
  if (![type, ...methods].some((each) => typeof each === "function" && hasRule in each)) return;
  const name = typeof type === "function" ? type.name : "the handler";
  throw new TypeError(
    `${name}: @authorize says who may call it, and nobody would be asked, since it has no @service(${contract.typeName}); add that, or say authorize in the options of serve`,
  );
}

/** What `serve` is given goes before what decorators say: each option of its own, those of each method too. */
function overriding(said: ServeOptions, given: ServeOptions = {}): ServeOptions {
  checkOptions("serve option", given, serveChecks);
  const methods: Record<string, MethodServeOptions> = { ...said.methods };
  for (const [name, settings] of Object.entries(given.methods ?? {}))
    methods[name] = { ...methods[name], ...withoutUndefined(settings) };
  return { ...said, ...withoutUndefined(given), methods };
}

function withoutUndefined<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
}

/** Something that a method needs of a binding. */
export interface MethodNeed {
  readonly path: string;
  readonly need: Need;
}

/** What a method needs of a binding beyond a single one-way message; `bySession` where its handler belongs to one. */
export function needsOf(contract: Contract, method: MethodDescriptor, bySession = false): MethodNeed[] {
  const needs: Need[] = [];
  if (method.options?.pattern?.case !== "one_way") needs.push("replies");
  if (method.kind !== "unary") needs.push("streams");
  if (bySession) needs.push("sessions");
  if (contract.callback !== undefined) needs.push("callbacks");
  return needs.map((need) => ({ path: methodPath(contract, method), need }));
}

/** Error with all methods that a transport cannot carry. */
export function checkNeeds(
  needs: readonly MethodNeed[],
  { name, lacks = [] }: Pick<TransportElement, "name" | "lacks">,
  address: string,
): void {
  const unmet = new Map<string, Need[]>();
  for (const { path, need } of needs) if (lacks.includes(need)) unmet.set(path, [...(unmet.get(path) ?? []), need]);
  if (unmet.size === 0) return;
  const list = [...unmet].map(([path, each]) => `${path} (${each.join(", ")})`).join(", ");
  throw new Error(`${address}: the ${name} transport cannot carry ${list}; use another binding`);
}
