import { docBlock } from "./doc-comment.ts";
import type { NamesInUse } from "./imported-names.ts";
import { interfaceCode, methodCode, type Signature } from "./interface-code.ts";
import type { MethodModel, ServiceModel } from "./model.ts";

/** What a client of the service can call. */
export function clientInterface(service: ServiceModel, names: NamesInUse): string {
  const doc = service.comment.length > 0 ? service.comment : [`What a client of ${service.typeName} can call.`];
  const code = members(service, names, clientSignature);
  return interfaceCode(`${service.localName}Client`, docBlock(doc, service.deprecated), code);
}

/** What a server of the service implements. */
export function handlerInterface(service: ServiceModel, names: NamesInUse): string {
  const first = `What a server of ${service.typeName} implements.`;
  const doc = service.comment.length > 0 ? [first, "", ...service.comment] : [first];
  const code = members(service, names, handlerSignature);
  return interfaceCode(`${service.localName}Handler`, docBlock(doc, service.deprecated), code);
}

/** The methods that are calls. Events and pipelines have interfaces of their own. */
function members(
  service: ServiceModel,
  names: NamesInUse,
  signature: (method: MethodModel, names: NamesInUse) => Signature,
): string[] {
  return service.methods.flatMap((method) => {
    const pattern = method.operation.pattern.case;
    if (pattern === "event" || pattern === "pipeline") return [];
    if (pattern === "ticket") return [`  // ${method.localName} is a ticket.`];
    return [methodCode(method, signature(method, names))];
  });
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
