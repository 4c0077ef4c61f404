// For applications.
export { Channel } from "./channel.ts";
export type { ClientOptions } from "./channel.ts";
export type { ChannelOptions } from "./channel-options.ts";
export type { Balance } from "./balance.ts";
export type { RetryBudget, RetryPolicy } from "./retry.ts";
export { ServiceHost } from "./host.ts";
export type { Endpoint, ServiceHostOptions } from "./host.ts";
export { partial } from "./service-check.ts";
export type { HandlerFailure } from "./handler-failure.ts";
export type {
  Authenticate,
  AuthenticationAttempt,
  Authorize,
  AuthorizationCall,
  AuthorizationDecision,
  AuthorizationRule,
} from "./authorization.ts";
export type { PrincipalInit } from "./principal.ts";
export type { ThrottleOptions } from "./lane.ts";
export type { HandlerClass, Instancing, MethodServeOptions, Serialize, ServeOptions } from "./serve-options.ts";
export { RpcError, errorDetail, fault } from "./rpc-error.ts";
export type { ErrorDetail, RpcErrorOptions } from "./rpc-error.ts";
export { Status, statusName } from "./status.ts";
export type { StatusCode, StatusName } from "./status.ts";
export { Metadata } from "./metadata.ts";
export type { MetadataInit, MetadataValue } from "./metadata.ts";
export { full } from "./full.ts";
export type { FullReply } from "./full.ts";
export { currentContext, detached } from "./ambient.ts";
export { ContextItems, ContextKey } from "./context.ts";
export type { OperationContext, Peer, Principal, SessionContext } from "./context.ts";
export { bearerToken } from "./call-credentials.ts";
export type { CallCredentials, CredentialsCall, TokenSource } from "./call-credentials.ts";
export type { CallOptions } from "./call-options.ts";
export { PushStream } from "./push-stream.ts";
export type { RequestStream, ResponseStream, StreamReader } from "./stream.ts";
export type { InterceptedCall, Interceptor } from "./interceptor.ts";
export type { CloseReason, LifecycleState } from "./lifecycle.ts";
export { defaultLimits } from "./limits.ts";
export type { Limits } from "./limits.ts";
export type {
  AnyMessageType,
  ClientOf,
  Contract,
  EventHandlerOf,
  HandlerOf,
  MessageInit,
  MessageType,
  MethodDescriptor,
  MethodKind,
  OperationOptions,
  OperationPattern,
  PublisherOf,
  SinkOf,
  SubscriberOf,
  VentilatorOf,
  WorkerOf,
} from "./contract.ts";
export { methodPath } from "./contract.ts";
export { Prefix, startsWith } from "./event-types.ts";
export type {
  EventEntry,
  EventFilter,
  EventGap,
  EventInfo,
  Replay,
  SubscribeOptions,
  Subscription,
  SubscriptionCounts,
} from "./event-types.ts";
export { Ventilator } from "./pipeline/ventilator.ts";
export type { VentilatorOptions } from "./pipeline/ventilator.ts";
export { PipelineWorker } from "./pipeline/worker.ts";
export type { PipelineWorkerOptions } from "./pipeline/worker.ts";
export { PipelineSink } from "./pipeline/sink.ts";
export type { PipelineSinkOptions } from "./pipeline/sink.ts";
export { plainJobs, plainResults } from "./pipeline/plain-pipeline.ts";
export type { PlainSender, PlainTaker } from "./pipeline/plain-pipeline.ts";
export type {
  BatchEndReport,
  BatchOptions,
  BatchProgress,
  BatchReport,
  DeadLetter,
  JobBatch,
  JobContext,
  JobSource,
  ResultContext,
} from "./pipeline-types.ts";
export { Binding, Exchange, RequestChannel, binding } from "./exchange.ts";
export type { ExchangeOptions } from "./exchange.ts";
export { ReplyChannel, RequestContext } from "./reply-channel.ts";
export type { ReceiveResult, ReplyChannelOptions } from "./reply-channel.ts";
export { memory } from "./memory.ts";
export { QueueDevice } from "./device/queue-device.ts";
export type { QueueDeviceAddresses, QueueDeviceStatus } from "./device/queue-device.ts";
export type { DeviceEndpoint, DeviceEndpoints, QueueDeviceOptions } from "./device/device-options.ts";
export type { WorkerChange } from "./device/call-switch.ts";

// For extension authors: transports, encoders, message elements and compressions. Not under semantic versioning yet.
export { Message } from "./message.ts";
export type { MessageParts } from "./message.ts";
export { Lifecycle } from "./lifecycle.ts";
export { hosting } from "./hosted.ts";
export type { HostedHandler } from "./hosted.ts";
export { protobuf } from "./binding.ts";
export type { CompressionElement } from "./compression.ts";
export type {
  BindingLike,
  BindingStack,
  EncoderElement,
  MessageElement,
  Need,
  StackParts,
  TransportElement,
} from "./binding.ts";
export type { BindingChoice, EndOptions } from "./end.ts";
export type {
  AttachOptions,
  Attachment,
  AttachmentListener,
  Link,
  LinkReceiver,
  PlainRequest,
  Transport,
} from "./transport.ts";
export { PlainGateway, PlainLink } from "./plain-link.ts";
export type { PlainPeer, PlainUse } from "./plain-link.ts";
export type { PlainHeaderUse } from "./plain-frames.ts";
export { metadataFromEntries, metadataToEntries } from "./metadata.ts";
export { PlainHeader } from "./gen/zerobind/v1/wire.pb.ts";
export { Status as StatusMessage } from "./gen/google/rpc/status.pb.ts";
export { EventHeader, EventRequest } from "./gen/zerobind/v1/events.pb.ts";
export type { EventAnswer, EventItem, EventLoss, EventRefusal, EventWish } from "./gen/zerobind/v1/events.pb.ts";
export type { LinkAuth } from "./link-auth.ts";
export { authBatch, readAuth, sessionTag, unauthenticatedBatch, unknownSessionBatch } from "./link-auth.ts";
export { nativeMark } from "./records.ts";
export { checkContract } from "./contract.ts";
export { logFailure } from "./handler-failure.ts";
export {
  checkOptions,
  isBoolean,
  isCount,
  isCountFrom,
  isFunction,
  isObject,
  isOneOf,
  isTime,
  kindOf,
} from "./check.ts";
export type { Check, Checks } from "./check.ts";
export { EndCounters, guarded } from "./end.ts";
