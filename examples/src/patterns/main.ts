// `npm run example -- NAME` plays one example in real processes, in less than ten seconds. Without a name it says which
// there are. `node examples/dist/patterns/main.js NAME ROLE …` is one of these processes.
import { untilStopped } from "../until-stopped.ts";
import { callback } from "./callback.ts";
import { duplexChat } from "./duplex-chat.ts";
import { events } from "./events.ts";
import { Stage } from "./example.ts";
import type { Example } from "./example.ts";
import { oneWay } from "./one-way.ts";
import { pipeline } from "./pipeline.ts";
import { queue } from "./queue.ts";
import { workerThreads } from "./workers.ts";

const examples: Readonly<Record<string, Example>> = {
  queue,
  events,
  pipeline,
  "one-way": oneWay,
  workers: workerThreads,
  callback,
  "duplex-chat": duplexChat,
};

/** Longer than any example may take: one that hangs must say so. */
const timeLimitMs = 30_000;

function list(): void {
  const width = Math.max(...Object.keys(examples).map(({ length }) => length));
  console.log("npm run example -- NAME\n");
  for (const [name, { title }] of Object.entries(examples)) console.log(`  ${name.padEnd(width)}  ${title}`);
}

async function play(name: string, example: Example): Promise<void> {
  const fail = (error: unknown): never => {
    console.error(`\nexample ${name}: failed: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  };
  const limit = setTimeout(() => fail(new Error(`not done after ${timeLimitMs / 1000} s`)), timeLimitMs);
  void untilStopped().then(() => fail(new Error("stopped before it was done")));
  await example.play(new Stage(name)).catch(fail);
  clearTimeout(limit);
  console.log(`\nexample ${name}: ok`);
}

const [name, role, ...args] = process.argv.slice(2);
const example = name !== undefined && Object.hasOwn(examples, name) ? examples[name] : undefined;
if (name === undefined || name === "--help") list();
else if (!example) {
  console.error(`there is no example ${JSON.stringify(name)}; there are ${Object.keys(examples).join(", ")}`);
  process.exitCode = 2;
} else if (role === undefined) await play(name, example);
else {
  const act = Object.hasOwn(example.roles, role) ? example.roles[role] : undefined;
  if (!act) throw new Error(`${name} has no role ${role}`);
  await act(...args);
}
