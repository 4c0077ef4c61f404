import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { Channel, ServiceHost, binding, partial } from "@zerobind/core";
import type { MessageInit } from "@zerobind/core";
import { zeromq } from "@zerobind/zeromq";
import type { Item } from "../../core/test/gen/test/v1/behavior.pb.ts";
import { Behavior } from "../../core/test/gen/test/v1/behavior.rpc.ts";

const stack = binding(zeromq({ reconnectMinMs: 20, reconnectMaxMs: 100 }));

/** Opens a host, on the same address again where one is given; its answers say how often it was started. */
async function openHost(address = "tcp://127.0.0.1:*"): Promise<ServiceHost> {
  const host = new ServiceHost({ binding: stack });
  host.serve(
    Behavior,
    partial(Behavior, {
      async echo({ text }) {
        await delay(2);
        return { text };
      },
      ping: ({ sequence }) => ({ sequence }),
      async sum(items) {
        let count = 0;
        for await (const _ of items) count += 1;
        return { count };
      },
    }),
  );
  await host.open(address);
  return host;
}

test("two hosts that are restarted in turn under 1,000 calls a second lose no call", async () => {
  const hosts = [await openHost(), await openHost()];
  const addresses = hosts.map(({ address }) => address);
  const channel = new Channel(addresses, { binding: stack });
  const client = channel.client(Behavior);
  await client.ping({});
  let isOver = false;
  const [calls, failures]: [Promise<unknown>[], unknown[]] = [[], []];
  async function* slowly(): AsyncGenerator<MessageInit<Item>> {
    for (let sent = 0; sent < 5; sent++) {
      yield { value: 1n };
      await delay(1);
    }
  }
  const note = (call: Promise<unknown>): void => void calls.push(call.catch((error: unknown) => failures.push(error)));
  const load = (async () => {
    while (!isOver) {
      // Eleven calls in about nine milliseconds.
      for (let each = 0; each < 5; each++) {
        note(client.echo({ text: "x" }).then(({ text }) => expect(text).toBe("x")));
        note(client.sum(Array.from({ length: 7 }, () => ({ value: 1n }))).then(({ count }) => expect(count).toBe(7)));
      }
      note(client.sum(slowly()).then(({ count }) => expect(count).toBe(5)));
      await delay(8);
    }
  })();
  for (let round = 0; round < 6; round++) {
    await delay(150);
    await hosts[round % 2]!.close();
    hosts[round % 2] = await openHost(addresses[round % 2]);
    // The next one may go when this one is used again.
    await delay(250);
  }
  isOver = true;
  await load;
  await Promise.all(calls);
  expect(failures).toEqual([]);
  expect(calls.length).toBeGreaterThan(1000);
  await channel.close();
  await Promise.all(hosts.map((host) => host.close()));
}, 30_000);

test("a host that dies costs idempotent calls nothing, and they go on with the other one", async () => {
  const hosts = [await openHost(), await openHost()];
  const channel = new Channel(
    hosts.map(({ address }) => address),
    { binding: stack },
  );
  const client = channel.client(Behavior);
  for (let call = 0; call < 100; call++) await client.ping({ sequence: call });
  const replies = Array.from({ length: 200 }, (_, sequence) => client.ping({ sequence }));
  hosts[0]!.abort();
  expect((await Promise.all(replies)).map(({ sequence }) => sequence)).toEqual(replies.map((_, index) => index));
  for (let call = 0; call < 50; call++) await client.ping({ sequence: call });
  await channel.close();
  await Promise.all(hosts.map((host) => host.close()));
});
