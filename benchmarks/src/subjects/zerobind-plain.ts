import { Dealer } from "zeromq";
import { Payload } from "../gen/benchmarks/v1/echo.pb.ts";
import { messageOf } from "../subject.ts";
import type { Client, Subject } from "../subject.ts";
import { subject as zerobind } from "./zerobind.ts";

const path = Buffer.from("benchmarks.v1.Echo/Call");
const nothing = Buffer.alloc(0);

/** The plain profile: a bare DEALER, as any language has it, that calls the same host as generated clients do. */
export const subject: Subject = {
  serve: () => zerobind.serve(),

  async connect(address): Promise<Client> {
    const dealer = new Dealer({ sendTimeout: 0, sendHighWaterMark: 0, receiveHighWaterMark: 0, linger: 0 });
    dealer.connect(address);
    const pending = new Map<number, { resolve(reply: Payload): void; reject(error: Error): void }>();
    let lastId = 0;
    void (async () => {
      for (;;) {
        const [head, , status, body] = (await dealer.receive()) as [Buffer, Buffer, Buffer, Buffer];
        const id = head.readUInt32LE();
        const waiting = pending.get(id);
        pending.delete(id);
        if (status.length > 0) waiting?.reject(new Error(`a google.rpc.Status: ${status.toString("latin1")}`));
        else waiting?.resolve(Payload.decode(body));
      }
    })();
    const call = (message: Payload): Promise<Payload> =>
      new Promise((resolve, reject) => {
        const id = ++lastId;
        const head = Buffer.allocUnsafe(4);
        head.writeUInt32LE(id);
        pending.set(id, { resolve, reject });
        void dealer.send([head, nothing, path, Payload.encode(message).finish()]);
      });
    await call(messageOf(0));
    return {
      works(bytes) {
        const message = messageOf(bytes);
        return { call: () => call(message) };
      },
    };
  },
};
