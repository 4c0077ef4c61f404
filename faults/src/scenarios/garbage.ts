import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { Dealer } from "zeromq";
import { portOf } from "../harness/addresses.ts";
import { between } from "../harness/random.ts";
import type { Random } from "../harness/random.ts";
import type { ScenarioPlan } from "../harness/run.ts";
import { pause } from "../peer/clock.ts";

/** The beginning of a ZMTP greeting. */
const halfGreeting = Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3]);

export const garbage: ScenarioPlan = {
  name: "garbage",
  proves:
    "raw garbage, HTTP, half a greeting, 200 sockets that say nothing, and a ZeroMQ peer that sends random batches leave a polite client undisturbed, and the server without anything of theirs.",
  transports: ["tcp", "ws"],

  async run(scenario) {
    const server = await scenario.server("server", { zeromq: { handshakeTimeoutMs: 1_500 } });
    const polite = await scenario.client("polite", server.address);
    await scenario.warmUp(polite);
    await scenario.baseline(server, polite);
    await polite.ask("startPaced", "polite", { method: "work" }, 100);
    await polite.ask("startPaced", "streams", { method: "relay", count: 10, intervalMs: 5 }, 10);
    const port = portOf(server.address);
    scenario.step("200 sockets that say nothing");
    const silent = await Promise.all(Array.from({ length: 200 }, () => open(port)));
    scenario.step("garbage");
    for (let round = 0; round < 40; round++) {
      await say(port, bytes(scenario.random, between(scenario.random, 1, 20_000)));
      await say(port, Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
      await say(port, halfGreeting.subarray(0, between(scenario.random, 1, halfGreeting.length + 1)));
      await say(port, Buffer.concat([halfGreeting, bytes(scenario.random, 500)]));
    }
    scenario.step("a ZeroMQ peer with random batches");
    await fuzz(server.address, scenario.random);
    for (const socket of silent) socket.destroy();
    await pause(500);
    await polite.ask("stop", "polite");
    await polite.ask("stop", "streams");
    const summary = await scenario.outcome("beside garbage", polite, ["OK"]);
    scenario.atMost("p99 of the polite client", summary.latency.p99, 150);
    scenario.figure("polite p99", summary.latency.p99);
    const { malformed = 0 } = await server.ask("hostCounters");
    scenario.atLeast("malformed batches that were counted", malformed, 100);
    scenario.figure("malformed", malformed, "counted");
  },
};

function bytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => between(random, 0, 256)));
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

/** Connects, says something, and goes. */
async function say(port: number, what: Buffer): Promise<void> {
  const socket = await open(port);
  await new Promise<void>((resolve) => socket.write(what, () => resolve()));
  socket.destroy();
}

/** Batches that look native: a header and records, whose bytes are random here and there. */
async function fuzz(address: string, random: Random): Promise<void> {
  for (let life = 0; life < 10; life++) {
    const socket = new Dealer({ linger: 0 });
    socket.connect(address);
    for (let number = 0; number < 100; number++) {
      const batch = bytes(random, between(random, 2, 200));
      batch[0] = 0xc5;
      if (random() < 0.9) batch[1] = 1;
      // Types and lengths that are possible, more often than not.
      if (batch.length > 24 && random() < 0.8) {
        batch.writeUInt16LE(between(random, 0, 4), 2);
        batch.writeUInt32LE(between(random, 0, 200), 8);
        batch[12] = between(random, 0, 17);
      }
      const attachments = Array.from({ length: between(random, 0, 3) }, () => bytes(random, between(random, 0, 50)));
      await socket.send(["", batch, ...attachments]);
    }
    await pause(50);
    socket.close();
  }
}
