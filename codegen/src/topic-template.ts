/** The fields in the braces of a topic, as the proto writes them, in their order. */
export function topicFields(topic: string): string[] {
  return Array.from(topic.matchAll(/\{([^{}]*)\}/g), ([, name = ""]) => name);
}

/** The topic without the names of its fields: two of one shape can be one topic. */
export function topicShape(topic: string): string {
  return topic.replace(/\{[^{}]*\}/g, "{}");
}

/** What is wrong with the text of a topic, whatever its fields are; undefined if nothing is. */
export function checkTopicText(topic: string): string | undefined {
  if (topic === "") return 'event needs a topic, as in `event: { topic: "price.{symbol}" }`';
  const shown = JSON.stringify(topic);
  const literal = topic.replace(/\{[^{}]*\}/g, "");
  if (/[{}]/.test(literal))
    return `the braces of the topic ${shown} do not match; write {field} around the name of a field`;
  if (/[\p{Cc}\s]/u.test(literal))
    return `the topic ${shown} has a space or a control character in it; part words by dots, as in "price.{symbol}"`;
  return undefined;
}
