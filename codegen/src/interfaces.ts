import type { MethodModel, ServiceModel } from "./model.ts";
import { docBlock } from "./doc-comment.ts";
import type { NamesInUse } from "./imported-names.ts";
import { quote } from "./names.ts";
import { wrapSignature } from "./wrap.ts";

/** What a client of the service can call. */
export function clientInterface(service: ServiceModel, names: NamesInUse): string {
  const doc = service.comment.length > 0 ? service.comment : [`What a client of ${service.typeName} can call.`];
  const members = service.methods.map((method) => member(method, names, clientSignature));
  return interfaceCode(`${service.localName}Client`, docBlock(doc, service.deprecated), members);
}

/** What a server of the service implements. */
export function handlerInterface(service: ServiceModel, names: NamesInUse): string {
  const first = `What a server of ${service.typeName} implements.`;
  const doc = service.comment.length > 0 ? [first, "", ...service.comment] : [first];
  const members = service.methods.map((method) => member(method, names, handlerSignature));
  return interfaceCode(`${service.localName}Handler`, docBlock(doc, service.deprecated), members);
}

function interfaceCode(name: string, doc: string, members: readonly string[]): string {
  if (members.length === 0)
    return `${doc}\n// eslint-disable-next-line @typescript-eslint/no-empty-object-type\nexport interface ${name} {}`;
  // An empty line sets off members that have a comment, and those that follow one.
  const spaced = members.map((text, index) => {
    const before = members[index - 1];
    return before !== undefined && (text.includes("\n") || before.includes("\n")) ? `\n${text}` : text;
  });
  return `${doc}\nexport interface ${name} {\n${spaced.join("\n")}\n}`;
}

/** The parameters and the result of a method. */
interface Signature {
  readonly parameters: readonly string[];
  /** The members of the union that the method returns. */
  readonly returns: readonly string[];
}

function member(
  method: MethodModel,
  names: NamesInUse,
  signature: (method: MethodModel, names: NamesInUse) => Signature,
): string {
  const { pattern } = method.operation;
  if (pattern.case === "event") return `  // ${method.localName} is an event on the topic ${quote(pattern.topic)}.`;
  if (pattern.case === "pipeline" || pattern.case === "ticket") return `  // ${method.localName} is a ${pattern.case}.`;
  const { parameters, returns } = signature(method, names);
  const code = wrapSignature(method.localName, parameters, returns);
  return method.comment.length > 0 || method.deprecated
    ? `${docBlock(method.comment, method.deprecated, "  ")}\n${code}`
    : code;
}

function clientSignature(method: MethodModel, names: NamesInUse): Signature {
  const [input, output] = [names.message(method.input), names.message(method.output)];
  const options = `options?: ${names.runtime("CallOptions")}`;
  const streamsIn = method.kind === "client_stream" || method.kind === "bidi_stream";
  const streamsOut = method.kind === "server_stream" || method.kind === "bidi_stream";
  const request = streamsIn
    ? `requests: ${names.runtime("RequestStream")}<${input}>`
    : `request: ${names.runtime("MessageInit")}<${input}>`;
  const answer = method.operation.pattern.case === "one_way" ? "void" : output;
  return {
    parameters: [request, options],
    returns: [streamsOut ? `${names.runtime("ResponseStream")}<${output}>` : `Promise<${answer}>`],
  };
}

function handlerSignature(method: MethodModel, names: NamesInUse): Signature {
  const input = names.message(method.input);
  const streamsIn = method.kind === "client_stream" || method.kind === "bidi_stream";
  const streamsOut = method.kind === "server_stream" || method.kind === "bidi_stream";
  const request = streamsIn ? `requests: AsyncIterable<${input}>` : `request: ${input}`;
  const oneWay = method.operation.pattern.case === "one_way";
  const answer = oneWay ? "void" : `${names.runtime("MessageInit")}<${names.message(method.output)}>`;
  return {
    parameters: [request, `context: ${names.runtime("OperationContext")}`],
    returns: streamsOut ? [`AsyncIterable<${answer}>`, `Iterable<${answer}>`] : [answer, `Promise<${answer}>`],
  };
}
