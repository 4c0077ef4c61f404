import { ScalarType, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { propertyName } from "./names.ts";
import { checkTopicText, topicFields } from "./topic-template.ts";

/** What is wrong with the topic of an event, whose fields in braces come from the message; undefined if nothing is. */
export function topicProblem(topic: string, message: DescMessage): string | undefined {
  const wrong = checkTopicText(topic);
  if (wrong !== undefined) return `${wrong}.`;
  for (const name of topicFields(topic)) {
    const problem = fieldProblem(topic, name, message);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** The properties that fill the braces of the topic, in their order. */
export function topicProperties(topic: string): string[] {
  return topicFields(topic).map(propertyName);
}

function fieldProblem(topic: string, name: string, message: DescMessage): string | undefined {
  const found = message.fields.find((field) => field.name === name);
  const where = `the topic ${JSON.stringify(topic)}`;
  if (found === undefined) {
    const names = message.fields.map((field) => field.name).join(", ");
    return `${where} names the field "${name}", which ${message.typeName} does not have; its fields are: ${names === "" ? "none" : names}.`;
  }
  const kind = unfitKind(found);
  return kind === undefined ? undefined : `${where} names the field "${name}", which ${kind}.`;
}

/** Why a field cannot stand in a topic. */
function unfitKind(field: DescField): string | undefined {
  const wanted = "a topic needs a string, a number, a bool or an enum";
  if (field.fieldKind === "list" || field.fieldKind === "map") return "has many values; a topic needs one";
  if (field.oneof !== undefined) return `is in the oneof ${field.oneof.name} and may not be there; take it out of it`;
  if (field.fieldKind === "message") return `is a message; ${wanted}`;
  if (field.fieldKind === "scalar" && field.scalar === ScalarType.BYTES) return `is bytes; ${wanted}`;
  return undefined;
}
