// gRPC's interop tests: its test service, and the cases that call it. docs/interop.md says which.
//
//   npm run interop                                                   all cases over all transports
//   npm run interop -- --server --address tcp://127.0.0.1:5557        one half,
//   npm run interop -- --client --address tcp://127.0.0.1:5557        and the other
//
// Exit code 0: all passed. 1: something failed. 2: the command line makes no sense.
import { untilStopped } from "../until-stopped.ts";
import { runAll } from "./all.ts";
import { UsageError, toTask, usage } from "./arguments.ts";
import type { Task } from "./arguments.ts";
import { call, serve } from "./halves.ts";
import { describe } from "./expect.ts";

/** Longer than it may ever take: tests that hang must say so. */
const timeLimitMs = 300_000;

async function carryOut(task: Task): Promise<boolean> {
  if (task.kind === "server") {
    await serve(task.address, task.insecure);
    return true;
  }
  void untilStopped().then(() => giveUp("stopped before it was done"));
  setTimeout(() => giveUp(`not done after ${timeLimitMs / 1_000} s`), timeLimitMs).unref();
  if (task.kind === "client") return await call(task.address, task.insecure, task.cases, task.load);
  return await runAll(task.transports, task.cases, task.load);
}

/** Ends the program in the middle of its work, perhaps of a line. */
function giveUp(problem: string): never {
  console.log();
  fail(problem, 1);
}

/** Ends the program at once; the servers that it started end with it. */
function fail(problem: string, code: 1 | 2): never {
  console.error(`interop: ${problem}`);
  process.exit(code);
}

try {
  if (!(await carryOut(toTask(process.argv.slice(2))))) process.exitCode = 1;
} catch (error) {
  if (error instanceof UsageError) fail(`${error.message}\n\n${usage}`, 2);
  fail(describe(error), 1);
}
