import { Dealer, Router } from "zeromq";
import { Payload } from "../gen/benchmarks/v1/echo.pb.ts";
import { messageOf } from "../subject.ts";
import type { Subject } from "../subject.ts";

const options = { sendTimeout: 0, sendHighWaterMark: 0, receiveHighWaterMark: 0, linger: 0 };
const headerBytes = 16;

/** Gathers records (length, id, 8 bytes unused, body) until the microtasks of this turn are done, and sends them as one. */
class Outbox {
  readonly #send: (batch: Buffer) => void;
  #scratch = Buffer.allocUnsafe(1 << 16);
  #used = 0;

  constructor(send: (batch: Buffer) => void) {
    this.#send = send;
  }

  add(id: number, body: Uint8Array): void {
    const end = this.#used + headerBytes + body.length;
    if (end > this.#scratch.length) {
      const larger = Buffer.allocUnsafe(end * 2);
      this.#scratch.copy(larger, 0, 0, this.#used);
      this.#scratch = larger;
    }
    if (this.#used === 0) queueMicrotask(() => this.#flush());
    this.#scratch.writeUInt32LE(body.length, this.#used);
    this.#scratch.writeUInt32LE(id, this.#used + 4);
    this.#scratch.set(body, this.#used + headerBytes);
    this.#used = end;
  }

  #flush(): void {
    // ZeroMQ refers to what it is given until it has left.
    this.#send(Buffer.from(this.#scratch.subarray(0, this.#used)));
    this.#used = 0;
  }
}

function eachRecord(batch: Buffer, take: (id: number, body: Buffer) => void): void {
  for (let at = 0; at < batch.length;) {
    const end = at + headerBytes + batch.readUInt32LE(at);
    take(batch.readUInt32LE(at + 4), batch.subarray(at + headerBytes, end));
    at = end;
  }
}

/** A DEALER and a ROUTER, many calls in one frame; no types, deadlines, credit or errors. */
export const subject: Subject = {
  async serve() {
    const router = new Router(options);
    await router.bind("tcp://127.0.0.1:*");
    const outboxes = new Map<string, Outbox>();
    void (async () => {
      for (;;) {
        const [peer, batch] = (await router.receive()) as [Buffer, Buffer];
        const key = peer.toString("latin1");
        let outbox = outboxes.get(key);
        if (!outbox) outboxes.set(key, (outbox = new Outbox((reply) => void router.send([peer, reply]))));
        const replies = outbox;
        eachRecord(batch, (id, body) => replies.add(id, body));
      }
    })();
    return { address: router.lastEndpoint ?? "" };
  },

  async connect(address) {
    const dealer = new Dealer(options);
    dealer.connect(address);
    const outbox = new Outbox((batch) => void dealer.send(batch));
    const pending = new Map<number, (body: Buffer) => void>();
    let lastId = 0;
    const settle = (id: number, body: Buffer): void => {
      const resolve = pending.get(id);
      pending.delete(id);
      resolve?.(body);
    };
    void (async () => {
      for (;;) eachRecord((await dealer.receive())[0] as Buffer, settle);
    })();
    const call = (body: Uint8Array): Promise<Buffer> =>
      new Promise((resolve) => {
        const id = ++lastId;
        pending.set(id, resolve);
        outbox.add(id, body);
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
