import { kindOf, Prefix } from "@zerobind/core";
import type { AnyMessageType, Contract, MethodDescriptor } from "@zerobind/core";
import { methodPath } from "@zerobind/core";
import { maxTopicBytes } from "./event-wire.ts";

const controlCharacter = /[\u0000-\u001f\u007f-\u009f]/;

/** Which topics, and which events on them, a filter lets through. */
export interface TopicFilter {
  /** What the topics begin with. */
  readonly prefix: string;
  /** Whether the prefix is the whole topic. */
  readonly exact: boolean;
  /** Whether the topic tells enough, so that `matches` need not be asked. */
  readonly settled: boolean;
  matches(event: unknown): boolean;
}

/** The topic of an event method: renders events to their topics, and filters to what they let through. */
export class TopicTemplate {
  /** `package.Service/Method`. */
  readonly path: string;
  readonly type: AnyMessageType;
  /** Roles that subscribers must hold, all of them. */
  readonly requires: readonly string[];
  /** What stands before, between and after the fields; one more than there are fields. */
  readonly #literals: readonly string[];
  readonly #fields: readonly string[];

  constructor(contract: Contract, method: MethodDescriptor) {
    const pattern = method.options?.pattern;
    this.path = methodPath(contract, method);
    if (pattern?.case !== "event") throw new TypeError(`${this.path} is no event: it has no topic`);
    this.type = method.input;
    this.requires = method.options?.requires ?? [];
    this.#fields = pattern.fields;
    this.#literals = pattern.topic.split(/\{[^{}]*\}/);
    if (this.#literals.length !== pattern.fields.length + 1)
      throw new TypeError(`the topic ${JSON.stringify(pattern.topic)} of ${this.path} does not fit its fields`);
  }

  /** What all its topics begin with. */
  get prefix(): string {
    return this.#literals[0]!;
  }

  /** The topic of an event. TypeError, naming the field, for one that cannot stand in a topic. */
  render(event: unknown): string {
    let topic = this.#literals[0]!;
    for (let index = 0; index < this.#fields.length; index++) {
      topic += this.#text(this.#valueOf(event, index), index) + this.#literals[index + 1]!;
    }
    this.#checkLength(topic);
    return topic;
  }

  /** What a filter stands for. TypeError for fields that are not in the topic and values that cannot be. */
  filter(given: object | undefined): TopicFilter {
    const wanted = this.#wanted(given ?? {});
    let prefix = this.#literals[0]!;
    let count = 0;
    for (; count < wanted.length; count++) {
      const value = wanted[count];
      if (typeof value !== "string") {
        prefix += value?.text ?? "";
        break;
      }
      prefix += value + this.#literals[count + 1]!;
    }
    this.#checkLength(prefix);
    const exact = count === wanted.length;
    const fieldless = wanted.every((value) => value === undefined);
    // With one field alone, two values cannot make the same topic.
    const settled = fieldless || (wanted.length === 1 && (exact || this.#literals[1] === ""));
    return { prefix, exact, settled, matches: (event) => this.#matches(wanted, event) };
  }

  /** By field of the topic: its text, what it begins with, or anything. */
  #wanted(given: object): (string | Prefix | undefined)[] {
    if (typeof given !== "object" || Array.isArray(given))
      throw new TypeError(`the filter of ${this.path} must be an object, not ${kindOf(given)}`);
    for (const name in given) {
      if (this.#fields.includes(name)) continue;
      const known = this.#fields.length === 0 ? "no fields" : `only ${this.#fields.join(", ")}`;
      throw new TypeError(`the topic of ${this.path} has ${known}, so nothing can be filtered by "${name}"`);
    }
    return this.#fields.map((name, index) => {
      const value = (given as Record<string, unknown>)[name];
      if (value === undefined) return undefined;
      if (!(value instanceof Prefix)) return this.#text(value, index);
      if (controlCharacter.test(value.text)) throw this.#wrong(index, "has a control character");
      return value;
    });
  }

  #matches(wanted: readonly (string | Prefix | undefined)[], event: unknown): boolean {
    return wanted.every((value, index) => {
      if (value === undefined) return true;
      const found = String(this.#valueOf(event, index));
      return typeof value === "string" ? found === value : found.startsWith(value.text);
    });
  }

  #valueOf(event: unknown, index: number): unknown {
    const name = this.#fields[index]!;
    return this.type.topicValue?.(event, name) ?? (event as Record<string, unknown>)[name];
  }

  #text(value: unknown, index: number): string {
    if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return String(value);
    if (typeof value !== "string") throw this.#wrong(index, `is ${kindOf(value)}`);
    if (value === "") throw this.#wrong(index, "is empty");
    if (controlCharacter.test(value)) throw this.#wrong(index, "has a control character");
    return value;
  }

  #checkLength(topic: string): void {
    if (topic.length * 3 <= maxTopicBytes || Buffer.byteLength(topic) <= maxTopicBytes) return;
    throw new TypeError(
      `the topic of ${this.path} would have ${Buffer.byteLength(topic)} bytes, more than the ${maxTopicBytes} that are possible`,
    );
  }

  #wrong(index: number, problem: string): TypeError {
    return new TypeError(
      `the field "${this.#fields[index]!}" of ${this.path} ${problem}, and it stands in the topic: give it a text without control characters, a number or a boolean`,
    );
  }
}

/** The templates of all event methods of a contract, by the names that stubs have for them. */
export function eventMethods(contract: Contract): Map<string, TopicTemplate> {
  const methods = contract.methods.filter(({ options }) => options?.pattern?.case === "event");
  if (methods.length === 0)
    throw new TypeError(
      `${contract.typeName} has no events: mark them with option (zerobind.v1.operation) = { event: { topic: "…" } }`,
    );
  return new Map(methods.map((method) => [method.localName, new TopicTemplate(contract, method)]));
}
