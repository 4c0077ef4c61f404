import { Channel as CoreChannel, ServiceHost as CoreServiceHost } from "@zerobind/core";
import type {
  BindingChoice,
  BindingLike,
  ChannelOptions as CoreChannelOptions,
  ServiceHostOptions as CoreServiceHostOptions,
} from "@zerobind/core";
import type { ZeromqOptions } from "@zerobind/zeromq";
import { defaultBindings } from "./default-binding.ts";

/** How messages travel; by default what the scheme of the address says. */
interface WithBinding {
  /** One binding for all addresses, or a function that chooses by address. Default: ZeroMQ, or memory for `memory://`. */
  readonly binding?: BindingLike | BindingChoice;
  /** Options of the ZeroMQ transport, for example `{ insecure: true }`; for the default binding only. */
  readonly zeromq?: ZeromqOptions;
}

/** How a channel behaves. */
export type ChannelOptions = CoreChannelOptions & WithBinding;

/** How a service host behaves. */
export type ServiceHostOptions = CoreServiceHostOptions & WithBinding;

/** A channel that finds its binding by the scheme of its address. See the class it extends. */
export class Channel extends CoreChannel {
  constructor(address: string | readonly string[], options: ChannelOptions = {}) {
    super(address, { binding: defaultBindings(options.zeromq), ...options });
  }
}

/** A service host that finds its bindings by the schemes of its addresses. See the class it extends. */
export class ServiceHost extends CoreServiceHost {
  constructor(options: ServiceHostOptions = {}) {
    super({ binding: defaultBindings(options.zeromq), ...options });
  }
}
