import { once } from "node:events";
import { expect, test } from "@jest/globals";
import { runChild } from "./support.ts";

/** What both processes share: a producer of a gigabyte, a consumer of 100 messages a second, and a look at memory. */
const prelude = `
  import { Channel, ServiceHost, binding, partial } from "@zerobind/core";
  import { zeromq } from "./src/index.ts";
  import { Behavior } from "../core/test/gen/test/v1/behavior.rpc.ts";
  const counts = { offered: 0, taken: 0 };
  async function* offer() {
    for (; counts.offered < 1_000_000; counts.offered++) yield { data: new Uint8Array(1024) };
  }
  async function take(lines) {
    for await (const _ of lines) {
      counts.taken++;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  const before = process.memoryUsage().rss;
  let most = before;
  setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 20).unref();
  const told = () => JSON.stringify({ ...counts, grownMiB: (most - before) / 1024 / 1024 });
`;

interface Told {
  readonly offered: number;
  readonly taken: number;
  readonly grownMiB: number;
  readonly latencies?: number[];
}

test.each(["requests", "replies"])(
  "a stream of %s that is offered a gigabyte fills neither process, and holds up no other call",
  async (direction) => {
    const server = runChild(`${prelude}
      const host = new ServiceHost({ binding: binding(zeromq()) });
      host.serve(Behavior, partial(Behavior, {
        ping: ({ sequence }) => ({ sequence }),
        async *relay(lines) {
          if ("${direction}" === "replies") yield* offer();
          else await take(lines);
        },
      }));
      await host.open("tcp://127.0.0.1:0");
      console.log(host.address);
      process.on("SIGUSR2", () => console.log(told()));
    `);
    const line = async (child: typeof server): Promise<string> =>
      String(((await once(child.stdout!, "data")) as unknown[])[0]).trim();
    const client = runChild(`${prelude}
      const channel = new Channel("${await line(server)}", { binding: binding(zeromq()) });
      const client = channel.client(Behavior);
      await client.ping({});
      const isUp = "${direction}" === "requests";
      const replies = client.relay(isUp ? offer() : [], { timeoutMs: Infinity });
      const over = isUp ? replies.next() : take(replies);
      over.catch(() => {});
      const latencies = [];
      for (const end = performance.now() + 3000; performance.now() < end; ) {
        const started = performance.now();
        await Promise.all([1, 2, 3].map((sequence) => client.ping({ sequence })));
        latencies.push(performance.now() - started);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      console.log(JSON.stringify({ ...JSON.parse(told()), latencies }));
      channel.abort();
    `);
    const here = JSON.parse(await line(client)) as Told;
    server.kill("SIGUSR2");
    const there = JSON.parse(await line(server)) as Told;
    const [from, to] = direction === "requests" ? [here, there] : [there, here];
    expect(to.taken).toBeGreaterThan(50);
    // A window is under way or unread, and one message may wait.
    expect(from.offered - to.taken).toBeLessThan(1100);
    expect(Math.max(here.grownMiB, there.grownMiB)).toBeLessThan(64);
    const latencies = here.latencies!.toSorted((left, right) => left - right);
    expect(latencies.length).toBeGreaterThan(100);
    expect(latencies[Math.floor(latencies.length * 0.99)]).toBeLessThan(250);
  },
);
