/**
 * Services as decorated classes: `@service(Greeter)` on the class, `@operation` and `@throttle` on its methods,
 * `@authorize` on either, then `host.serve(GreeterService)`. The decorators work both as standard ones and with TypeScript's
 * `experimentalDecorators`. A class inherits what is said of the class that it extends and of the methods that it does
 * not say anything else of. This module loads reflect-metadata, where the metadata is kept.
 */
import "reflect-metadata";
import { isRule } from "./authorization.ts";
import type { AuthorizationRule } from "./authorization.ts";
import { checkOptions, isOneOf, kindOf } from "./check.ts";
import type { Checks } from "./check.ts";
import { callMethods, checkContract } from "./contract.ts";
import type { Contract } from "./contract.ts";
import { throttleChecks } from "./lane.ts";
import type { ThrottleOptions } from "./lane.ts";
import { hasRule, serviceDescription } from "./serve-options.ts";
import type { HandlerClass, MethodServeOptions, Serialize, ServeOptions, ServiceDescription } from "./serve-options.ts";

/** What may be said of a method of a decorated class. */
export interface OperationSettings {
  /** The method of the contract, by its name in the proto or in generated code. Default: that of the class's method. */
  readonly name?: string | undefined;
  readonly serialize?: Serialize | undefined;
}

/** A decorator of methods, in both of the forms that there are. */
export type OperationDecorator = (
  target: object,
  context: string | symbol | ClassMethodDecoratorContext,
  descriptor?: PropertyDescriptor,
) => void;

/** A decorator of classes and of methods, in both of the forms that there are. */
export type AuthorizeDecorator = (
  target: object,
  context?: string | symbol | ClassDecoratorContext | ClassMethodDecoratorContext,
  descriptor?: PropertyDescriptor,
) => void;

const operationChecks: Checks = {
  name: (_, value) => {
    if (typeof value !== "string")
      throw new TypeError(`the name of an operation must be a string, not ${kindOf(value)}`);
  },
  serialize: isOneOf("none", "session", "instance"),
};

const serviceKey = "zerobind:service";
const operationKey = "zerobind:operation";
const throttleKey = "zerobind:throttle";
const authorizeKey = "zerobind:authorize";

/**
 * Says which contract the instances of a class implement, and how they are served (see `ServeOptions`; `host.serve` may
 * say otherwise). A method of the contract that the class lacks is a TypeError from `host.serve`, as are options that
 * cannot be. TypeError for what is no contract.
 */
export function service<Handler extends object>(
  contract: Contract<unknown, Handler>,
  options: ServeOptions<Handler> = {},
): (target: HandlerClass<object>, context?: ClassDecoratorContext) => void {
  checkContract(contract);
  return (target) => {
    Reflect.defineMetadata(serviceKey, { contract, options }, target);
    Object.defineProperty(target, serviceDescription, {
      configurable: true,
      value(this: HandlerClass<object>) {
        return describe(this);
      },
    });
  };
}

/**
 * Says of a method which one of the contract it implements, if its own name does not tell, and how it is served.
 * TypeError for settings that cannot be.
 */
export function operation(settings: OperationSettings | string = {}): OperationDecorator {
  const value = typeof settings === "string" ? { name: settings } : settings;
  checkOptions("operation setting", value, operationChecks);
  return (target, context, descriptor) =>
    Reflect.defineMetadata(operationKey, value, functionOf(target, context, descriptor));
}

/**
 * Limits the calls of a method that run at once. For a whole class, say it in the options of `@service`. TypeError for
 * options that cannot be.
 */
export function throttle(options: ThrottleOptions): OperationDecorator {
  checkOptions("throttle option", options, throttleChecks);
  return (target, context, descriptor) =>
    Reflect.defineMetadata(throttleKey, options, functionOf(target, context, descriptor));
}

/**
 * Says who may call a method, or, on a class, all of those that say nothing else; see `ServeOptions.authorize`. TypeError
 * for what is no rule.
 */
export function authorize(rule: AuthorizationRule): AuthorizeDecorator {
  isRule("the rule of @authorize", rule);
  const value: AuthorizationRule = typeof rule === "object" ? [...rule] : rule;
  return (target, context, descriptor) => {
    const isClass = context === undefined || (typeof context === "object" && context.kind === "class");
    const subject = isClass && typeof target === "function" ? target : functionOf(target, context, descriptor);
    Reflect.defineMetadata(authorizeKey, { rule: value }, subject);
    Object.defineProperty(subject, hasRule, { configurable: true, value: true });
    if (isClass) return;
    // A decorator above this one may put another function in the place of the method.
    if (typeof context === "object") watchRule(context as ClassMethodDecoratorContext);
    else if (context !== undefined) Reflect.defineMetadata(authorizeKey, { rule: value }, target, context);
  };
}

