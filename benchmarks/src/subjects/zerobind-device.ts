import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { hostOf, subject as direct } from "./zerobind.ts";
import type { Subject } from "../subject.ts";

const command = join(dirname(createRequire(import.meta.url).resolve("zerobind/package.json")), "bin", "zerobind.js");
const anyPort = "tcp://127.0.0.1:*";

/** Starts `zerobind device queue`, which ends with this process; resolves with where it listens. */
async function startDevice(): Promise<{ frontend: string; backend: string; pid: number }> {
  const args = [command, "device", "queue", "--frontend", anyPort, "--backend", anyPort];
  const device = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  process.once("exit", () => device.kill("SIGKILL"));
  device.once("exit", (code) => {
    throw new Error(`the device ended with ${code}`);
  });
  const addresses = new Map<string, string>();
  for await (const line of createInterface({ input: device.stdout })) {
    const [, address, side] = /^listening (\S+) \((\S+)\)/.exec(line) ?? [];
    if (side !== undefined && address !== undefined) addresses.set(side, address);
    const [frontend, backend] = [addresses.get("frontend"), addresses.get("backend")];
    if (frontend !== undefined && backend !== undefined) return { frontend, backend, pid: device.pid ?? 0 };
  }
  throw new Error("the device did not say where it listens");
}

/** The subject `zerobind` with a queue device between client and server. */
export const subject: Subject = {
  async serve() {
    const { frontend, backend, pid } = await startDevice();
    await hostOf().open({ address: backend, attach: "connect" });
    return { address: frontend, pids: [pid] };
  },

  connect: (address) => direct.connect(address),
};
