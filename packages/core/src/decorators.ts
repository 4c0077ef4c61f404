/**
 * Services as decorated classes: `@service(Greeter)` on the class, `@operation` and `@throttle` on its methods, then
 * `host.serve(GreeterService)`. The decorators work both as standard ones and with TypeScript's
 * `experimentalDecorators`. A class inherits what is said of the class that it extends and of the methods that it does
 * not say anything else of. This module loads reflect-metadata, where the metadata is kept.
 */
import "reflect-metadata";
import type { ThrottleOptions } from "./lane.ts";
import type { Contract } from "./contract.ts";
import { callMethods } from "./contract.ts";
import { serviceDescription } from "./serve-options.ts";
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

const serviceKey = "zerobind:service";
const operationKey = "zerobind:operation";
const throttleKey = "zerobind:throttle";

/**
 * Says which contract the instances of a class implement, and how they are served (see `ServeOptions`; `host.serve` may
 * say otherwise). A method of the contract that the class lacks is a TypeError from `host.serve`.
 */
export function service<Handler extends object>(
  contract: Contract<unknown, Handler>,
  options: ServeOptions<Handler> = {},
): (target: HandlerClass<object>, context?: ClassDecoratorContext) => void {
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

/** Says of a method which one of the contract it implements, if its own name does not tell, and how it is served. */
export function operation(settings: OperationSettings | string = {}): OperationDecorator {
  const value = typeof settings === "string" ? { name: settings } : settings;
  return (target, _context, descriptor) => Reflect.defineMetadata(operationKey, value, functionOf(target, descriptor));
}

/** Limits the calls of a method that run at once. For a whole class, say it in the options of `@service`. */
export function throttle(options: ThrottleOptions): OperationDecorator {
  return (target, _context, descriptor) => Reflect.defineMetadata(throttleKey, options, functionOf(target, descriptor));
}

/** Standard decorators get the function itself, the older ones the property that holds it. */
function functionOf(target: object, descriptor: PropertyDescriptor | undefined): object {
  const decorated: unknown = descriptor ? descriptor.value : target;
  if (typeof decorated === "function") return decorated;
  throw new TypeError("@operation and @throttle are for methods");
}

function describe(target: HandlerClass<object>): ServiceDescription {
  const { contract, options } = Reflect.getMetadata(serviceKey, target) as {
    contract: Contract;
    options: ServeOptions;
  };
  const members = new Map<string, string>();
  const methods: Record<string, MethodServeOptions> = { ...options.methods };
  for (const member of memberNames(target.prototype as object)) {
    const settings = inherited(target, member, operationKey) as OperationSettings | undefined;
    const limits = inherited(target, member, throttleKey) as ThrottleOptions | undefined;
    if (!settings && !limits) continue;
    const localName = localNameOf(contract, settings?.name ?? member, `${target.name}.${member}`);
    members.set(localName, member);
    const serialize = settings?.serialize;
    methods[localName] = {
      ...methods[localName],
      ...(limits && { throttle: limits }),
      ...(serialize && { serialize }),
    };
  }
  return { contract, members, options: { ...options, methods } };
}

/** Names of all methods of a class and of those that it extends. */
function memberNames(prototype: object): Set<string> {
  const names = new Set<string>();
  for (const each of prototypes(prototype)) for (const name of Object.getOwnPropertyNames(each)) names.add(name);
  names.delete("constructor");
  return names;
}

/** What is said of a method by the class itself, or else by the nearest class that it extends. */
function inherited(target: HandlerClass<object>, member: string, key: string): unknown {
  for (const each of prototypes(target.prototype as object)) {
    const implementation: unknown = Object.getOwnPropertyDescriptor(each, member)?.value;
    if (typeof implementation !== "function") continue;
    const found: unknown = Reflect.getOwnMetadata(key, implementation);
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
