import { Channel, RpcError, Status } from "zerobind";
import type { ChannelOptions } from "zerobind";
import { TestService } from "../gen/grpc/testing/test.rpc.ts";
import { untilStopped } from "../until-stopped.ts";
import { withAddress } from "./arguments.ts";
import type { Case } from "./case.ts";
import { interopHost } from "./host.ts";
import { runCases } from "./run-cases.ts";
import type { Load, Result } from "./run-cases.ts";
import { mark, milliseconds, problems, summary } from "./table.ts";

/** How long the calling half waits for its server to be there. */
const connectTimeoutMs = 5_000;

/** The serving half: prints its address and serves until the process is asked to stop. */
export async function serve(address: string, insecure: boolean): Promise<void> {
  const stopped = untilStopped();
  const host = interopHost({ zeromq: { insecure } });
  await withAddress(() => host.open(address));
  console.log(`listening on ${host.address}`);
  await stopped;
  await host.close();
}

/** The calling half: prints a line for each case. False if one failed. */
export async function call(address: string, insecure: boolean, cases: readonly Case[], load: Load): Promise<boolean> {
  const options = { zeromq: { insecure }, connectTimeoutMs };
  await checkServer(address, options);
  const width = Math.max(...cases.map(({ name }) => name.length));
  const results: Result[] = [];
  for await (const result of runCases(address, cases, load, options)) {
    results.push(result);
    const { name, problem = "" } = result;
    console.log(`${mark(result)} ${name.padEnd(width)} ${milliseconds(result).padStart(7)} ms  ${problem}`.trimEnd());
  }
  const columns = [{ transport: address, results }];
  console.log(summary(columns));
  return problems(columns).length === 0;
}

/** One call tells whether anybody is there; else each case would wait for it by itself. */
async function checkServer(address: string, options: ChannelOptions): Promise<void> {
  await using channel = await withAddress(() => new Channel(address, options));
  try {
    await channel.client(TestService).emptyCall({});
  } catch (error) {
    if (error instanceof RpcError && error.code === Status.UNAVAILABLE) throw error;
  }
}
