import type { Case } from "./case.ts";
import { describe } from "./expect.ts";
import { runCases } from "./run-cases.ts";
import type { Load, Result } from "./run-cases.ts";
import { mark, problems, summary, table } from "./table.ts";
import type { Column } from "./table.ts";
import { startServer } from "./transports.ts";
import type { TransportName } from "./transports.ts";

/** Runs cases over each of the transports, prints a mark for each as it is done, and a table. False if one failed. */
export async function runAll(names: readonly TransportName[], cases: readonly Case[], load: Load): Promise<boolean> {
  console.log(`${cases.length} cases over ${names.join(", ")}`);
  console.log("(tcp, ipc and ws with the server in a process of its own; inproc and memory within this one)\n");
  const columns: Column[] = [];
  const startMs = performance.now();
  for (const transport of names) {
    process.stdout.write(`${transport.padEnd(7)} `);
    const results = await runOver(transport, cases, load);
    const tookMs = results.reduce((sum, result) => sum + result.tookMs, 0);
    console.log(` ${(tookMs / 1_000).toFixed(1)} s`);
    columns.push({ transport, results });
  }
  console.log(`\n${table(columns).join("\n")}\n`);
  for (const problem of problems(columns)) console.log(problem);
  console.log(`milliseconds for each; all in ${((performance.now() - startMs) / 1_000).toFixed(1)} s`);
  console.log(summary(columns));
  return problems(columns).length === 0;
}

async function runOver(transport: TransportName, cases: readonly Case[], load: Load): Promise<Result[]> {
  const server = await startServer(transport);
  const results: Result[] = [];
  for await (const result of runCases(server.address, cases, load)) {
    results.push(result);
    process.stdout.write(mark(result));
  }
  const startMs = performance.now();
  const problem = await server.stop().then(() => undefined, describe);
  if (problem !== undefined) results.push({ name: "end of the server", tookMs: performance.now() - startMs, problem });
  return results;
}
