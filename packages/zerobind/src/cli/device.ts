import type { Command } from "commander";
import { addPump } from "./pump-device.ts";
import type { Terminal } from "./terminal.ts";

/** Adds `zerobind device`, with one command for each kind of device. */
export function addDevice(program: Command, terminal: Terminal, done: (status: number) => void): void {
  const device = program
    .command("device")
    .description("Run a device: a process that stands between others, which come and go.");
  addPump(device, "forwarder", terminal, done);
  addPump(device, "streamer", terminal, done);
}
