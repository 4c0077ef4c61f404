import type { CallOptions } from "../call-options.ts";
import type { Acknowledgement } from "../gen/zerobind/v1/pipeline.pb.ts";
import type { IncomingCall } from "../operation.ts";
import { RpcError } from "../rpc-error.ts";
import { Status } from "../status.ts";
import { pauseMs } from "./job.ts";
import { failedBy, returnedFor } from "./outcome.ts";

/** How often a result is offered to a sink whose handler throws, before the job counts as failed. */
const maxOffers = 3;
const firstPauseMs = 100;

/** Calls a method of the sink. */
type SendToSink = (message: unknown, options: CallOptions) => Promise<Acknowledgement>;

/** Delivers for a call of the ventilator, within its deadline; gives what the ventilator is to be told. Never rejects. */
export type Deliver = (message: unknown, call: IncomingCall) => Promise<Acknowledgement>;

/** A sink may go away as often as it likes: it knows what it has had, and the lease bounds the time. */
const retry = { maxAttempts: Infinity, initialBackoffMs: 50, maxBackoffMs: 1_000, codes: [Status.UNAVAILABLE] };
/** As good as none. */
export const retryBudget = { maxTokens: 1e15 } as const;

/** What takes results, or ends of batches, to the sink. */
export function delivery(path: string, send: SendToSink): Deliver {
  return async (message, call) => {
    for (let offers = 1; ; offers++) {
      const leftMs = call.timeRemainingMs();
      // What is over may be another worker's already.
      if (call.ended || leftMs <= 0)
        return returnedFor(new RpcError(Status.DEADLINE_EXCEEDED, `${path}: the lease was over before the delivery`));
      const outcome = await offer(send, message, leftMs);
      if (outcome.outcome?.$case !== "failed" || offers === maxOffers) return outcome;
      const ms = pauseMs(firstPauseMs, offers);
      if (ms >= call.timeRemainingMs()) return outcome;
      await new Promise((resolve) => setTimeout(resolve, ms));
    }
  };
}

async function offer(send: SendToSink, message: unknown, leftMs: number): Promise<Acknowledgement> {
  // So that there is time to give the job back, which does not count against it.
  const timeoutMs = leftMs - Math.min(500, leftMs / 5);
  try {
    return await send(message, { timeoutMs, waitForReady: true, retry });
  } catch (thrown) {
    const error = RpcError.from(thrown);
    const told = new RpcError(error.code, `its result could not be delivered: ${error.message}`, error);
    return awayCodes.includes(error.code) ? returnedFor(told) : failedBy(told);
  }
}

/** Nothing is said against the result. */
const awayCodes: readonly number[] = [Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED, Status.CANCELLED];
