import type { MethodDescriptor, MethodKind } from "@zerobind/core";
import { topicShape } from "@zerobind/codegen/parts";
import protobuf from "protobufjs";
import { JsonMessageType } from "./message-type.ts";
import { callbackOf, readMethodOptions } from "./operation-options.ts";
import { ProtoError, problemAt, suggestion } from "./proto-error.ts";
import { bare, loadRoot, servicesOf } from "./proto-root.ts";
import type { DynamicContract } from "./types.ts";

/** How `.proto` files are read; see `loadContract`. */
export interface LoadOptions {
  /** Folders that imports are relative to. Default: found out from the places and packages of the files. */
  readonly protoPaths?: readonly string[] | undefined;
  /** Whether messages that come have all their fields, also those that have their default. Default false. */
  readonly emitDefaults?: boolean | undefined;
}

/** The services and messages of some `.proto` files, without generated code. */
export class ProtoTypes {
  readonly #root: protobuf.Root;
  readonly #files: string;
  readonly #emitDefaults: boolean;
  readonly #types = new Map<protobuf.Type, JsonMessageType>();

  constructor(root: protobuf.Root, files: string, emitDefaults: boolean) {
    this.#root = root;
    this.#files = files;
    this.#emitDefaults = emitDefaults;
  }

  /** Reads the files and all they import. Throws ProtoError. */
  static async load(protoFiles: string | readonly string[], options: LoadOptions = {}): Promise<ProtoTypes> {
    const files = typeof protoFiles === "string" ? [protoFiles] : protoFiles;
    if (files.length === 0) throw new ProtoError("no .proto file was named");
    return new ProtoTypes(
      await loadRoot(files, options.protoPaths ?? []),
      files.join(", "),
      options.emitDefaults ?? false,
    );
  }

  /** Full names of all services, in alphabetical order. */
  get services(): readonly string[] {
    return servicesOf(this.#root).map(({ fullName }) => bare(fullName));
  }

  /** A message type by its full name. */
  message(name: string): JsonMessageType | undefined {
    const found = /^[\w.]+$/.test(name) ? this.#root.lookup(`.${bare(name)}`, [protobuf.Type]) : null;
    return found instanceof protobuf.Type ? this.#typeOf(found) : undefined;
  }

  /** The contract of a service, by its full name, or its own if no other has the same. Throws ProtoError. */
  contract(serviceName: string): DynamicContract {
    const service = this.#service(bare(serviceName));
    const taken = new Set<string>();
    const callback = callbackOf(service);
    const methods = service.methodsArray.map((method) => this.#method(method, taken));
    checkTopics(service, methods);
    return {
      typeName: bare(service.fullName),
      methods,
      ...(callback !== undefined && { callback }),
    };
  }

  #service(name: string): protobuf.Service {
    const all = servicesOf(this.#root);
    const exact = all.find(({ fullName }) => bare(fullName) === name);
    const alike = all.filter((service) => service.name === name);
    const found = exact ?? (alike.length === 1 ? alike[0] : undefined);
    if (found !== undefined) return found;
    const names = this.services;
    if (names.length === 0) throw new ProtoError(`${this.#files}: there is no service in it`);
    throw new ProtoError(
      `${this.#files}: there is no service ${JSON.stringify(name)}.${suggestion(name, names)} The services are: ${names.join(", ")}.`,
    );
  }

  #method(method: protobuf.Method, taken: Set<string>): MethodDescriptor {
    method.resolve();
    const { localName, options } = readMethodOptions(method, (name) => this.message(name));
    let unique = localName;
    while (taken.has(unique)) unique += "$";
    taken.add(unique);
    return {
      name: method.name,
      localName: unique,
      kind: kindOf(method),
      input: this.#typeOf(resolved(method.resolvedRequestType)),
      output: this.#typeOf(resolved(method.resolvedResponseType)),
      ...(Object.keys(options).length > 0 && { options }),
    };
  }

  #typeOf(type: protobuf.Type): JsonMessageType {
    const known = this.#types.get(type);
    if (known !== undefined) return known;
    const made = new JsonMessageType(type, this.#emitDefaults);
    this.#types.set(type, made);
    return made;
  }
}

/** Subscribers tell the events of a service apart by their topics. */
function checkTopics({ filename, fullName }: protobuf.Service, methods: readonly MethodDescriptor[]): void {
  const seen = new Map<string, string>();
  for (const { name, options } of methods) {
    if (options?.pattern?.case !== "event") continue;
    const shape = topicShape(options.pattern.topic);
    const other = seen.get(shape);
    if (other !== undefined)
      throw problemAt(
        filename ?? "",
        undefined,
        `the events ${other} and ${name} of ${bare(fullName)} can have the same topic`,
      );
    seen.set(shape, name);
  }
}

/** The types of methods are there once the method is resolved. */
function resolved(type: protobuf.Type | null): protobuf.Type {
  if (type === null) throw new TypeError("the method was not resolved");
  return type;
}

function kindOf({ requestStream, responseStream }: protobuf.Method): MethodKind {
  if (requestStream) return responseStream ? "bidi_stream" : "client_stream";
  return responseStream ? "server_stream" : "unary";
}
