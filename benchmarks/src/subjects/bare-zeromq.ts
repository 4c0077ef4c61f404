import { Dealer, Router } from "zeromq";
import { concurrently } from "../subject.ts";
import type { Subject } from "../subject.ts";

const payload = Buffer.alloc(24, 1);

/** A DEALER and a ROUTER with one message per call and nothing else: no types, no deadlines, no errors. */
export const bareZeromq: Subject = {
  async serve() {
    const router = new Router({ sendTimeout: 0, sendHighWaterMark: 0, receiveHighWaterMark: 0, linger: 0 });
    await router.bind("tcp://127.0.0.1:*");
    void (async () => {
      for await (const frames of router) void router.send(frames);
    })();
    process.once("SIGTERM", () => router.close());
    return router.lastEndpoint ?? "";
  },

  async connect(address) {
    const dealer = new Dealer({ sendTimeout: 0, sendHighWaterMark: 0, receiveHighWaterMark: 0, linger: 0 });
    dealer.connect(address);
    const waiting = new Map<number, () => void>();
    let lastId = 0;
    void (async () => {
      for await (const [frame] of dealer) {
        const id = frame?.readUInt32LE() ?? 0;
        const settle = waiting.get(id);
        waiting.delete(id);
        settle?.();
      }
    })();
    const round = (body: Buffer) => (): Promise<void> =>
      new Promise((resolve) => {
        const id = Buffer.alloc(4);
        id.writeUInt32LE(++lastId);
        waiting.set(lastId, resolve);
        void dealer.send([id, body]);
      });
    await round(payload)();
    return {
      "unary, one at a time": { count: 2_000, work: concurrently(1, round(payload)) },
      "unary, 100 at once": { count: 100_000, work: concurrently(100, round(payload)) },
      "unary, 1,000 at once": { count: 100_000, work: concurrently(1000, round(payload)) },
      "unary, 1 MiB": { count: 100, work: concurrently(1, round(Buffer.alloc(1 << 20))) },
    };
  },
};
