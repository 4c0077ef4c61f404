import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "@jest/globals";
import { buildSync } from "esbuild";
import type { Allocated, Created, Held } from "./support/call-costs.ts";

/**
 * What a unary call may cost, both of its ends together, over the memory transport: a quarter above what was measured
 * on Node 20 to 24 when it was written here. Lower them when the code gets better.
 */
const bounds = {
  promises: 2.1,
  sequentialBytes: 8_500,
  concurrentBytes: 4_400,
  heldBytes: 2_048,
};

/** Runs a measurement of call-costs.ts, made of the sources, in a process where nothing else happens. */
async function measure(what: string, ...nodeFlags: string[]): Promise<unknown> {
  const { outputFiles } = buildSync({
    entryPoints: [fileURLToPath(new URL("support/call-costs.ts", import.meta.url))],
    bundle: true,
    write: false,
    format: "esm",
    platform: "node",
    target: "node20",
    conditions: ["@zerobind/source"],
  });
  const running = promisify(execFile)(process.execPath, [
    "--expose-gc",
    ...nodeFlags,
    "--input-type=module",
    "-",
    what,
  ]);
  running.child.stdin!.end(outputFiles[0]!.contents);
  return JSON.parse((await running).stdout) as unknown;
}

test("a unary call makes no timer, no AbortController and no listener, and few promises", async () => {
  const { timers, controllers, listeners, promises } = (await measure("created")) as Created;
  // The one timer of all deadlines may have been set anew.
  expect(timers).toBeLessThan(0.01);
  expect(controllers).toBe(0);
  expect(listeners).toBe(0);
  expect(promises).toBeLessThanOrEqual(bounds.promises);
});

test("one whose handler asks for its signal makes one AbortController, and nothing more", async () => {
  const { timers, controllers, listeners } = (await measure("createdWithSignal")) as Created;
  expect(timers).toBeLessThan(0.01);
  expect(controllers).toBe(1);
  expect(listeners).toBe(0);
});

test("a unary call allocates few bytes", async () => {
  // A young generation so large that nothing is collected in between.
  const flags = ["--max-semi-space-size=1024", "--min-semi-space-size=1024"];
  const { sequentialBytes, concurrentBytes, collections } = (await measure("allocated", ...flags)) as Allocated;
  expect(collections).toBe(0);
  expect(sequentialBytes).toBeLessThan(bounds.sequentialBytes);
  expect(concurrentBytes).toBeLessThan(bounds.concurrentBytes);
});

test("a unary call that is in its handler holds few bytes", async () => {
  const { bytes } = (await measure("held")) as Held;
  expect(bytes).toBeLessThan(bounds.heldBytes);
});
