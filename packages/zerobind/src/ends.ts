import {
  Channel as CoreChannel,
  PipelineSink as CorePipelineSink,
  PipelineWorker as CorePipelineWorker,
  QueueDevice as CoreQueueDevice,
  ServiceHost as CoreServiceHost,
  Ventilator as CoreVentilator,
  binding as bindingOf,
} from "@zerobind/core";
import type {
  BindingChoice,
  BindingLike,
  ChannelOptions as CoreChannelOptions,
  QueueDeviceOptions as CoreQueueDeviceOptions,
  PipelineSinkOptions as CorePipelineSinkOptions,
  PipelineWorkerOptions as CorePipelineWorkerOptions,
  ServiceHostOptions as CoreServiceHostOptions,
  VentilatorOptions as CoreVentilatorOptions,
} from "@zerobind/core";
import { plainWorkers } from "@zerobind/zeromq";
import type { ZeromqOptions } from "@zerobind/zeromq";
import { defaultBindings } from "./default-binding.ts";

/** How messages travel; by default what the scheme of the address says. */
interface WithBinding {
  /** One binding for all addresses, or a function that chooses by address. Default: ZeroMQ, or memory for `memory://`. */
  readonly binding?: BindingLike | BindingChoice | undefined;
  /** Options of the ZeroMQ transport, for example `{ insecure: true }`; for the default binding only. */
  readonly zeromq?: ZeromqOptions | undefined;
}

/** How a channel behaves. */
export type ChannelOptions = CoreChannelOptions & WithBinding;

/** How a service host behaves. */
export type ServiceHostOptions = CoreServiceHostOptions & WithBinding;

/** How a queue device behaves. */
export type QueueDeviceOptions = CoreQueueDeviceOptions & WithBinding;

/** How a ventilator behaves. */
export type VentilatorOptions = CoreVentilatorOptions & WithBinding;

/** Where a pipeline's worker belongs, and how it behaves. */
export type PipelineWorkerOptions = CorePipelineWorkerOptions & WithBinding;

/** How a pipeline's sink behaves. */
export type PipelineSinkOptions = CorePipelineSinkOptions & WithBinding;

/** A channel that finds its binding by the scheme of its address. See the class it extends. */
export class Channel extends CoreChannel {
  constructor(address: string | readonly string[], options: ChannelOptions = {}) {
    super(address, withBinding(options));
  }
}

/** A service host that finds its bindings by the schemes of its addresses. See the class it extends. */
export class ServiceHost extends CoreServiceHost {
  constructor(options: ServiceHostOptions = {}) {
    super(withBinding(options));
  }
}

/**
 * A queue device that finds its bindings by the schemes of its addresses; workers at `plainBackend` are plain REP
 * sockets, each with one call at a time. See the class it extends.
 */
export class QueueDevice extends CoreQueueDevice {
  constructor(options: QueueDeviceOptions) {
    super(withPlainWorkers(withBinding(options), options));
  }
}

/** A ventilator that finds its binding by the scheme of its address. See the class it extends. */
export class Ventilator extends CoreVentilator {
  constructor(address: string | readonly string[], options: VentilatorOptions = {}) {
    super(address, withBinding(options));
  }
}

/** A pipeline's worker that finds its bindings by the schemes of its addresses. See the class it extends. */
export class PipelineWorker extends CorePipelineWorker {
  constructor(options: PipelineWorkerOptions) {
    super(withBinding(options));
  }
}

/** A pipeline's sink that finds its binding by the scheme of its address. See the class it extends. */
export class PipelineSink extends CorePipelineSink {
  constructor(address: string | readonly string[], options: PipelineSinkOptions = {}) {
    super(address, withBinding(options));
  }
}

/** What is said of the plain backend, with the binding for it unless another is given. */
function withPlainWorkers<Options extends Partial<CoreQueueDeviceOptions>>(
  options: Options,
  { zeromq, plainBackend, plainBinding }: Partial<QueueDeviceOptions> = {},
): Options {
  if (plainBackend === undefined || plainBinding !== undefined) return options;
  return { ...options, plainBinding: bindingOf(plainWorkers(zeromq)) };
}

/** The options of core's ends: with the default binding unless another is given. */
function withBinding<Options extends WithBinding>(options: Options) {
  // What is no object is explained by the class that gets it.
  if (typeof options !== "object" || (options as unknown) === null) return options as never;
  if (Object.hasOwn(options, "insecure"))
    throw new TypeError("insecure is an option of the transport: write zeromq: { insecure: true }");
  const { zeromq, binding, ...rest } = options;
  if (binding === undefined) return { ...rest, binding: defaultBindings(zeromq) };
  if (zeromq !== undefined)
    throw new TypeError(
      "the option zeromq is for the default binding; give it to zeromq(...) inside of binding instead",
    );
  return { ...rest, binding };
}
