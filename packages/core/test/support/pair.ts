import { EventEmitter, once } from "node:events";
import { Channel, QueueDevice, ServiceHost } from "@zerobind/core";
import type { BindingLike, ChannelOptions, HandlerFailure, ServiceHostOptions } from "@zerobind/core";
import { Behavior } from "../gen/test/v1/behavior.rpc.ts";
import type { BehaviorClient } from "../gen/test/v1/behavior.rpc.ts";
import { BehaviorService } from "./behavior-handler.ts";

/** A transport as a suite uses it. */
export interface TransportUnderTest {
  readonly binding: BindingLike;
  /** An address to bind that is different each time, or has a wildcard. */
  address(): string;
  /** A queue device stands between the ends. */
  readonly device?: boolean;
}

/** A host that serves Behavior and a channel to it, both closed by `await using`. */
export interface Pair extends AsyncDisposable {
  readonly host: ServiceHost;
  readonly channel: Channel;
  readonly client: BehaviorClient;
  readonly service: BehaviorService;
  /** What the host's onError was told. */
  readonly failures: { error: unknown; failure: HandlerFailure }[];
}

/** Options of both ends of a pair. */
export interface PairOptions {
  readonly host?: Omit<ServiceHostOptions, "binding">;
  readonly channel?: Omit<ChannelOptions, "binding">;
}

/** Opens a host and a channel to it. */
export async function openPair(under: TransportUnderTest, options: PairOptions = {}): Promise<Pair> {
  const failures: Pair["failures"] = [];
  const service = new BehaviorService();
  const host = new ServiceHost({
    binding: under.binding,
    onError: (error, failure) => failures.push({ error, failure }),
    ...options.host,
  });
  host.serve(Behavior, service);
  const { binding } = under;
  const joined = new EventEmitter();
  const onWorker = ({ change }: { change: string }): void => void joined.emit(change);
  const device = new QueueDevice({ frontend: under.address(), backend: under.address(), binding, onWorker });
  if (under.device) {
    await device.open();
    // A call that ends while the device still holds it would never reach the service.
    const there = once(joined, "joined");
    await host.open({ address: device.addresses.backend[0]!, attach: "connect" });
    await there;
  } else await host.open(under.address());
  const channel = new Channel(under.device ? device.addresses.frontend[0]! : host.address, {
    binding: under.binding,
    ...options.channel,
  });
  const client = channel.client(Behavior);
  return {
    host,
    channel,
    client,
    service,
    failures,
    async [Symbol.asyncDispose]() {
      channel.abort();
      await channel.closed;
      device.abort();
      await device.closed;
      host.abort();
      await host.closed;
    },
  };
}

/** All items of a stream. */
export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}
