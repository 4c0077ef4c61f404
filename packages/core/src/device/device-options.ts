import type { BindingLike } from "../binding.ts";
import { isCount, isCountFrom, isFunction, kindOf } from "../check.ts";
import type { Checks } from "../check.ts";
import { endChecks } from "../end.ts";
import type { BindingChoice, EndOptions } from "../end.ts";
import type { WorkerChange } from "./call-switch.ts";

/** One address of a device. */
export interface DeviceEndpoint {
  readonly address: string;
  /** Which side of the connection the device is. Default `bind`, in front and behind. */
  readonly attach?: "bind" | "connect" | undefined;
}

/** One or several addresses; a text stands for one that the device binds. */
export type DeviceEndpoints = string | DeviceEndpoint | readonly (string | DeviceEndpoint)[];

/** How a queue device behaves. Times are in milliseconds. */
export interface QueueDeviceOptions extends EndOptions {
  /** Where clients are: channels that connect, and plain REQ sockets; with `attach: "connect"` a device or channel that binds. */
  readonly frontend: DeviceEndpoints;
  /** Where workers are: service hosts that connect; with `attach: "connect"` hosts or devices that bind. */
  readonly backend: DeviceEndpoints;
  /** Where plain REP workers of any language connect. Default: none. */
  readonly plainBackend?: DeviceEndpoints | undefined;
  /** For the addresses of `plainBackend`: a transport that makes plain workers look like others. */
  readonly plainBinding?: BindingLike | BindingChoice | undefined;
  /** Calls that may wait for a worker; more are answered RESOURCE_EXHAUSTED. Default 10,000. */
  readonly maxQueuedCalls?: number | undefined;
  /**
   * Bytes, roughly, of the calls that wait for a worker, and of the idempotent ones that are kept until they are
   * answered. Calls beyond are answered RESOURCE_EXHAUSTED, or not kept. Default 256 MiB.
   */
  readonly maxQueuedBytes?: number | undefined;
  /** Clients of all addresses together; more are refused when they say hello. Default 10,000. */
  readonly maxSessions?: number | undefined;
  /** Told of workers that join and leave. */
  readonly onWorker?: ((change: WorkerChange) => void) | undefined;
}

const areEndpoints = (name: string, value: unknown): void => {
  endpointsOf(name, value as DeviceEndpoints);
};

export const queueDeviceChecks: Checks = {
  ...endChecks,
  frontend: areEndpoints,
  backend: areEndpoints,
  plainBackend: areEndpoints,
  plainBinding: (name, value) => endChecks["binding"]?.(name, value),
  maxQueuedCalls: isCount,
  maxQueuedBytes: isCount,
  maxSessions: isCountFrom(1),
  onWorker: isFunction,
};

/** The addresses of an option, each as an object. TypeError for what is none. */
export function endpointsOf(name: string, given: DeviceEndpoints | undefined): readonly DeviceEndpoint[] {
  const list = Array.isArray(given) ? (given as readonly (string | DeviceEndpoint)[]) : [given as DeviceEndpoint];
  if (given === undefined || list.length === 0)
    throw new TypeError(`a queue device needs ${name}, for example { ${name}: "tcp://127.0.0.1:5555" }`);
  return list.map((each) => {
    const endpoint = typeof each === "string" ? { address: each } : each;
    const extra = Object.keys(endpoint ?? {}).find((key) => key !== "address" && key !== "attach");
    if (
      typeof endpoint !== "object" ||
      endpoint === null ||
      typeof endpoint.address !== "string" ||
      extra !== undefined
    )
      throw new TypeError(
        `${name} must be an address or { address, attach }, or an array of these, not ${extra === undefined ? kindOf(each) : `an object with "${extra}"`}`,
      );
    return endpoint;
  });
}
