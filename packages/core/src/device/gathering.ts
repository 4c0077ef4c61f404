import { maxFragmented } from "../backlog.ts";
import { StrangeCompressionError } from "../compression.ts";
import { Joiner } from "../joiner.ts";
import type { Limits } from "../limits.ts";
import { Flag } from "../records.ts";
import type { BatchReader } from "../records.ts";
import { RpcError } from "../rpc-error.ts";
import { Status } from "../status.ts";
import { payloadOf } from "./passing.ts";

/** A session that messages come by. */
export interface GatheringPort {
  readonly limits: Limits;
  /** Messages of which some fragments have come, but not all. */
  joining: number;
}

/** One direction of a call, with the message that is being joined from its fragments. */
export interface Gathering {
  joiner: Joiner | undefined;
}

/** There is more to come of the message. */
export const unfinished: unique symbol = Symbol("unfinished");

/**
 * The message of a record, undefined if it has none; or what is wrong with it. Messages go on when they are there as a
 * whole: one that stops in the middle must not take the place of others at its receiver, which joins a few at once.
 */
export function messageOf(
  port: GatheringPort,
  half: Gathering,
  batch: BatchReader,
): Uint8Array | undefined | RpcError | typeof unfinished {
  const { flags, bodyLength } = batch;
  const { joiner } = half;
  if (joiner === undefined && (flags & Flag.MESSAGE) !== 0 && (flags & Flag.COMPRESSED) !== 0)
    return new RpcError(Status.UNIMPLEMENTED, `a message came ${new StrangeCompressionError(undefined, []).message}`);
  if (joiner === undefined && (flags & Flag.MORE) === 0)
    return bodyLength > port.limits.maxMessageBytes ? tooLarge(port, bodyLength) : payloadOf(batch);
  if ((flags & Flag.MESSAGE) === 0)
    return (flags & Flag.END) === 0
      ? joiner && unfinished
      : new RpcError(Status.INTERNAL, "a message was cut off: its last fragment is missing");
  if (joiner === undefined && port.joining >= maxFragmented)
    return new RpcError(Status.RESOURCE_EXHAUSTED, `fragments of more than ${maxFragmented} messages came at once`);
  if (joiner === undefined) port.joining += 1;
  const gathered = joiner ?? (half.joiner = new Joiner());
  const bytes = gathered.bytes + bodyLength;
  if (bytes > port.limits.maxMessageBytes) return tooLarge(port, bytes);
  gathered.add(batch);
  if ((flags & Flag.MORE) !== 0) return unfinished;
  dropParts(port, half);
  return gathered.joined();
}

/** Forgets what has come of a message. */
export function dropParts(port: GatheringPort, half: Gathering): void {
  if (half.joiner === undefined) return;
  half.joiner = undefined;
  port.joining -= 1;
}

function tooLarge({ limits: { maxMessageBytes } }: GatheringPort, bytes: number): RpcError {
  return new RpcError(
    Status.RESOURCE_EXHAUSTED,
    `a message of at least ${bytes} bytes came, more than the ${maxMessageBytes} that the device accepts (its limit maxMessageBytes)`,
  );
}
