// `npm run bench`: calls and messages a second over TCP on loopback, client and server each a process, in rounds that
// take turns over the subjects. `--quick` does fewer rounds. What matters are the ratios of one run.
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { cpus } from "node:os";
import { bareZeromq } from "./subjects/bare-zeromq.ts";
import { zerobind } from "./subjects/zerobind.ts";
import type { Subject } from "./subject.ts";

const subjects: Record<string, Subject> = { zerobind, "bare zeromq": bareZeromq };
/** Case → subject → one figure a round. */
type Figures = Map<string, Map<string, number[]>>;

/** The compiler of the runtime needs about so long until it has seen enough of a case. */
const warmUpMs = 1_000;

function start(role: string, subject: string, ...rest: string[]): ChildProcess {
  return fork(import.meta.filename, [role, subject, ...rest], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  const [answer] = (await once(child, "message")) as unknown[];
  return answer;
}

async function round(name: string, figures: Figures): Promise<void> {
  const server = start("server", name);
  const client = start("client", name, (await answerOf(server)) as string);
  const measured = (await answerOf(client)) as Record<string, number>;
  for (const [work, figure] of Object.entries(measured)) {
    const bySubject = figures.get(work) ?? new Map<string, number[]>();
    figures.set(work, bySubject.set(name, [...(bySubject.get(name) ?? []), figure]));
  }
  const ended = Promise.all([once(server, "exit"), once(client, "exit")]);
  for (const child of [client, server]) child.kill();
  await ended;
}

async function measure(subject: Subject, address: string): Promise<Record<string, number>> {
  const measured: Record<string, number> = {};
  for (const [name, { count, work }] of Object.entries(await subject.connect(address))) {
    const warmEnd = performance.now() + warmUpMs;
    while (performance.now() < warmEnd) await work(Math.ceil(count / 10));
    const started = performance.now();
    await work(count);
    measured[name] = (count / (performance.now() - started)) * 1000;
  }
  return measured;
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? NaN;
}

function print(figures: Figures): void {
  const rows = [...figures].map(([work, bySubject]) => {
    const ours = median(bySubject.get("zerobind") ?? []);
    const bare = median(bySubject.get("bare zeromq") ?? []);
    const perSecond = (figure: number): string =>
      Number.isNaN(figure) ? "–" : Math.round(figure).toLocaleString("en");
    const ratio = Number.isNaN(bare) ? "–" : `${(ours / bare).toFixed(2)} ×`;
    return { case: work, "zerobind a second": perSecond(ours), "bare zeromq a second": perSecond(bare), ratio };
  });
  console.log(`${cpus().length} × ${cpus()[0]?.model ?? "unknown processor"}, Node ${process.version}`);
  console.table(rows);
}

async function main(): Promise<void> {
  const [role, name = "", address = ""] = process.argv.slice(2);
  const subject = subjects[name];
  if (role === "server" && subject) process.send?.(await subject.serve());
  else if (role === "client" && subject) process.send?.(await measure(subject, address));
  else {
    const figures: Figures = new Map();
    const rounds = process.argv.includes("--quick") ? 1 : 5;
    for (let number = 0; number < rounds; number++)
      for (const each of Object.keys(subjects)) await round(each, figures);
    print(figures);
  }
}

await main();
