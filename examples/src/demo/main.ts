// Starts a greeter and a client of it, each in a process of its own, and shows what calls can do: `npm run demo`.
import { fileURLToPath } from "node:url";
import { untilStopped } from "../until-stopped.ts";
import { Program } from "./program.ts";

/** Longer than it may ever take: a demo that hangs must say so. */
const timeLimitMs = 30_000;

const pathOf = (program: string): string => fileURLToPath(new URL(program, import.meta.url));

async function demo(): Promise<void> {
  await using server = new Program(pathOf("../greeter/server.js"), ["--address", "tcp://127.0.0.1:*"]);
  const [, address = ""] = await server.line(/^listening (.+)$/);
  console.log(`a greeter is listening on ${address}\n`);

  await using client = new Program(pathOf("./client.js"), [address], (line) => console.log(line));
  await client.succeeded();
  await server.stop();
}

const limit = setTimeout(() => fail(new Error(`not done after ${timeLimitMs / 1000} s`)), timeLimitMs);
void untilStopped().then(() => fail(new Error("stopped before it was done")));
demo().then(() => {
  clearTimeout(limit);
  console.log("\ndemo: ok");
}, fail);

/** Ends the demo at once; the programs that still run end with it. */
function fail(error: unknown): never {
  console.error(`\ndemo: failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
