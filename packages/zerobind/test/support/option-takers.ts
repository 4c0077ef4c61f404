import {
  Channel,
  EventPublisher,
  EventSubscriber,
  ForwarderDevice,
  PipelineSink,
  PipelineWorker,
  QueueDevice,
  ReplyChannel,
  ServiceHost,
  StreamerDevice,
  Ventilator,
  binding,
  makeKeyPair,
  memory,
  pushPull,
  serverCurve,
  workers,
  zeromq,
} from "zerobind";
import type { ChannelOptions, ServiceHostOptions } from "zerobind";
import { Imaging, Prices } from "../../../core/test/gen/test/v1/patterns.rpc.ts";
import type { DynamicContract } from "../../src/dynamic/types.ts";

const address = "memory://semantics";
const sides = { frontend: "inproc://front", backend: "inproc://back" };

/** Gives an option to what takes it; for each table of options in docs/semantics.md. Nothing stays open. */
export const takers: Readonly<Record<string, (greeter: DynamicContract, option: string, value: number) => unknown>> = {
  Limits: (_, option, value) => [host({ limits: { [option]: value } }), channel({ limits: { [option]: value } })],
  EndOptions: (_, option, value) => [host({ [option]: value }), channel({ [option]: value })],
  ChannelOptions: (_, option, value) => channel({ [option]: value }),
  CallOptions: (greeter, option, value) => {
    const ping = channel({}).client(greeter)["sayHello"]!;
    // An aborted call makes no traffic, whatever else it says.
    ping({}, { [option]: value, signal: AbortSignal.abort() }).catch(() => undefined);
  },
  RetryPolicy: (_, option, value) => channel({ retry: { [option]: value } }),
  RetryBudget: (_, option, value) => channel({ retryBudget: { [option]: value } }),
  ServiceHostOptions: (_, option, value) => host({ [option]: value }),
  ThrottleOptions: (greeter, option, value) =>
    host({}).serve(greeter, { sayHello: () => ({}), countdown: () => [] }, { throttle: { [option]: value } }),
  ReplyChannelOptions: (_, option, value) => new ReplyChannel(address, binding(memory()), { [option]: value }),
  ServerCurveOptions: (_, option, value) => serverCurve({ secretKey: makeKeyPair(), allow: [], [option]: value }),
  ZeromqOptions: (_, option, value) =>
    zeromq({
      ...(option === "heartbeatIntervalMs" && { heartbeatTimeoutMs: 6_553_500 }),
      ...(option === "heartbeatTimeoutMs" && { heartbeatIntervalMs: 1 }),
      ...(option === "reconnectMinMs" && { reconnectMaxMs: 0x7fffffff }),
      ...(option === "reconnectMaxMs" && { reconnectMinMs: 1 }),
      [option]: value,
    }),
  QueueDeviceOptions: (_, option, value) =>
    new QueueDevice({ frontend: "memory://front", backend: "memory://back", [option]: value }),
  EventPublisherOptions: (_, option, value) => new EventPublisher("inproc://semantics", { [option]: value }),
  ReplayOptions: (_, option, value) => new EventPublisher("inproc://semantics", { replay: { [option]: value } }),
  EventSubscriberOptions: (_, option, value) => new EventSubscriber("inproc://semantics", { [option]: value }),
  SubscribeOptions: (_, option, value) => {
    const inbox = new EventSubscriber("inproc://semantics");
    try {
      inbox.subscriber(Prices).priceChanged({}, { [option]: value });
    } finally {
      inbox.abort();
    }
  },
  VentilatorOptions: (_, option, value) => new Ventilator(address, { [option]: value }),
  BatchOptions: (_, option, value) => {
    const ventilator = new Ventilator(address);
    try {
      ventilator.ventilator(Imaging).resize([], { [option]: value });
    } finally {
      ventilator.abort();
    }
  },
  PipelineWorkerOptions: (_, option, value) => new PipelineWorker({ from: address, to: address, [option]: value }),
  PipelineSinkOptions: (_, option, value) => new PipelineSink(address, { [option]: value }),
  PushPullOptions: (_, option, value) => pushPull({ [option]: value }),
  PumpOptions: (_, option, value) => [
    new ForwarderDevice({ ...sides, [option]: value }),
    new StreamerDevice({ ...sides, [option]: value }),
  ],
  ForwarderOptions: (_, option, value) => new ForwarderDevice({ ...sides, [option]: value }),
  StreamerOptions: (_, option, value) => new StreamerDevice({ ...sides, [option]: value }),
  WorkerOptions: (greeter, option, value) => workers(greeter, "worker.js", { [option]: value }),
};

function host(options: ServiceHostOptions): ServiceHost {
  return new ServiceHost(options);
}

function channel(options: ChannelOptions): Channel {
  return new Channel(address, options);
}
