import type { Channel } from "zerobind";
import type { TestServiceClient } from "../gen/grpc/testing/test.rpc.ts";

/** What a case is run against. */
export interface Target {
  readonly channel: Channel;
  /** Of the channel. */
  readonly client: TestServiceClient;
  /** Another channel to the same server. */
  readonly newChannel: () => Channel;
  /** How many calls a soak makes, one after the other. */
  readonly iterations: number;
  /** How many calls are made at once where many are. */
  readonly concurrent: number;
}

/** One of the cases. `run` throws, saying what came in the place of what, unless everything is as it should be. */
export interface Case {
  readonly name: string;
  readonly run: (target: Target) => Promise<void>;
  /** Longer than it may ever take. */
  readonly limitMs: number;
}
