import { TestService } from "../gen/grpc/testing/test.rpc.ts";
import type { Case, Target } from "./case.ts";
import { check, describe, largeUnary } from "./expect.ts";

const limitMs = 60_000;

/** A soak sends no more calls after this, and then has failed. */
const soakMs = 50_000;

/** A call of a soak that takes longer has failed. */
const acceptableMs = 1_000;

/** Many calls, at once or one after the other. */
export const loadCases: readonly Case[] = [
  { name: "concurrent_large_unary", run: concurrentLargeUnary, limitMs },
  {
    name: "rpc_soak",
    run: ({ client, iterations }) => soak(iterations, (signal) => largeUnary(client, signal)),
    limitMs,
  },
  { name: "channel_soak", run: channelSoak, limitMs },
];

async function concurrentLargeUnary({ client, concurrent }: Target): Promise<void> {
  const outcomes = await Promise.allSettled(Array.from({ length: concurrent }, () => largeUnary(client)));
  const failed = outcomes.filter((outcome) => outcome.status === "rejected");
  check(
    failed.length === 0,
    `${failed.length} of ${concurrent} calls failed, the first: ${describe(failed[0]?.reason)}`,
  );
}

/** Every call has a channel of its own, made right before and closed right after. */
function channelSoak({ newChannel, iterations }: Target): Promise<void> {
  return soak(iterations, async (signal) => {
    await using channel = newChannel();
    await largeUnary(channel.client(TestService), signal);
  });
}

/** One after the other. The calls have no deadline of their own; what they took is looked at when all are done. */
async function soak(iterations: number, call: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const signal = AbortSignal.timeout(soakMs);
  const problems: string[] = [];
  let done = 0;
  for (; done < iterations && !signal.aborted; done++) {
    const startMs = performance.now();
    const problem = await call(signal).then(() => undefined, describe);
    const tookMs = performance.now() - startMs;
    if (problem !== undefined) problems.push(problem);
    else if (tookMs > acceptableMs) problems.push(`call ${done + 1} took ${Math.round(tookMs)} ms`);
  }
  check(done === iterations, `only ${done} of ${iterations} calls were made in ${soakMs / 1_000} s`);
  check(problems.length === 0, `${problems.length} of ${iterations} calls failed, the first: ${problems[0]}`);
}
