import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Bytes that are in use now: the heap and what stands beside it. */
function usedBytes(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Runs something that goes on holding what it holds, and tells by how many bytes that has grown. */
export async function growthOf(run: () => Promise<void>): Promise<number> {
  const before = usedBytes();
  await run();
  // What was only passing is collected once the turn in which it passed is over.
  await new Promise(setImmediate);
  return usedBytes() - before;
}
