import { createServer, connect as connectTcp } from "node:net";
import type { AddressInfo } from "node:net";
import { Transform, pipeline } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { Channel, ServiceHost, binding } from "@zerobind/core";
import { Behavior } from "../../core/test/gen/test/v1/behavior.rpc.ts";
import { BehaviorService } from "../../core/test/support/behavior-handler.ts";
import { zeromq } from "../src/index.ts";
import { track } from "./support.ts";

const stack = binding(zeromq());

/** A way to a server on which what it sends comes at so many bytes in a millisecond. */
async function slowWay(address: string, bytesPerMs: number): Promise<string> {
  const port = Number(address.slice(address.lastIndexOf(":") + 1));
  const throttled = (): Transform =>
    new Transform({
      transform(chunk: Buffer, _encoding, done) {
        void delay(chunk.length / bytesPerMs).then(() => done(undefined, chunk));
      },
    });
  const ignore = (): void => undefined;
  const server = createServer((client) => {
    const upstream = connectTcp(port, "127.0.0.1");
    pipeline(client, upstream, ignore);
    pipeline(upstream, throttled(), client, ignore);
    track({ close: () => [client, upstream].forEach((socket) => socket.destroy()) });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  track({ close: () => void server.close() });
  return `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function serve(): Promise<{ host: ServiceHost; service: BehaviorService }> {
  const service = new BehaviorService();
  const host = new ServiceHost({ binding: stack, drainTimeoutMs: 20_000 });
  host.serve(Behavior, service);
  await host.open("tcp://127.0.0.1:0");
  track({ close: () => host.close() });
  return { host, service };
}

test("large replies that are under way over a slow link when their server closes all arrive", async () => {
  const { host, service } = await serve();
  const channel = new Channel(await slowWay(host.address, 16_000), { binding: stack });
  track({ close: () => channel.abort() });
  const client = channel.client(Behavior);
  await client.ping({});
  const data = new Uint8Array(3_000_000).fill(7);
  const replies = Array.from({ length: 6 }, () => client.echo({ data }, { timeoutMs: 20_000 }));
  while ((service.entered.get("echo") ?? 0) < 6) await service.next("started");
  const closed = host.close();
  for (const reply of await Promise.all(replies)) expect(Buffer.from(reply.data).equals(data)).toBe(true);
  await closed;
});

test("small replies behind large ones over a slow link come before those are whole", async () => {
  const { host } = await serve();
  const channel = new Channel(await slowWay(host.address, 8_000), { binding: stack });
  track({ close: () => channel.abort() });
  const client = channel.client(Behavior);
  await client.ping({});
  const order: string[] = [];
  const large = Array.from({ length: 6 }, () =>
    client.echo({ data: new Uint8Array(4_000_000) }, { timeoutMs: 20_000 }).then(() => order.push("large")),
  );
  for (let index = 0; index < 3; index++) {
    await client.ping({}, { timeoutMs: 20_000 });
    order.push("small");
  }
  await Promise.all(large);
  expect(order.indexOf("large")).toBeGreaterThan(order.indexOf("small"));
});

test("streams that never wait, and streams that are stalled, leave other calls their turn", async () => {
  const service = new BehaviorService();
  const host = new ServiceHost({ binding: stack });
  host.serve(Behavior, {
    echo: (request, context) => service.echo(request, context),
    // Arrays and generators that are always ready, without end.
    *count() {
      for (let value = 0n; ; value++) yield { value };
    },
    sum: (requests, context) => service.sum(requests, context),
    relay: (requests, context) => service.relay(requests, context),
    fail: (request) => service.fail(request),
    notify: (request) => service.notify(request),
    ping: (request) => service.ping(request),
  });
  await host.open("tcp://127.0.0.1:0");
  track({ close: () => host.abort() });
  const channel = new Channel(host.address, { binding: stack });
  track({ close: () => channel.abort() });
  const client = channel.client(Behavior);
  const stalled = Array.from({ length: 100 }, () => client.count({}));
  for (const stream of stalled) expect((await stream.next()).done).toBe(false);
  let taken = 0;
  const busy = Array.from({ length: 10 }, async () => {
    for await (const _ of client.count({})) taken++;
  });
  for (const each of busy) each.catch(() => undefined);
  for (let sequence = 0; sequence < 30; sequence++) expect(await client.ping({ sequence })).toEqual({ sequence });
  const before = taken;
  while (taken < before + 10_000) await new Promise((resolve) => setImmediate(resolve));
  // Those that were stalled go on where they stood.
  for (const stream of stalled) expect((await stream.next()).value).toEqual({ value: 1n });
});
