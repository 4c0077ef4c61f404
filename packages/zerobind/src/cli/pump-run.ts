import { ForwarderDevice, StreamerDevice } from "@zerobind/zeromq";
import type { PumpOptions } from "@zerobind/zeromq";
import { printable } from "./terminal.ts";
import type { Terminal } from "./terminal.ts";
import { securityOf, usable } from "./security-flags.ts";
import type { SecurityFlags } from "./security-options.ts";
import { ExitStatus } from "./usage-error.ts";

export type PumpKind = "forwarder" | "streamer";

/** The options of `zerobind device forwarder` and `streamer`, as the command line has them. */
export interface PumpFlags extends SecurityFlags {
  readonly frontend: string;
  readonly backend: string;
  readonly connectFrontend?: boolean;
  readonly connectBackend?: boolean;
  readonly highWaterMark?: string;
}

const signals = ["SIGINT", "SIGTERM"] as const;

/** Runs a device until it is interrupted, and gives the exit status. Throws UsageError. */
export async function runPump(kind: PumpKind, flags: PumpFlags, terminal: Terminal): Promise<number> {
  const { stdout, stderr } = terminal;
  const device = makeDevice(kind, flags, (problem) => stderr.write(`${printable(problem)}\n`));
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
  const modes = { frontend: flags.connectFrontend, backend: flags.connectBackend };
  for (const [name, addresses] of Object.entries(device.addresses) as ["frontend" | "backend", readonly string[]][])
    for (const address of addresses) stdout.write(`${modes[name] ? "connecting" : "listening"} ${address} (${name})\n`);
  await Promise.race([interrupted, device.closed]);
  const { kind: how, message } = await device.close();
  if (how !== "failed") return ExitStatus.OK;
  stderr.write(`error: ${message}\n`);
  return ExitStatus.FAILED;
}

function makeDevice(
  kind: PumpKind,
  flags: PumpFlags,
  onTrouble: (problem: string) => void,
): ForwarderDevice | StreamerDevice {
  const { frontend, backend, highWaterMark } = flags;
  const options: PumpOptions & { highWaterMark?: number } = {
    frontend: { address: frontend, attach: flags.connectFrontend ? "connect" : "bind" },
    backend: { address: backend, attach: flags.connectBackend ? "connect" : "bind" },
    zeromq: securityOf(flags),
    onTrouble,
    ...(highWaterMark === undefined ? {} : { highWaterMark: Number(highWaterMark) }),
  };
  return usable(() => (kind === "forwarder" ? new ForwarderDevice(options) : new StreamerDevice(options)));
}
