import type { TopicTemplate } from "./topic-template.ts";

/** The event with all its fields. TypeError for values that its type cannot have. */
export function wholeMessage(template: TopicTemplate, event: object): unknown {
  try {
    return template.type.fromPartial(event);
  } catch (cause) {
    throw unfit(template, cause);
  }
}

export function encodeEvent(template: TopicTemplate, message: unknown): Uint8Array {
  try {
    return template.type.encode(message).finish();
  } catch (cause) {
    throw unfit(template, cause);
  }
}

function unfit({ path, type }: TopicTemplate, cause: unknown): TypeError {
  const problem = cause instanceof Error ? cause.message : String(cause);
  return new TypeError(`${path}: the event is no ${type.$type}: ${problem}`, { cause });
}
