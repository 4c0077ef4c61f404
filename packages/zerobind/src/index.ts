export * from "@zerobind/core";
export { Channel, PipelineSink, PipelineWorker, QueueDevice, ServiceHost, Ventilator } from "./ends.ts";
export type {
  ChannelOptions,
  PipelineSinkOptions,
  PipelineWorkerOptions,
  QueueDeviceOptions,
  ServiceHostOptions,
  VentilatorOptions,
} from "./ends.ts";
export { defaultBindings } from "./default-binding.ts";
export {
  EventPublisher,
  EventSubscriber,
  ForwarderDevice,
  StreamerDevice,
  curveClient,
  loadKeyPair,
  loadPublicKey,
  makeKeyPair,
  plainWorkers,
  pushPull,
  saveKeyPair,
  serverCurve,
  zeromq,
} from "@zerobind/zeromq";
export type {
  Allow,
  AllowFunction,
  AllowedKey,
  AuthorizeEvents,
  ClientCurve,
  CurveClientOptions,
  CurveKeyPair,
  CurveOption,
  DeviceSide,
  EventAuthorization,
  EventFailure,
  EventPublisherOptions,
  EventSubscriberOptions,
  ForwarderOptions,
  KeyFile,
  KeyHolder,
  KeyVariable,
  PrincipalInit,
  PublicKeySource,
  PumpAddresses,
  PumpOptions,
  PushPullOptions,
  ReplayOptions,
  SaveKeyPairOptions,
  SecretKeySource,
  ServerCurve,
  ServerCurveOptions,
  StreamerOptions,
  SubscriberWish,
  ZeromqOptions,
} from "@zerobind/zeromq";
export { gzip, zstd } from "./compression.ts";
export type { CompressionOptions } from "./compression.ts";
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
export type { ThreadLimits, WorkerOptions, Workers, WorkersOf } from "./workers/workers.ts";
