import { docBlock } from "./doc-comment.ts";
import type { NamesInUse } from "./imported-names.ts";
import { interfaceCode, methodCode, type Signature } from "./interface-code.ts";
import type { MethodModel, ServiceModel } from "./model.ts";
import { quote } from "./names.ts";
import { methodsOf, patternTypesOf, type PatternType } from "./pattern-types.ts";
import { topicProperties } from "./topic.ts";

/** The interfaces for the events and pipelines of the service; none if it has no such methods. */
export function patternInterfaces(service: ServiceModel, names: NamesInUse): string[] {
  return patternTypesOf(service).map(({ pattern, member, suffix }) => {
    const { does, signature } = looks[member];
    const first = does.replace("*", service.typeName);
    const doc = service.comment.length > 0 ? [first, "", ...service.comment] : [first];
    const members = methodsOf(service, pattern).map((method) =>
      methodCode(method, signature(method, names), topicLine(method)),
    );
    return interfaceCode(`${service.localName}${suffix}`, docBlock(doc, service.deprecated), members);
  });
}

/** What an interface is for, with `*` for the service, and what its methods look like. */
interface Look {
  readonly does: string;
  readonly signature: (method: MethodModel, names: NamesInUse) => Signature;
}

const looks: Readonly<Record<PatternType["member"], Look>> = {
  publisher: { does: "What publishes the events of *.", signature: publish },
  subscriber: { does: "What subscribes to the events of *.", signature: subscribe },
  eventHandler: { does: "What takes the events of * as they come.", signature: takeEvent },
  ventilator: { does: "What gives out jobs to the workers of *.", signature: giveOut },
  worker: { does: "What a worker of * implements.", signature: work },
  sink: { does: "What takes the results of the workers of *.", signature: takeResult },
};

function topicLine({ operation: { pattern } }: MethodModel): string[] {
  return pattern.case === "event" ? [`Topic: \`${pattern.topic}\``] : [];
}

function publish({ input }: MethodModel, names: NamesInUse): Signature {
  return { parameters: [`event: ${names.runtime("MessageInit")}<${names.message(input)}>`], returns: ["void"] };
}

function subscribe({ input, operation: { pattern } }: MethodModel, names: NamesInUse): Signature {
  const event = names.message(input);
  const fields = pattern.case === "event" ? new Set(topicProperties(pattern.topic)) : new Set<string>();
  const keys = fields.size === 0 ? "never" : Array.from(fields, quote).join(" | ");
  return {
    parameters: [
      `filter?: ${names.runtime("EventFilter")}<${event}, ${keys}>`,
      `options?: ${names.runtime("SubscribeOptions")}<${event}>`,
    ],
    returns: [`${names.runtime("Subscription")}<${event}>`],
  };
}

function takeEvent({ input }: MethodModel, names: NamesInUse): Signature {
  return {
    parameters: [`event: ${names.message(input)}`, `info: ${names.runtime("EventInfo")}`],
    returns: ["void", "Promise<void>"],
  };
}

function giveOut({ input }: MethodModel, names: NamesInUse): Signature {
  const job = names.message(input);
  return {
    parameters: [`jobs: ${names.runtime("JobSource")}<${job}>`, `options?: ${names.runtime("BatchOptions")}<${job}>`],
    returns: [names.runtime("JobBatch")],
  };
}

function work({ input, output }: MethodModel, names: NamesInUse): Signature {
  const result = `${names.runtime("MessageInit")}<${names.message(output)}>`;
  return {
    parameters: [`job: ${names.message(input)}`, `context: ${names.runtime("JobContext")}`],
    returns: [result, `Promise<${result}>`],
  };
}

function takeResult({ output }: MethodModel, names: NamesInUse): Signature {
  return {
    parameters: [`result: ${names.message(output)}`, `context: ${names.runtime("ResultContext")}`],
    returns: ["void", "Promise<void>"],
  };
}
