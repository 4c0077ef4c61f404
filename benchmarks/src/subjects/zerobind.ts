import { Channel, ServiceHost } from "zerobind";
import { Echo } from "../gen/benchmarks/v1/echo.rpc.ts";
import { concurrently, small } from "../subject.ts";
import type { Subject } from "../subject.ts";

/** Typed stubs and handlers, all defaults on. */
export const zerobind: Subject = {
  async serve() {
    const host = new ServiceHost();
    host.serve(Echo, {
      call: (request) => request,
      *download({ number }) {
        for (let left = number; left > 0; left--) yield small;
      },
      async upload(requests) {
        let number = 0;
        for await (const _ of requests) number += 1;
        return { number };
      },
    });
    await host.open("tcp://127.0.0.1:*");
    process.once("SIGTERM", () => void host.close());
    return host.address;
  },

  async connect(address) {
    const channel = new Channel(address);
    const client = channel.client(Echo);
    await client.call({});
    const call = (): Promise<unknown> => client.call(small);
    const data = new Uint8Array(1 << 20);
    return {
      "unary, one at a time": { count: 2_000, work: concurrently(1, call) },
      "unary, 100 at once": { count: 100_000, work: concurrently(100, call) },
      "unary, 1,000 at once": { count: 100_000, work: concurrently(1000, call) },
      "unary, 1 MiB": { count: 100, work: concurrently(1, () => client.call({ data })) },
      "server stream": {
        count: 100_000,
        async work(number) {
          for await (const _ of client.download({ number }, { timeoutMs: Infinity }));
        },
      },
      "client stream": {
        count: 100_000,
        async work(number) {
          await client.upload(
            Array.from({ length: number }, () => small),
            { timeoutMs: Infinity },
          );
        },
      },
    };
  },
};
