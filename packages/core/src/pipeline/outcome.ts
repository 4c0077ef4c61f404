import type { Acknowledgement } from "../gen/zerobind/v1/pipeline.pb.ts";
import { RpcError } from "../rpc-error.ts";
import { Status, toStatusCode } from "../status.ts";

/** All is well: the shortest message that there is. */
export const acknowledged: Acknowledgement = { outcome: undefined };

/** A handler failed. */
export function failedBy(error: RpcError): Acknowledgement {
  return { outcome: { $case: "failed", value: statusOf(error) } };
}

/** Nothing is wrong with the job. */
export function returnedFor(error: RpcError): Acknowledgement {
  return { outcome: { $case: "returned", value: statusOf(error) } };
}

/** What the other end said of a failure. */
export function errorIn({ outcome }: Acknowledgement): RpcError | undefined {
  if (!outcome) return undefined;
  const { code, message, details } = outcome.value;
  return new RpcError(code === Status.OK ? Status.UNKNOWN : toStatusCode(code), message, { details });
}

type StatusInit = NonNullable<Acknowledgement["outcome"]>["value"];

function statusOf({ code, message, details }: RpcError): StatusInit {
  return { code, message, details: details.map(({ typeUrl, value }) => ({ typeUrl, value })) };
}
