import { ScalarType, type DescMessage } from "@bufbuild/protobuf";

/** What is wrong with the topic of an event, whose fields in braces come from the message; undefined if nothing is. */
export function topicProblem(topic: string, message: DescMessage): string | undefined {
  if (topic === "") return 'event needs a topic, as in `event: { topic: "price.{symbol}" }`.';
  const literal = topic.replace(/\{[^{}]*\}/g, "");
  if (/[{}]/.test(literal))
    return `the braces of the topic ${JSON.stringify(topic)} do not match; write {field} around the name of a field.`;
  for (const [, name = ""] of topic.matchAll(/\{([^{}]*)\}/g)) {
    const problem = fieldProblem(topic, name, message);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function fieldProblem(topic: string, name: string, message: DescMessage): string | undefined {
  const found = message.fields.find((field) => field.name === name);
  const where = `the topic ${JSON.stringify(topic)}`;
  if (found === undefined) {
    const names = message.fields.map((field) => field.name).join(", ");
    return `${where} names the field "${name}", which ${message.typeName} does not have; its fields are: ${names === "" ? "none" : names}.`;
  }
  if (found.fieldKind === "list" || found.fieldKind === "map")
    return `${where} names the field "${name}", which has many values; a topic needs one.`;
  if (found.fieldKind === "message")
    return `${where} names the field "${name}", which is a message; a topic needs a string, a number, a bool or an enum.`;
  if (found.fieldKind === "scalar" && found.scalar === ScalarType.BYTES) {
    return `${where} names the field "${name}", which is bytes; a topic needs a string, a number, a bool or an enum.`;
  }
  return undefined;
}
