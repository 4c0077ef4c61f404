import { Channel, QueueDevice, ServiceHost, binding, memory } from "@zerobind/core";
import type { BindingLike, ChannelOptions, QueueDeviceOptions, ServiceHostOptions, WorkerChange } from "@zerobind/core";
import { Behavior } from "../gen/test/v1/behavior.rpc.ts";
import type { BehaviorClient } from "../gen/test/v1/behavior.rpc.ts";
import { BehaviorService } from "./behavior-handler.ts";

export const stack = binding(memory());

/** A host behind a device. */
export interface TestWorker<Service extends BehaviorService> {
  readonly host: ServiceHost;
  readonly service: Service;
}

/** Options whose binding is the one of the tests unless it is given. */
type MaybeBound<Options> = Partial<Options> & { readonly binding?: BindingLike };

/** A device over memory with the workers and clients that a test asks for, all closed by `await using`. */
export class DeviceUnderTest implements AsyncDisposable {
  readonly device: QueueDevice;
  /** What its onTrouble was told, and its onWorker. */
  readonly troubles: string[] = [];
  readonly changes: WorkerChange[] = [];
  #changed: () => void = () => undefined;
  readonly #closing: (() => Promise<unknown>)[] = [];

  private constructor(options: MaybeBound<QueueDeviceOptions>) {
    this.device = new QueueDevice({
      frontend: "memory://*",
      backend: "memory://*",
      binding: stack,
      onTrouble: (problem) => this.troubles.push(problem),
      onWorker: (change) => {
        this.changes.push(change);
        this.#changed();
      },
      ...options,
    });
  }

  static async open(options: MaybeBound<QueueDeviceOptions> = {}): Promise<DeviceUnderTest> {
    const under = new DeviceUnderTest(options);
    await under.device.open();
    return under;
  }

  get frontend(): string {
    return this.device.addresses.frontend[0]!;
  }

  get backend(): string {
    return this.device.addresses.backend[0]!;
  }

  /** Resolves when so many workers are there. */
  async workers(count: number): Promise<void> {
    while (this.device.status.workers !== count) await new Promise<void>((resolve) => (this.#changed = resolve));
  }

  /** Resolves when something is so, looking in each turn of the event loop. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
  }

  /** A host that has joined. */
  worker(options?: MaybeBound<ServiceHostOptions>): Promise<TestWorker<BehaviorService>>;
  worker<Service extends BehaviorService>(
    options: MaybeBound<ServiceHostOptions>,
    service: Service,
  ): Promise<TestWorker<Service>>;
  async worker(
    options: MaybeBound<ServiceHostOptions> = {},
    service = new BehaviorService(),
  ): Promise<TestWorker<BehaviorService>> {
    const { workers } = this.device.status;
    const host = new ServiceHost({ binding: stack, onError: () => undefined, ...options });
    host.serve(Behavior, service);
    await host.open({ address: this.backend, attach: "connect" });
    this.#closing.push(() => (host.abort(), host.closed));
    await this.workers(workers + 1);
    return { host, service };
  }

  /** A client of a channel of its own, which tries nothing again unless its options say so. */
  client(options: MaybeBound<ChannelOptions> = {}): BehaviorClient & { channel: Channel } {
    const channel = new Channel(this.frontend, { binding: stack, retry: false, ...options });
    this.#closing.push(() => (channel.abort(), channel.closed));
    return { ...channel.client(Behavior), channel };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closing.reverse()) await close();
    this.device.abort();
    await this.device.closed;
  }
}
