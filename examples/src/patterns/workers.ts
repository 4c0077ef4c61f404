import { equal, ok } from "node:assert/strict";
import { Channel, ServiceHost, workers } from "zerobind";
import { Primes } from "../gen/examples/primes/v1/primes.rpc.ts";
import { serveUntilStopped } from "../serve-until-stopped.ts";
import type { Example } from "./example.ts";
import { handler } from "./primes.ts";

/** So many primes are below 2 million, and so many calls ask for them together. */
const [limit, primesBelow, calls] = [2_000_000, 148_933, 8];

/** Handlers that keep a processor busy, in the thread that receives the calls and in threads of their own. */
export const workerThreads: Example = {
  title: "handlers in worker threads: work for a processor does not keep the others waiting",

  roles: {
    async server(threads = "") {
      const host = new ServiceHost();
      if (threads === "") host.serve(Primes, handler);
      else host.serve(Primes, workers(Primes, new URL("./primes.js", import.meta.url), { threads: Number(threads) }));
      await serveUntilStopped(host, ["tcp://127.0.0.1:*"]);
    },

    async client(address = "") {
      await using channel = new Channel(address);
      const primes = channel.client(Primes);
      const begun = performance.now();
      const size = limit / calls;
      const parts = Array.from({ length: calls }, (_, part) =>
        primes.count({ from: part * size, to: (part + 1) * size }),
      );
      // A small question behind the large ones.
      const small = primes.count({ from: 0, to: 100 }).then(() => performance.now() - begun);
      const total = (await Promise.all(parts)).reduce((sum, part) => sum + part.primes, 0);
      console.log(`${total} primes below ${limit} in ${Math.round(performance.now() - begun)} ms`);
      console.log(`the small question was answered after ${Math.round(await small)} ms`);
    },
  },

  async play(stage) {
    for (const [threads, what] of [
      ["", "one thread for everything"],
      ["2", "a pool of two threads"],
    ] as const) {
      stage.tell(what);
      const { program: server, address } = await stage.serve("server", "server", threads);
      await using _server = server;
      await using client = stage.start("client", "client", address);
      await client.succeeded();
      equal(client.lines[0]?.split(" ")[0], String(primesBelow));
      ok(client.lines[1]?.startsWith("the small question"));
      await server.stop();
    }
  },
};
