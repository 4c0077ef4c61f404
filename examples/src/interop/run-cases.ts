import { Channel } from "zerobind";
import type { ChannelOptions } from "zerobind";
import { TestService } from "../gen/grpc/testing/test.rpc.ts";
import type { Case } from "./case.ts";
import { describe } from "./expect.ts";
import { loadCases } from "./load-cases.ts";
import { messageCases } from "./message-cases.ts";
import { statusCases } from "./status-cases.ts";

/** In the order in which they are run. */
export const allCases: readonly Case[] = [...messageCases, ...statusCases, ...loadCases];

/** How one case went; `problem` is undefined if it passed. */
export interface Result {
  readonly name: string;
  readonly tookMs: number;
  readonly problem: string | undefined;
}

/** How many calls the cases make that make many. */
export interface Load {
  readonly iterations: number;
  readonly concurrent: number;
}

/** Runs cases against a server, one after the other, and gives each result when it is there. */
export async function* runCases(
  address: string,
  cases: readonly Case[],
  load: Load,
  options: ChannelOptions = {},
): AsyncGenerator<Result> {
  const newChannel = (): Channel => new Channel(address, options);
  await using channel = newChannel();
  const target = { channel, client: channel.client(TestService), newChannel, ...load };
  for (const { name, run, limitMs } of cases) {
    const startMs = performance.now();
    const problem = await withinLimit(run(target), limitMs);
    yield { name, tookMs: performance.now() - startMs, problem };
  }
}

/** What is wrong, or undefined. A case that hangs is left behind; its calls end with their channel. */
async function withinLimit(running: Promise<void>, limitMs: number): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`it was not done after ${limitMs / 1_000} s`), limitMs);
  });
  const outcome = await Promise.race([running.then(() => undefined, describe), limit]);
  clearTimeout(timer);
  return outcome;
}
