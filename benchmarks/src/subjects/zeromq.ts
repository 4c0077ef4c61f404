import { Dealer, Router } from "zeromq";
import { Payload } from "../gen/benchmarks/v1/echo.pb.ts";
import { messageOf } from "../subject.ts";
import type { Subject } from "../subject.ts";

const options = { sendTimeout: 0, sendHighWaterMark: 0, receiveHighWaterMark: 0, linger: 0 };

/** A DEALER and a ROUTER with one message per call and nothing else: bytes in, the same bytes out. */
export const subject: Subject = {
  async serve() {
    const router = new Router(options);
    await router.bind("tcp://127.0.0.1:*");
    void (async () => {
      for (;;) void router.send(await router.receive());
    })();
    return { address: router.lastEndpoint ?? "" };
  },

  async connect(address) {
    const dealer = new Dealer(options);
    dealer.connect(address);
    const pending = new Map<number, (body: Buffer | undefined) => void>();
    let lastId = 0;
    void (async () => {
      for (;;) {
        const [head, body] = await dealer.receive();
        const id = head?.readUInt32LE() ?? 0;
        const settle = pending.get(id);
        pending.delete(id);
        settle?.(body);
      }
    })();
    const call = (body: Uint8Array): Promise<Buffer | undefined> =>
      new Promise((resolve) => {
        const id = ++lastId;
        const head = Buffer.allocUnsafe(4);
        head.writeUInt32LE(id);
        pending.set(id, resolve);
        void dealer.send([head, body]);
      });
    await call(new Uint8Array(1));
    return {
      works(bytes) {
        const body = Payload.encode(messageOf(bytes)).finish();
        return { call: () => call(body) };
      },
    };
  },
};