/** Refuses instances whose class has lost the rule of a method: it cannot be seen before that by standard decorators. */
function watchRule(context: ClassMethodDecoratorContext): void {
  const { name } = context;
  context.addInitializer(function (this: unknown) {
    const type = (this as object).constructor as HandlerClass<object>;
    if (inherited(type, String(name), authorizeKey)) return;
    throw new TypeError(
      `${type.name}.${String(name)}: @authorize is below a decorator that puts another function in its place, and nobody would be asked; make @authorize the topmost`,
    );
  });
}

/** Standard decorators get the function itself, the older ones the property that holds it. */
function functionOf(
  target: object,
  context: string | symbol | ClassDecoratorContext | ClassMethodDecoratorContext | undefined,
  descriptor: PropertyDescriptor | undefined,
): object {
  const isOfInstances = typeof context === "object" && context.kind === "method" && !context.static && !context.private;
  const isMethod = descriptor !== undefined || isOfInstances;
  const decorated: unknown = descriptor ? descriptor.value : target;
  if (isMethod && typeof decorated === "function") return decorated;
  throw new TypeError(
    "@operation, @throttle and @authorize are for methods of instances, @authorize for classes too; what else is for a whole class is said in @service",
  );
}

function describe(target: HandlerClass<object>): ServiceDescription {
  const { contract, options } = Reflect.getMetadata(serviceKey, target) as {
    contract: Contract;
    options: ServeOptions;
  };
  const members = new Map<string, string>();
  const holders = new Map<string, object>();
  const ruled = new Set<string>();
  const methods: Record<string, MethodServeOptions> = { ...options.methods };
  for (const [member, holder] of membersOf(target.prototype as object)) {
    const settings = inherited(target, member, operationKey) as OperationSettings | undefined;
    const limits = inherited(target, member, throttleKey) as ThrottleOptions | undefined;
    const access = inherited(target, member, authorizeKey) as { rule: AuthorizationRule } | undefined;
    if (!settings && !limits && !access) continue;
    const localName = localNameOf(contract, settings?.name ?? member, `${target.name}.${member}`);
    const other = members.get(localName);
    if (other !== undefined && holders.get(localName) === holder)
      throw new TypeError(`${target.name}: ${other} and ${member} are both said to be ${localName}`);
    if (access && !ruled.has(localName)) methods[localName] = { ...methods[localName], authorize: access.rule };
    if (access) ruled.add(localName);
    // The class's own goes before those of the classes that it extends, whose rule it keeps if it says none.
    if (other !== undefined) continue;
    members.set(localName, member);
    holders.set(localName, holder);
    const serialize = settings?.serialize;
    methods[localName] = {
      ...methods[localName],
      ...(limits && { throttle: limits }),
      ...(serialize && { serialize }),
    };
  }
  const rule = ruleOf(target);
  return { contract, members, options: { ...options, ...(rule !== undefined && { authorize: rule }), methods } };
}

/** What the class says of all of its methods, or else the nearest one that it extends: by @authorize or in @service. */
function ruleOf(target: HandlerClass<object>): AuthorizationRule | undefined {
  for (const each of prototypes(target.prototype as object)) {
    const owner = each.constructor;
    const said = Reflect.getOwnMetadata(serviceKey, owner) as { options: ServeOptions } | undefined;
    const access = Reflect.getOwnMetadata(authorizeKey, owner) as { rule: AuthorizationRule } | undefined;
    if (access && said?.options.authorize !== undefined)
      throw new TypeError(`${owner.name}: who may call it is said twice, by @authorize and in @service`);
    if (access || said?.options.authorize !== undefined) return access?.rule ?? said?.options.authorize;
  }
  return undefined;
}

/** Names of all methods of a class and of those that it extends, each with the prototype that has it; its own first. */
function membersOf(prototype: object): Map<string, object> {
  const holders = new Map<string, object>();
  for (const each of prototypes(prototype))
    for (const name of Object.getOwnPropertyNames(each)) if (!holders.has(name)) holders.set(name, each);
  holders.delete("constructor");
  return holders;
}

/** What is said of a method by the class itself, or else by the nearest class that it extends. */
function inherited(target: HandlerClass<object>, member: string, key: string): unknown {
  for (const each of prototypes(target.prototype as object)) {
    const implementation: unknown = Object.getOwnPropertyDescriptor(each, member)?.value;
    if (typeof implementation !== "function") continue;
    const found: unknown = Reflect.getOwnMetadata(key, implementation) ?? Reflect.getOwnMetadata(key, each, member);
    if (found) return found;
  }
  return undefined;
}

function* prototypes(prototype: object): Generator<object> {
  for (
    let each: object | null = prototype;
    each && each !== Object.prototype;
    each = Object.getPrototypeOf(each) as object | null
  )
    yield each;
}

function localNameOf(contract: Contract, name: string, where: string): string {
  const method = callMethods(contract).find((each) => each.localName === name || each.name === name);
  if (method) return method.localName;
  const names = callMethods(contract).map(({ localName }) => localName);
  throw new TypeError(`${where}: ${contract.typeName} has no method ${name}; it has ${names.join(", ")}`);
}
