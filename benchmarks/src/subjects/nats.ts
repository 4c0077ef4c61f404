import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { connect } from "@nats-io/transport-node";
import { Payload } from "../gen/benchmarks/v1/echo.pb.ts";
import { messageOf } from "../subject.ts";
import type { Subject } from "../subject.ts";

const name = "benchmarks.v1.Echo.Call";
/** The default, 1 MiB, leaves no room for what is around a MiB of data. */
const maxPayloadBytes = 8 << 20;

/** Starts nats-server, which ends with this process; resolves with its address. */
async function startBroker(): Promise<{ address: string; pid: number }> {
  const folder = mkdtempSync(join(tmpdir(), "zerobind-bench-"));
  const config = join(folder, "nats.conf");
  writeFileSync(config, `listen: "127.0.0.1:-1"\nmax_payload: ${maxPayloadBytes}\n`);
  const broker = spawn("nats-server", ["-c", config], { stdio: ["ignore", "ignore", "pipe"] });
  process.once("exit", () => {
    broker.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  });
  broker.once("exit", (code) => {
    throw new Error(`nats-server ended with ${code}`);
  });
  await once(broker, "spawn");
  for await (const line of createInterface({ input: broker.stderr })) {
    const address = /client connections on (\S+)/.exec(line)?.[1];
    if (address === undefined) continue;
    broker.stderr.resume();
    return { address, pid: broker.pid ?? 0 };
  }
  throw new Error("nats-server did not say where it listens");
}

/** Request and reply over a nats-server, with the same messages as ours. */
export const subject: Subject = {
  async serve() {
    const { address, pid } = await startBroker();
    const connection = await connect({ servers: address });
    connection.subscribe(name, {
      callback: (error, message) => {
        if (error) throw error;
        message.respond(Payload.encode(Payload.decode(message.data)).finish());
      },
    });
    await connection.flush();
    return { address, pids: [pid] };
  },

  async connect(address) {
    // Its users set noAsyncTraces where requests are many: each would capture a stack otherwise.
    const connection = await connect({ servers: address, noAsyncTraces: true });
    const call = async (message: Payload): Promise<Payload> =>
      Payload.decode((await connection.request(name, Payload.encode(message).finish(), { timeout: 10_000 })).data);
    await call(messageOf(0));
    return {
      works(bytes) {
        const message = messageOf(bytes);
        return { call: () => call(message) };
      },
    };
  },
};
