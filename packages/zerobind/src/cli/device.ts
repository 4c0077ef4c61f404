import type { Command } from "commander";
import type { QueueFlags } from "./device-queue.ts";
import { addPump } from "./pump-device.ts";
import { addSecurity } from "./security-options.ts";
import type { Terminal } from "./terminal.ts";

const queueHelp = `
Prints "listening <address> (frontend)", "listening <address> (backend)" and so on, one a line, once it listens. Ctrl-C and
SIGTERM end it: clients are asked to go elsewhere, and calls that are open get 5 seconds to end. Twice ends it at once.

Example:
  zerobind device queue --frontend tcp://127.0.0.1:5555 --backend tcp://127.0.0.1:5556`;

/** Adds `zerobind device`, with one command for each kind of device. */
export function addDevice(program: Command, terminal: Terminal, done: (status: number) => void): void {
  const device = program
    .command("device")
    .description("Run a device: a process that stands between others, which come and go.");
  addQueue(device, terminal, done);
  addPump(device, "forwarder", terminal, done);
  addPump(device, "streamer", terminal, done);
}

function addQueue(device: Command, terminal: Terminal, done: (status: number) => void): void {
  const queue = device
    .command("queue")
    .description("Spread the calls of clients over workers; calls wait while there is none.")
    .requiredOption("-f, --frontend <address>", "where clients connect; may be repeated", append)
    .requiredOption("-b, --backend <address>", "where service hosts connect; may be repeated", append)
    .option("-p, --plain-backend <address>", "where plain REP workers connect; may be repeated", append)
    .addHelpText("after", queueHelp);
  addSecurity(queue, true).action(async (flags: QueueFlags) => {
    const { runQueue } = await import("./device-queue.ts");
    done(await runQueue(flags, terminal));
  });
}

function append(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}
