import type { DescMessage } from "@bufbuild/protobuf";
import { messagesPath } from "./messages.ts";
import type { ServiceModel } from "./model.ts";
import { NameScope, quote, typeName } from "./names.ts";
import { interfaceNames, methodsOf } from "./pattern-types.ts";
import type { PluginOptions, Specifiers } from "./plugin-options.ts";
import { sharedGoogleFiles } from "./shared-google.ts";
import { wrapImport } from "./wrap.ts";

/** The types that generated code takes from the runtime: those that any service may need, then those of a pattern. */
const runtimeTypes = {
  call: ["CallOptions", "Contract", "MessageInit", "OperationContext", "RequestStream", "ResponseStream"],
  event: ["EventFilter", "EventInfo", "SubscribeOptions", "Subscription"],
  pipeline: ["BatchOptions", "JobBatch", "JobContext", "JobSource", "ResultContext"],
} as const;

/** One of them. */
export type RuntimeType = (typeof runtimeTypes)[keyof typeof runtimeTypes][number];

/** The names under which a file knows what it imports. Asking for a name makes the file import it. */
export interface NamesInUse {
  runtime(name: RuntimeType): string;
  message(type: DescMessage): string;
}

/** Collects what the file imports, under names that nothing else in it has. */
export class ImportedNames implements NamesInUse {
  readonly #scope = new NameScope();
  readonly #specifiers: Specifiers;
  readonly #google: PluginOptions["google"];
  readonly #runtime = new Map<RuntimeType, string>();
  readonly #used = new Set<RuntimeType>();
  readonly #messages = new Map<string, { specifier: string; exported: string; local: string }>();

  constructor(services: readonly ServiceModel[], specifiers: Specifiers, options: PluginOptions) {
    this.#specifiers = specifiers;
    this.#google = options.google;
    // What the file exports comes first and keeps its name; what is imported gives way.
    for (const service of services)
      for (const name of [service.localName, ...interfaceNames(service)]) this.#scope.claim(name);
    for (const name of ["Promise", "AsyncIterable", "Iterable"]) this.#scope.claim(name);
    for (const pattern of ["call", "event", "pipeline"] as const) {
      // The names of a pattern's types are left to the messages of files that do not have it.
      if (pattern !== "call" && !services.some((service) => methodsOf(service, pattern).length > 0)) continue;
      for (const name of runtimeTypes[pattern]) this.#runtime.set(name, this.#scope.claim(name));
    }
  }

  runtime(name: RuntimeType): string {
    this.#used.add(name);
    return this.#runtime.get(name) ?? name;
  }

  message(type: DescMessage): string {
    const known = this.#messages.get(type.typeName);
    if (known !== undefined) return known.local;
    const entry = {
      specifier: this.#specifierOf(type),
      exported: typeName(type),
      local: this.#scope.claim(typeName(type)),
    };
    this.#messages.set(type.typeName, entry);
    return entry.local;
  }

  imports(): string {
    const types = [...this.#used].sort().map((name) => renamed(name, this.#runtime.get(name) ?? name));
    const modules = new Map<string, string[]>();
    for (const { specifier, exported, local } of this.#messages.values()) {
      modules.set(specifier, [...(modules.get(specifier) ?? []), renamed(exported, local)]);
    }
    const values = [...modules]
      .sort(([a], [b]) => bySpecifier(a, b))
      .map(([specifier, names]) => wrapImport("import", names.sort(), quote(specifier)));
    return [wrapImport("import type", types, quote(this.#specifiers.runtime("index"))), ...values].join("\n");
  }

  #specifierOf(type: DescMessage): string {
    const name = type.file.proto.name;
    if (this.#google === "runtime" && sharedGoogleFiles.has(name)) return this.#specifiers.runtime("google");
    return this.#specifiers.relative(messagesPath(name));
  }
}

function renamed(exported: string, local: string): string {
  return exported === local ? local : `${exported} as ${local}`;
}

/** Packages first, then the files above this one, then those beside and below it. */
function bySpecifier(a: string, b: string): number {
  const rank = (specifier: string): number => (specifier.startsWith("../") ? 1 : specifier.startsWith("./") ? 2 : 0);
  return rank(a) - rank(b) || (a < b ? -1 : 1);
}
