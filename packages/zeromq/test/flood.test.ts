import { once } from "node:events";
import { expect, test } from "@jest/globals";
import { Dealer } from "zeromq";
import { RecordType } from "../../core/src/records.ts";
import { BatchReader } from "../../core/src/records.ts";
import { batch, hello, rawCall } from "../../core/test/support/raw-peer.ts";
import { raw, runChild } from "./support.ts";

const mebibyte = 1024 * 1024;

/** A server in a process of its own that answers everything with so many bytes, and tells how its memory grew. */
async function answeringServer(replyBytes: number): Promise<{ address: string; grown: () => Promise<number[]> }> {
  const child = runChild(`
    import { binding, Message } from "@zerobind/core";
    import { zeromq } from "./src/index.ts";
    const channel = await binding(zeromq()).listen("tcp://127.0.0.1:0", { maxQueuedRequests: 1e6 });
    let answered = 0;
    let most = 0;
    const before = process.memoryUsage().rss;
    setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 20).unref();
    process.on("SIGUSR2", () => console.log(JSON.stringify([answered, most - before])));
    console.log(channel.address);
    for await (const context of channel) {
      answered++;
      void context.reply(new Message(new Uint8Array(${replyBytes})));
    }
  `);
  const line = async (): Promise<string> => String(((await once(child.stdout!, "data")) as unknown[])[0]).trim();
  const address = await line();
  const grown = async (): Promise<number[]> => {
    child.kill("SIGUSR2");
    return JSON.parse(await line()) as number[];
  };
  return { address, grown };
}

/** Lets a flood run for a while: nothing comes back that could be awaited. */
async function flood(forMs: number, send: (index: number) => Promise<void>): Promise<void> {
  const until = performance.now() + forMs;
  for (let index = 0; performance.now() < until; index++) {
    await send(index);
    if (index % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

test.each([
  ["small replies", 100],
  ["replies of almost 4 KiB", 4000],
  ["replies of 1 MiB", mebibyte],
])(
  "a native peer that calls without end and reads nothing cannot fill the server's memory with %s",
  async (_name, size) => {
    const { address, grown } = await answeringServer(size);
    const dealer = raw(new Dealer({ sendHighWaterMark: 0, receiveHighWaterMark: 1 }));
    dealer.connect(address);
    await dealer.send(["", batch(0, hello())]);
    const [, welcomed] = await dealer.receive();
    const { tag } = new BatchReader([welcomed!]);
    await flood(2500, (index) => {
      const calls = Array.from({ length: 20 }, (_, place) => rawCall(2 * (20 * index + place) + 1, "a.B/C"));
      return dealer.send(["", batch(tag, ...calls)]);
    });
    const [answered, bytes] = await grown();
    expect(answered).toBeGreaterThan(60);
    // Eight times maxHeldBytes for calls that had begun, and what is under way.
    expect(bytes! / mebibyte).toBeLessThan(640);
  },
);

test("a peer that greets without end and reads nothing cannot fill the server's memory", async () => {
  const { address, grown } = await answeringServer(1);
  const dealer = raw(new Dealer({ sendHighWaterMark: 0, receiveHighWaterMark: 1 }));
  dealer.connect(address);
  const greeting = batch(0, hello());
  const stranger = batch(4711, { type: RecordType.PING });
  await flood(2500, (index) => dealer.send(["", index % 2 === 0 ? greeting : stranger]));
  const [, bytes] = await grown();
  expect(bytes! / mebibyte).toBeLessThan(150);
});

test("a plain peer that calls without end and reads nothing cannot fill the server's memory", async () => {
  const { address, grown } = await answeringServer(100_000);
  const dealer = raw(new Dealer({ sendHighWaterMark: 0, receiveHighWaterMark: 1 }));
  dealer.connect(address);
  await flood(2500, () => dealer.send(["", "a.B/C", ""]));
  const [answered, bytes] = await grown();
  expect(answered).toBeGreaterThan(60);
  expect(bytes! / mebibyte).toBeLessThan(450);
});
