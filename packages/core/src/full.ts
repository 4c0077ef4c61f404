import { callChecks } from "./call-options.ts";
import type { CallOptions } from "./call-options.ts";
import { checkOptions } from "./check.ts";
import type { Peer } from "./context.ts";
import { Metadata } from "./metadata.ts";

/** A reply with all that came along. */
export interface FullReply<T> {
  readonly message: T;
  readonly header: Metadata;
  readonly trailer: Metadata;
  /** The server that answered. */
  readonly peer: Peer;
}

/**
 * Makes a call that has one reply, and resolves with the reply, its header block, its trailer block and its server:
 * `const { message, trailer } = await full((options) => greeter.sayHello({ name: "Ada" }, options))`.
 * The function must pass the options on; `options` here are passed along with them. Rejects as the call does.
 */
export async function full<Reply>(
  call: (options: CallOptions) => Promise<Reply>,
  options: CallOptions = {},
): Promise<FullReply<Reply>> {
  checkOptions("call option", options, callChecks);
  let header = new Metadata();
  let trailer = new Metadata();
  let peer: Peer = { address: "" };
  const message = await call({
    ...options,
    onPeer(answering) {
      peer = answering;
      options.onPeer?.(answering);
    },
    onHeader(block) {
      header = block;
      options.onHeader?.(block);
    },
    onTrailer(block) {
      trailer = block;
      options.onTrailer?.(block);
    },
  });
  return { message, header, trailer, peer };
}
