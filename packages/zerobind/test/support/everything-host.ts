import { ServiceHost } from "zerobind";
import type { ServiceHostOptions } from "zerobind";
import { Everything } from "../gen/test/v1/everything.rpc.ts";
import { EverythingService } from "./everything-service.ts";
import { everythingProto } from "./protos.ts";

/** A host that serves Everything, closed at the end of its scope. */
export interface EverythingHost extends AsyncDisposable {
  readonly service: EverythingService;
  readonly address: string;
  /** Arguments of `zerobind call` for one of its methods. */
  callOf(method: string, ...more: string[]): string[];
}

/** Opens a host on an address. */
export async function everythingHost(address: string, options: ServiceHostOptions = {}): Promise<EverythingHost> {
  const service = new EverythingService();
  const host = new ServiceHost({ onError: () => undefined, ...options });
  host.serve(Everything, service);
  await host.open(address);
  return {
    service,
    address: host.address,
    callOf: (method, ...more) => [
      "call",
      host.address,
      `test.v1.Everything/${method}`,
      "--proto",
      everythingProto,
      ...more,
    ],
    async [Symbol.asyncDispose]() {
      host.abort();
      await host.closed;
    },
  };
}
