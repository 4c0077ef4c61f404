import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "@jest/globals";
import { protosFolder } from "./support/protos.ts";

const program = fileURLToPath(new URL("./workers/host.mjs", import.meta.url));

/** Runs it until it ends by itself; rejects if it ends otherwise than well, an abort of the process included. */
async function run(what: string): Promise<string[]> {
  const args = [program, what, join(protosFolder, "test/v1/behavior.proto")];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 15_000 });
  return stdout.trim().split("\n");
}

test("threads that die and hang leave the process alone", async () => {
  expect(await run("die")).toEqual([
    "echo hello 0",
    "UNAVAILABLE UNAVAILABLE DEADLINE_EXCEEDED OK alive",
    "closed closed",
  ]);
});

test("calls beside those whose threads end under load are all carried out", async () => {
  expect(await run("load")).toEqual(["echo hello 0", "390 10", "closed closed"]);
});

test("a host that is aborted while all threads hang ends with its process", async () => {
  expect(await run("closing")).toEqual(["echo hello 0", "1", "closed closed"]);
});

test("a pool that nobody closes does not keep its process alive", async () => {
  expect(await run("left")).toEqual(["echo hello 0", "closed open"]);
});
