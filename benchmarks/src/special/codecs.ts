import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Run } from "../rounds.ts";
import type { CodecSample } from "./codec.ts";

/** Messages to bytes and back, without any calls, in a process of its own. */
export async function measureCodecs({ figures }: Run): Promise<void> {
  const args = [join(import.meta.dirname, "codec.js"), "5", "300"];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 1 << 24 });
  for (const { dataSet, codec, metric, bytesPerSecond } of JSON.parse(stdout) as CodecSample[])
    figures.add(`codec: ${dataSet}`, codec, metric, bytesPerSecond / 1e6, "MB/s");
}
