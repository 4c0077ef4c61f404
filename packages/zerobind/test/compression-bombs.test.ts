import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as zlib from "node:zlib";
import { describe, expect, test } from "@jest/globals";

const program = fileURLToPath(new URL("./bombs/host.mjs", import.meta.url));
const describeZstd = "zstdCompressSync" in zlib ? describe : describe.skip;

for (const [name, describeKind] of [
  ["gzip", describe],
  ["zstd", describeZstd],
] as const) {
  describeKind(`a process with ${name}`, () => {
    test.each([
      ["are larger than allowed", "honest", { 8: 1000 }, 0, 160],
      ["lie about their size", "lying", { 13: 1000 }, 0, 500],
      ["are as large as is allowed", "allowed", { 0: 1000 }, 1000, 500],
      ["are kept by their handlers", "held", { 0: 1000 }, 1000, 900],
    ])("that gets 1,000 bombs at once which %s does not grow with them", async (_, kind, codes, entered, maxMiB) => {
      const { stdout } = await promisify(execFile)(process.execPath, [program, name, kind], { timeout: 30_000 });
      const told = JSON.parse(stdout) as Record<string, number>;
      expect(told).toMatchObject({ codes, entered });
      // 256 MiB, and the one that crossed it.
      expect(told["mostHeldMiB"]).toBeLessThanOrEqual(260);
      expect(told["grownMiB"]).toBeLessThan(maxMiB);
    });
  });
}
