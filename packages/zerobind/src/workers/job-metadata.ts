import { deserialize, serialize } from "node:v8";
import { Metadata } from "@zerobind/core";
import type { JobContext, OperationContext } from "@zerobind/core";

type JobName = Pick<JobContext, "batch" | "number" | "attempt">;

const key = "job-bin";

/** Says which job it is, on the way to the thread. */
export function jobMetadata({ batch, number, attempt }: JobName): Metadata {
  return new Metadata().set(key, serialize({ batch, number, attempt } satisfies JobName));
}

/** The context of a job, out of that of the call that brought it to the thread. */
export function jobContext(call: OperationContext): JobContext {
  const { batch, number, attempt } = deserialize(call.metadata.get(key) as Uint8Array) as JobName;
  return {
    ...{ batch, number, attempt },
    get signal() {
      return call.signal;
    },
    deadline: call.deadline,
    timeRemainingMs: () => call.timeRemainingMs(),
  };
}
