// A process of the fault suite: does what it is asked to over the channel that `fork` makes, and ends by itself when it
// is told to let go of that channel. Started with its number and the path of its log of executions.
import { Commands } from "./commands.ts";
import type { Ask, Told } from "./messages.ts";

const [number = "0", logPath = "/dev/null"] = process.argv.slice(2);
const commands = new Commands(Number(number), logPath);

function tell(told: Told): void {
  if (process.connected) process.send?.(told, () => undefined);
}

const told = (what: string) => (error: unknown) => {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  console.error(`${what}: ${text}`);
  tell({ fault: `${what}: ${text.split("\n")[0] ?? ""}` });
};
process.on("unhandledRejection", told("unhandled rejection"));
process.on("uncaughtException", told("uncaught exception"));
process.on("warning", (warning) => {
  if (warning.name !== "ExperimentalWarning") told("warning")(warning);
});

process.on("message", (message: Ask | "let go") => {
  // Nothing but what is left open keeps the process alive from here on.
  if (message === "let go") process.disconnect();
  else void answer(message);
});

async function answer({ ask, command, args }: Ask): Promise<void> {
  try {
    // The types of `Commands` hold for what the suite asks.
    const all = commands as unknown as Record<string, (...args: unknown[]) => unknown>;
    tell({ ask, result: await all[command]?.(...args) });
  } catch (error) {
    tell({ ask, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}

// It is made when first used, and would pass for a leak.
process.stderr.write("");
tell({ ready: true });
