import type { CheckKind } from "./harness/checks.ts";
import { runScenario } from "./harness/run.ts";
import type { Misdeed } from "./peer/commands.ts";

/** What a process does wrong, and the kind of check that must notice. */
const misdeeds: readonly (readonly [misdeed: Misdeed, noticedBy: CheckKind])[] = [
  ["never end", "endings"],
  ["end twice", "endings"],
  ["wrong reply", "replies"],
  ["execute twice", "executions"],
  ["leak session", "objects"],
  ["leak timer", "objects"],
  ["leak handle", "resources"],
  ["leak file descriptor", "file descriptors"],
  ["leak listener", "listeners"],
  ["leak memory", "memory"],
  ["unhandled rejection", "faults"],
  ["uncaught exception", "faults"],
  ["stay alive", "exit"],
];

/** Lets a process do each of these, and shows that the suite would fail. Gives whether it would, for all of them. */
export async function selfTest(seed: number): Promise<boolean> {
  let missed = 0;
  for (const [misdeed, noticedBy] of [[undefined, undefined] as const, ...misdeeds]) {
    const plan = {
      name: misdeed ?? "nothing",
      proves: "",
      transports: ["tcp"] as const,
      async run(scenario: Parameters<Parameters<typeof runScenario>[0]["run"]>[0]): Promise<void> {
        scenario.quietLimitMs = 1_000;
        const server = await scenario.server("server");
        const client = await scenario.client("client", server.address);
        await client.ask("make", { method: "work" }, 500, 100);
        await scenario.baseline(server, client);
        if (misdeed) await client.ask("misbehave", misdeed);
        if (!misdeed) scenario.expectCodes("calls", await client.ask("take"), ["OK"]);
      },
    };
    const { checks } = await runScenario(plan, "tcp", seed, () => undefined);
    const failed = [...new Set(checks.filter(({ ok }) => !ok).map(({ kind }) => kind))];
    const noticed = noticedBy ? failed.includes(noticedBy) : failed.length === 0;
    if (!noticed) missed += 1;
    const found = failed.length === 0 ? "nothing" : failed.join(", ");
    console.log(
      `${plan.name}: noticed by ${found}: ${noticed ? "as it must be" : `MISSED, expected ${noticedBy ?? "nothing"}`}`,
    );
  }
  const all = misdeeds.length + 1;
  console.log(`self-test: ${all - missed} passed, ${missed} failed`);
  return missed === 0;
}
