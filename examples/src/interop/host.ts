import { ServiceHost } from "zerobind";
import type { ServiceHostOptions } from "zerobind";
import { TestService } from "../gen/grpc/testing/test.rpc.ts";
import { interopHandler } from "./handler.ts";

/** A host that serves gRPC's test service, and not the one that nobody serves. */
export function interopHost(options: ServiceHostOptions = {}): ServiceHost {
  return new ServiceHost({ drainTimeoutMs: 1_000, ...options }).serve(TestService, interopHandler());
}
