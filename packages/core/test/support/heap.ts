import { setTimeout as delay } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Bytes that are in use: the heap and what stands beside it. Buffers are freed in the background, a little later. */
async function usedBytes(): Promise<number> {
  let least = Infinity;
  for (let round = 0; round < 3; round++) {
    collectGarbage();
    await delay(5);
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    least = Math.min(least, heapUsed + arrayBuffers);
  }
  return least;
}

/** Runs something that goes on holding what it holds, and tells by how many bytes that has grown. */
export async function growthOf(run: () => Promise<void>): Promise<number> {
  const before = await usedBytes();
  await run();
  return (await usedBytes()) - before;
}
