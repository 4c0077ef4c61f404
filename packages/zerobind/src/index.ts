export * from "@zerobind/core";
export { Channel, ServiceHost } from "./ends.ts";
export type { ChannelOptions, ServiceHostOptions } from "./ends.ts";
export { defaultBindings } from "./default-binding.ts";
export { zeromq } from "@zerobind/zeromq";
export type { ZeromqOptions } from "@zerobind/zeromq";
export { loadContract } from "./dynamic/load-contract.ts";
export type { LoadContractOptions } from "./dynamic/load-contract.ts";
export type {
  DynamicClient,
  DynamicFilter,
  DynamicHandler,
  DynamicMethod,
  DynamicPatterns,
  DynamicReply,
  DynamicRequest,
  JsonObject,
  JsonValue,
} from "./dynamic/types.ts";
export { workers } from "./workers/workers.ts";
export type { WorkerOptions, Workers, WorkersOf } from "./workers/workers.ts";
