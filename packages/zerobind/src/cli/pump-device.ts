import type { Command } from "commander";
import type { PumpFlags, PumpKind } from "./pump-run.ts";
import { addSecurity } from "./security-options.ts";
import type { Terminal } from "./terminal.ts";

const kinds: Readonly<Record<PumpKind, { what: string; front: string; back: string; hwm: string; end: string }>> = {
  forwarder: {
    what: "Hand events on from publishers to subscribers (XSUB and XPUB).",
    front: "where publishers connect",
    back: "where subscribers connect",
    hwm: "messages that may wait for a slow subscriber, before it misses some (default: 1000)",
    end: "end it",
  },
  streamer: {
    what: "Hand work on from producers to workers (PULL and PUSH).",
    front: "where producers connect",
    back: "where workers connect",
    hwm: "messages that are kept for each connection (default: 10)",
    end: "end it, once what has come is handed on; twice ends it at once",
  },
};

/** Adds `forwarder` or `streamer` to `zerobind device`. */
export function addPump(device: Command, kind: PumpKind, terminal: Terminal, done: (status: number) => void): void {
  const { what, front, back, hwm, end } = kinds[kind];
  const pump = device
    .command(kind)
    .description(what)
    .requiredOption("-f, --frontend <address>", front)
    .requiredOption("-b, --backend <address>", back)
    .option("--connect-frontend", "connect to the address in front instead of listening there")
    .option("--connect-backend", "connect to the address behind instead of listening there")
    .option("--high-water-mark <number>", hwm)
    .addHelpText("after", `\n${helpOf(kind, end)}`);
  addSecurity(pump, true).action(async (flags: PumpFlags) => {
    const { runPump } = await import("./pump-run.ts");
    done(await runPump(kind, flags, terminal));
  });
}

function helpOf(kind: PumpKind, end: string): string {
  return `Prints "listening <address> (frontend)" and "listening <address> (backend)" once it listens. Ctrl-C and SIGTERM ${end}.

Example:
  zerobind device ${kind} --frontend tcp://127.0.0.1:5557 --backend tcp://127.0.0.1:5558`;
}
