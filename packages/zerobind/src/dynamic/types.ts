import type {
  BatchOptions,
  CallOptions,
  Contract,
  EventInfo,
  JobBatch,
  JobContext,
  JobSource,
  OperationContext,
  Prefix,
  ResponseStream,
  ResultContext,
  SubscribeOptions,
  Subscription,
} from "@zerobind/core";

/** Anything that JSON can say. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;

/**
 * A message of a contract that was loaded from its `.proto`: a plain object in the JSON form that protobuf defines.
 *
 * Fields have their camelCase names (the ones of the proto are read as well), 64-bit integers are strings, bytes are
 * base64, enums are the names of their values; a Timestamp is RFC 3339 text, a Duration text such as `"1.5s"`, an Any
 * has its type under `"@type"`. Fields that have their default are left out. Types whose JSON is no object (Timestamp,
 * Duration, FieldMask, Value, ListValue and the wrappers) stand as `{ value: … }` where a method takes or returns them.
 */
export interface JsonObject {
  readonly [field: string]: JsonValue;
}

/**
 * What a dynamic method gives: a promise if it has one reply, a stream if it has many. Which of the two it is, only
 * the `.proto` knows; use it as what it is.
 */
export type DynamicReply = Promise<JsonObject> & ResponseStream<JsonObject>;

/** One message, or, where the method streams its requests, any iterable of messages. */
export type DynamicRequest = JsonObject | AsyncIterable<JsonObject> | Iterable<JsonObject>;

/** A method of a dynamic client. */
export type DynamicMethod = (request: DynamicRequest, options?: CallOptions) => DynamicReply;

/** A client of a contract that was loaded from its `.proto`: its methods by their names in lowerCamelCase. */
export type DynamicClient = Readonly<Record<string, DynamicMethod>>;

/** A handler of such a contract: functions that take a message, or an AsyncIterable of them, and return their answer. */
export type DynamicHandler = Readonly<
  Record<string, (request: JsonObject & AsyncIterable<JsonObject>, context: OperationContext) => unknown>
>;

/** The types for the events and pipelines of such a contract: functions by the names of their methods. */
export interface DynamicPatterns {
  readonly publisher: Readonly<Record<string, (event: JsonObject) => void>>;
  readonly subscriber: Readonly<
    Record<string, (filter?: DynamicFilter, options?: SubscribeOptions<JsonObject>) => Subscription<JsonObject>>
  >;
  readonly eventHandler: Readonly<Record<string, (event: JsonObject, info: EventInfo) => void | Promise<void>>>;
  readonly ventilator: Readonly<
    Record<string, (jobs: JobSource<JsonObject>, options?: BatchOptions<JsonObject>) => JobBatch>
  >;
  readonly worker: Readonly<Record<string, (job: JsonObject, context: JobContext) => JsonObject | Promise<JsonObject>>>;
  readonly sink: Readonly<Record<string, (result: JsonObject, context: ResultContext) => void | Promise<void>>>;
}

/** Which events are wanted, by the fields of their topic. */
export type DynamicFilter = Readonly<Record<string, JsonValue | Prefix | undefined>>;

/** A contract without generated code. */
export type DynamicContract = Contract<DynamicClient, DynamicHandler, DynamicPatterns>;
