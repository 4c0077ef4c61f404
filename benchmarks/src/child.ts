// The program of the measured processes: `child.js server SUBJECT` and `child.js client SUBJECT ADDRESS`. It is ready when
// it has written a first line of JSON, answers each line it reads with another, and ends when its input does.
import { createInterface } from "node:readline";
import { setImmediate } from "node:timers/promises";
import { drive } from "./driver.ts";
import { subjects } from "./subjects.ts";
import type { Answer } from "./subject.ts";

/** What this process holds once garbage is gone. `external` has the array buffers in it. */
async function memory(): Promise<Answer> {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.();
    await setImmediate();
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heldBytes: heapUsed + external, rssBytes: rss };
}

const write = (answer: unknown): boolean => process.stdout.write(`${JSON.stringify(answer)}\n`);

const [role, name = "", address = ""] = process.argv.slice(2);
const load = subjects[name]?.load;
if (!load) throw new Error(`there is no subject ${name}`);
const { subject } = await load();

let answerTo: (words: readonly string[]) => Promise<Answer>;
if (role === "server") {
  const { extras, ...serving } = await subject.serve();
  answerTo = async ([command = "", ...args]) => (await extras?.[command]?.(...args)) ?? {};
  write(serving);
} else {
  const client = await subject.connect(address);
  answerTo = (words) => drive(client, words);
  write({});
}

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const words = line.split(" ");
  void (words[0] === "memory" ? memory() : answerTo(words)).then(write, (error: unknown) =>
    write({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
lines.on("close", () => process.exit());
