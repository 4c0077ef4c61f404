import { kindOf } from "./check.ts";
import type { BinaryReader, BinaryWriter } from "./wire.ts";

type Scalar = string | number | boolean | bigint | Date | Uint8Array | null | undefined;

/** A message as its sender may write it: every field may be left out and then has its proto default, at every depth. */
export type MessageInit<T> = T extends Scalar
  ? T
  : T extends Map<infer K, infer V>
    ? Map<K, MessageInit<V>>
    : T extends readonly (infer U)[]
      ? readonly MessageInit<U>[]
      : T extends { $case: infer C; value: infer V }
        ? { $case: C; value: MessageInit<V> }
        : T extends object
          ? { [K in keyof T]?: MessageInit<T[K]> | undefined }
          : T;

/**
 * A protobuf message type as ts-proto emits it: how values of `T` become bytes and back.
 * `decode` reads `length` bytes from the reader's position when given a reader, else the whole array.
 */
export interface MessageType<T> {
  /** Full name, for example `examples.greeter.v1.HelloRequest`. */
  readonly $type: string;
  encode(message: T, writer?: BinaryWriter): BinaryWriter;
  decode(input: BinaryReader | Uint8Array, length?: number): T;
  fromPartial(init: MessageInit<T>): T;
  /**
   * The value of a field as it stands in topics, for types whose values are not as ts-proto makes them: enums are
   * numbers, and what is left out has its default. Without it the field of the message stands in the topic as it is.
   */
  topicValue?(message: T, field: string): string | number | bigint | boolean;
}

/** A message type whose values are not known here; only generated descriptors and the codec meet it. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the erased boundary of generated descriptors
export type AnyMessageType = MessageType<any>;

/** Which sides of a method stream. */
export type MethodKind = "unary" | "server_stream" | "client_stream" | "bidi_stream";

/** The ZeroMQ pattern a method follows. `call` is answered; see `zerobind/v1/options.proto` for the others. */
export type OperationPattern =
  | { readonly case: "call" | "one_way" | "pipeline" | "ticket" }
  | {
      readonly case: "event";
      /** As in the proto: `price.{symbol}`. */
      readonly topic: string;
      /** The properties of the message that fill the braces, in their order: `["symbol"]`. */
      readonly fields: readonly string[];
    };

/** What the proto says of a method in `option (zerobind.v1.operation)` and in the standard options. */
export interface OperationOptions {
  /** Default `call`. */
  readonly pattern?: OperationPattern;
  /** Both levels allow a call to be sent again when it is not known whether it was carried out. */
  readonly idempotency?: "no_side_effects" | "idempotent";
  /** How long a caller waits when it says nothing else. Positive. */
  readonly timeoutMs?: number;
  /** Roles that a caller must hold, all of them. */
  readonly requires?: readonly string[];
  /** Messages that the method may attach to an error. */
  readonly faults?: readonly AnyMessageType[];
  readonly deprecated?: boolean;
}

/** One method of a contract. */
export interface MethodDescriptor {
  /** As in the proto: `SayHello`. */
  readonly name: string;
  /** The property of clients and handlers: `sayHello`. */
  readonly localName: string;
  readonly kind: MethodKind;
  readonly input: AnyMessageType;
  readonly output: AnyMessageType;
  readonly options?: OperationOptions;
}

/** Carries the types of a contract's clients, handlers and patterns; it has no value at run time. */
declare const contractTypes: unique symbol;

/**
 * A service of a `.proto` file: one constant that a client is made from and a handler is served by.
 * It is plain data, made by the code generator or by `loadContract`, and never changes.
 *
 * `Patterns` has the types for its events (`publisher`, `subscriber`, `eventHandler`) and its pipelines (`ventilator`,
 * `worker`, `sink`), if it has such methods.
 */
export interface Contract<Client = unknown, Handler = unknown, Patterns = unknown> {
  /** Full name, for example `examples.greeter.v1.Greeter`. */
  readonly typeName: string;
  readonly methods: readonly MethodDescriptor[];
  /** Full name of the service that the server calls back, if there is one. */
  readonly callback?: string;
  readonly [contractTypes]?: { readonly client: Client; readonly handler: Handler; readonly patterns: Patterns };
}

/** The client interface of a contract. */
export type ClientOf<C> = C extends Contract<infer Client> ? Client : never;

/** The handler interface of a contract. */
export type HandlerOf<C> = C extends Contract<infer _Client, infer Handler> ? Handler : never;

/** What publishes the events of a contract. */
export type PublisherOf<C> = PatternOf<C, "publisher">;

/** What subscribes to the events of a contract. */
export type SubscriberOf<C> = PatternOf<C, "subscriber">;

/** What takes the events of a contract as they come. */
export type EventHandlerOf<C> = PatternOf<C, "eventHandler">;

/** What gives out the jobs of a contract's pipelines. */
export type VentilatorOf<C> = PatternOf<C, "ventilator">;

/** What does the jobs of a contract's pipelines. */
export type WorkerOf<C> = PatternOf<C, "worker">;

/** What takes the results of a contract's pipelines. */
export type SinkOf<C> = PatternOf<C, "sink">;

/** `never` for a contract without such methods. */
type PatternOf<C, Name extends string> =
  C extends Contract<unknown, unknown, infer Patterns> ? (Name extends keyof Patterns ? Patterns[Name] : never) : never;

/** `package.Service/Method`, the name of a method on the wire. */
export function methodPath(contract: Contract, method: MethodDescriptor): string {
  return `${contract.typeName}/${method.name}`;
}

/** Throws TypeError for what is no contract, such as an import that is not there. */
export function checkContract(contract: unknown): void {
  const { typeName, methods } = (contract ?? {}) as Partial<Contract>;
  if (typeof typeName === "string" && Array.isArray(methods)) return;
  throw new TypeError(
    `a contract is wanted, the constant that the code generator writes for a service, not ${kindOf(contract)}; is its import right?`,
  );
}

/** What takes the methods of a pattern, for whoever has tried to call or serve them. */
const patternEnds: Readonly<Record<string, string>> = {
  event: "event: use EventPublisher and EventSubscriber",
  pipeline: "pipeline: use Ventilator, PipelineWorker and PipelineSink",
  ticket: "ticket, which this version does not have",
};

/** Throws TypeError, with what to use instead, for a contract that has methods and no calls among them. */
export function checkHasCalls(contract: Contract): void {
  const { typeName, methods } = contract;
  if (methods.length === 0 || callMethods(contract).length > 0) return;
  const cases = new Set(methods.map(({ options }) => options?.pattern?.case ?? ""));
  const uses = [...cases].map((pattern) => {
    const names = methods.filter(({ options }) => options?.pattern?.case === pattern).map(({ name }) => name);
    return `${names.join(", ")} (${patternEnds[pattern] ?? pattern})`;
  });
  throw new TypeError(`${typeName} has only methods of patterns that are no calls: ${uses.join("; ")}`);
}

/** All methods of a contract that clients may call; those of other patterns have their own stubs. */
export function callMethods(contract: Contract): readonly MethodDescriptor[] {
  return contract.methods.filter(({ options }) => {
    const pattern = options?.pattern?.case ?? "call";
    return pattern === "call" || pattern === "one_way";
  });
}
