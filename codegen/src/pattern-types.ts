import type { MethodModel, ServiceModel } from "./model.ts";

/** The interfaces that a service has for its methods of a pattern, in the order of the generated code. */
const patternTypes = [
  { pattern: "event", member: "publisher", suffix: "Publisher" },
  { pattern: "event", member: "subscriber", suffix: "Subscriber" },
  { pattern: "event", member: "eventHandler", suffix: "EventHandler" },
  { pattern: "pipeline", member: "ventilator", suffix: "Ventilator" },
  { pattern: "pipeline", member: "worker", suffix: "Worker" },
  { pattern: "pipeline", member: "sink", suffix: "Sink" },
] as const;

/** One of them: the pattern it is for, its member in the contract's type, and what its name ends in. */
export type PatternType = (typeof patternTypes)[number];

/** Those that the service has. */
export function patternTypesOf(service: ServiceModel): PatternType[] {
  return patternTypes.filter(({ pattern }) => methodsOf(service, pattern).length > 0);
}

/** The methods of a pattern. */
export function methodsOf(service: ServiceModel, pattern: PatternType["pattern"]): MethodModel[] {
  return service.methods.filter(({ operation }) => operation.pattern.case === pattern);
}

/** All interfaces that the code of the service has, by their names. */
export function interfaceNames(service: ServiceModel): string[] {
  const suffixes = ["Client", "Handler", ...patternTypesOf(service).map(({ suffix }) => suffix)];
  return suffixes.map((suffix) => `${service.localName}${suffix}`);
}
