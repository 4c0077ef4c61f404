import { Pair } from "../children.ts";
import type { Child } from "../children.ts";
import type { Figures } from "../figures.ts";
import type { Effort, Run } from "../rounds.ts";
import type { Answer } from "../subject.ts";

const calls = 10_000;
/** So that the calls fit: a connection takes 1,000 at once by default. */
const channels = 10;
const connections = 500;

/** What calls that wait for their handlers, and connections that are idle, hold on both ends together. */
export async function measureMemory({ figures, effort, subjects }: Run): Promise<void> {
  if (!subjects.includes("zerobind")) return;
  for (let pass = 0; pass < Math.max(effort.passes, 1); pass++) await measureOnce(figures, effort);
}

/** With fresh processes: tables that have grown once do not grow again. */
async function measureOnce(figures: Figures, { quick }: Effort): Promise<void> {
  const pair = await Pair.start("zerobind");
  const { client, server } = pair;
  const hold = async (count: number): Promise<void> => {
    await client.ask(`hold ${count}`);
    await server.ask(`held ${count}`);
  };
  const release = async (): Promise<void> => {
    await server.ask("release");
    await client.ask("released");
  };
  try {
    await client.ask(`open ${channels}`);
    await server.ask(`held ${channels}`);
    await release();
    for (let warmUp = 0; warmUp < 5; warmUp++) {
      await hold(1_000);
      await release();
    }
    const begun = await both(client, server);
    await hold(calls);
    add(figures, "call held open", await both(client, server), begun, calls);
    await release();
    if (quick) return;
    const before = await both(client, server);
    await client.ask(`open ${connections}`);
    await server.ask(`held ${connections}`);
    await release();
    add(figures, "idle connection", await both(client, server), before, connections);
  } finally {
    await pair.close();
  }
}

async function both(...children: Child[]): Promise<Answer> {
  const sum: Answer = {};
  for (const child of children)
    for (const [name, value] of Object.entries(await child.ask("memory"))) sum[name] = (sum[name] ?? 0) + value;
  return sum;
}

function add(figures: Figures, what: string, after: Answer, before: Answer, count: number): void {
  const each = (name: string): number => ((after[name] ?? NaN) - (before[name] ?? NaN)) / count;
  figures.add("memory", "zerobind", `heap per ${what}`, each("heldBytes"), "bytes");
  figures.add("memory", "zerobind", `RSS per ${what}`, each("rssBytes"), "bytes");
}
