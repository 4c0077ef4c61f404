import { QueueDevice } from "../ends.ts";
import { printable } from "./terminal.ts";
import type { Terminal } from "./terminal.ts";
import { securityOf, usable } from "./security-flags.ts";
import type { SecurityFlags } from "./security-options.ts";
import { ExitStatus } from "./usage-error.ts";

/** The options of `zerobind device queue`, as the command line has them. */
export interface QueueFlags extends SecurityFlags {
  readonly frontend: readonly string[];
  readonly backend: readonly string[];
  readonly plainBackend?: readonly string[];
}

/** Runs a queue device until it is interrupted, and gives the exit status. Throws UsageError. */
export async function runQueue(flags: QueueFlags, terminal: Terminal): Promise<number> {
  const { stdout, stderr } = terminal;
  const device = makeDevice(flags, (line) => stderr.write(`${printable(line)}\n`));
  const signals = ["SIGINT", "SIGTERM"] as const;
  const interrupted = new Promise<void>((resolve) => {
    terminal.onInterrupt(() => {
      // The first asks for an end, the second does not wait for it.
      terminal.onInterrupt(() => device.abort(), signals);
      resolve();
    }, signals);
  });
  try {
    await device.open();
  } catch (error) {
    stderr.write(`error: ${(error as Error).message}\n`);
    return ExitStatus.FAILED;
  }
  const { frontend, backend, plainBackend } = device.addresses;
  const lines = Object.entries({ frontend, backend, "plain-backend": plainBackend }).flatMap(([name, addresses]) =>
    addresses.map((address) => `listening ${address} (${name})\n`),
  );
  stdout.write(lines.join(""));
  await Promise.race([interrupted, device.closed]);
  await device.close();
  return ExitStatus.OK;
}

function makeDevice(flags: QueueFlags, tell: (line: string) => void): QueueDevice {
  const { frontend, backend, plainBackend } = flags;
  const zeromq = securityOf(flags);
  return usable(
    () =>
      new QueueDevice({
        frontend,
        backend,
        plainBackend,
        zeromq,
        onTrouble: tell,
        onWorker: ({ change, address, services, credit, reason }) => {
          const what = services ? services.join(", ") : "all services";
          tell(
            change === "joined"
              ? `worker joined: ${address} (${what}; ${credit} calls at once)`
              : `worker left: ${address} (${reason})`,
          );
        },
      }),
  );
}
