import type { DescFile, DescMethod, DescService, FileRegistry } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { Problem } from "./codegen-error.ts";
import { commonGlobals, isIdentifier, lifecycleNames, methodName, reservedWords, unsafeMethodNames } from "./names.ts";
import type { MethodModel, ServiceModel } from "./model.ts";
import { operationPath, readCallback, readOperation, type Reading } from "./operation-options.ts";
import { checkMethods, checkServices, renameHint } from "./service-checks.ts";
import { field, SourceInfo, type Path } from "./source-info.ts";

/** Reads the services of a file. What is wrong with them is added to `problems`; the model is then of no use. */
export function readServices(file: DescFile, registry: FileRegistry, problems: Problem[]): ServiceModel[] {
  const source = new SourceInfo(file.proto);
  const services = file.services.map((service, index) => {
    const path = [field.file.service, index];
    const methods = service.methods.map((method, n) =>
      readMethod(method, [...path, field.service.method, n], { registry, source, problems }),
    );
    problems.push(...checkMethods(methods, source, path));
    return {
      typeName: service.typeName,
      localName: serviceName(service),
      methods,
      callback: readCallback(service, path, { registry, source, problems }),
      deprecated: service.deprecated || file.deprecated,
      comment: source.comment(path),
    };
  });
  problems.push(...checkServices(services, source));
  return services;
}

function serviceName({ name }: DescService): string {
  return reservedWords.has(name) || commonGlobals.has(name) ? `${name}$` : name;
}

function readMethod(method: DescMethod, path: Path, reading: Reading): MethodModel {
  const kind = method.methodKind === "unary" ? "unary" : kinds[method.methodKind];
  const operation = readOperation(method, path, reading);
  return {
    name: method.name,
    localName: localName(method, operation.localName, path, reading),
    kind,
    input: method.input,
    output: method.output,
    operation,
    idempotency: idempotencies[method.idempotency],
    deprecated: method.deprecated,
    comment: reading.source.comment(path),
  };
}

const kinds = {
  server_streaming: "server_stream",
  client_streaming: "client_stream",
  bidi_streaming: "bidi_stream",
} as const;

const idempotencies = {
  [MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN]: undefined,
  [MethodOptions_IdempotencyLevel.IDEMPOTENT]: "idempotent",
  [MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS]: "no_side_effects",
} as const;

/** The method's property on clients and handlers: `local_name`, or the name in lowerCamelCase. */
function localName(method: DescMethod, wanted: string, path: Path, { source, problems }: Reading): string {
  const problem = (message: string): void => {
    problems.push(
      source.problem(message, ...(wanted === "" ? [] : [operationPath(path)]), [...path, field.name], path),
    );
  };
  if (wanted === "") {
    const name = methodName(method.name);
    if (lifecycleNames.has(name)) {
      problem(
        `${method.parent.name}.${method.name} would be \`${name}\` in generated code, which clients and handlers need for themselves; ${renameHint}.`,
      );
    }
    return unsafeMethodNames.has(name) ? `${name}$` : name;
  }
  if (!isIdentifier(wanted)) {
    problem(
      `local_name of ${method.parent.name}.${method.name} is "${wanted}", which is no plain identifier; use letters and digits, as in "sayHello".`,
    );
  } else if (lifecycleNames.has(wanted) || unsafeMethodNames.has(wanted)) {
    problem(
      `local_name of ${method.parent.name}.${method.name} is "${wanted}", which clients and handlers need for themselves; choose another one.`,
    );
  }
  return wanted;
}
