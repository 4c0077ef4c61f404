import type { ServiceHost } from "zerobind";
import { untilStopped } from "./until-stopped.ts";

/**
 * Opens a host, prints `listening ADDRESS` for each address, and closes it when the process is asked to stop. An
 * address that cannot be used becomes one line on standard error and exit code 1.
 */
export async function serveUntilStopped(host: ServiceHost, addresses: readonly string[]): Promise<void> {
  const stopped = untilStopped();
  try {
    for (const address of await host.open(...addresses)) console.log(`listening ${address}`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
    return;
  }
  await stopped;
  await host.close();
}
