import { describe, expect, test } from "@jest/globals";
import { Channel, PushStream, ServiceHost, Status, binding, memory, partial } from "@zerobind/core";
import type { ChannelOptions, MessageInit } from "@zerobind/core";
import type { Item } from "./gen/test/v1/behavior.pb.ts";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { failureOf } from "./support/failure.ts";

const stack = binding(memory());

/** Hosts whose echo answers with their number, and a channel to all of them. */
async function openHosts(count: number, options: Partial<ChannelOptions> = {}) {
  const addresses = Array.from({ length: count }, () => `memory://balance-${Math.random()}`);
  const hosts = new Map<number, ServiceHost>();
  const gate: { held: { index: number; release: () => void }[]; holds: boolean } = { held: [], holds: false };
  const start = async (index: number): Promise<void> => {
    const host = new ServiceHost({ binding: stack });
    host.serve(
      Behavior,
      partial(Behavior, {
        async echo() {
          if (gate.holds) await new Promise<void>((release) => gate.held.push({ index, release }));
          return { text: String(index) };
        },
        async sum(items) {
          let count = 0;
          for await (const _ of items) count += 1;
          return { count, total: BigInt(index) };
        },
      }),
    );
    await host.open(addresses[index]!);
    hosts.set(index, host);
  };
  const stop = async (index: number): Promise<void> => {
    const host = hosts.get(index);
    await host?.close();
  };
  for (let index = 0; index < count; index++) await start(index);
  const channel = new Channel(addresses, { binding: stack, ...options });
  const client = channel.client(Behavior);
  const ask = async (): Promise<string> => (await client.echo({})).text;
  return {
    channel,
    client,
    gate,
    start,
    stop,
    ask,
    /** Asks until a host has answered: calls go to what is connected, which takes its time. */
    async reach(index: number): Promise<void> {
      for (let tried = 0; (await ask()) !== String(index); tried++) {
        expect(tried).toBeLessThan(5000);
        await new Promise(setImmediate);
      }
    },
    async [Symbol.asyncDispose]() {
      channel.abort();
      for (const host of hosts.values()) host.abort();
      await Promise.all([channel.closed, ...Array.from(hosts.values(), ({ closed }) => closed)]);
    },
  };
}

describe("a channel to several addresses", () => {
  test("uses them in turn", async () => {
    await using hosts = await openHosts(3);
    for (const index of [0, 1, 2]) await hosts.reach(index);
    const answers = await Promise.all(Array.from({ length: 30 }, hosts.ask));
    for (const index of ["0", "1", "2"]) expect(answers.filter((answer) => answer === index)).toHaveLength(10);
  });

  test("uses the one with the fewest calls open", async () => {
    await using hosts = await openHosts(2, { balance: "least-in-flight" });
    for (const index of [0, 1]) await hosts.reach(index);
    hosts.gate.holds = true;
    const held = Array.from({ length: 10 }, hosts.ask);
    while (hosts.gate.held.length < 10) await new Promise(setImmediate);
    expect(hosts.gate.held.filter(({ index }) => index === 0)).toHaveLength(5);
    // All that one host has are let go; until it has caught up, it gets everything.
    for (const { index, release } of hosts.gate.held) if (index === 1) release();
    const answers: string[] = [];
    for (const reply of held) void reply.then((answer) => answers.push(answer));
    while (answers.length < 5) await new Promise(setImmediate);
    const more = Array.from({ length: 5 }, hosts.ask);
    while (hosts.gate.held.length < 15) await new Promise(setImmediate);
    for (const { release } of hosts.gate.held) release();
    expect(await Promise.all(more)).toEqual(["1", "1", "1", "1", "1"]);
    await Promise.all(held);
  });

  test("keeps to the first that is there, and returns to it when it is back", async () => {
    await using hosts = await openHosts(2, { balance: "first" });
    await hosts.reach(0);
    for (let call = 0; call < 20; call++) expect(await hosts.ask()).toBe("0");
    await hosts.stop(0);
    for (let call = 0; call < 20; call++) expect(await hosts.ask()).toBe("1");
    await hosts.start(0);
    await hosts.reach(0);
    for (let call = 0; call < 20; call++) expect(await hosts.ask()).toBe("0");
  });

  test.each(["round-robin", "least-in-flight", "first"] as const)(
    "loses nothing to an address that is not there, %s",
    async (balance) => {
      await using hosts = await openHosts(2, { balance, connectTimeoutMs: 60_000 });
      await hosts.stop(0);
      for (let call = 0; call < 50; call++) expect(await hosts.ask()).toBe("1");
    },
  );

  test("loses no call, single or streaming, when its hosts are restarted in turn", async () => {
    await using hosts = await openHosts(2);
    let isOver = false;
    let [calls, streams] = [0, 0];
    const unary = async (): Promise<void> => {
      for (; !isOver; calls++) {
        expect(["0", "1"]).toContain(await hosts.ask());
        await new Promise(setImmediate);
      }
    };
    const streaming = async (): Promise<void> => {
      for (; !isOver; streams++) {
        const items = Array.from({ length: 1 + (streams % 40) }, () => ({ value: 1n }));
        expect((await hosts.client.sum(items)).count).toBe(items.length);
      }
    };
    async function* slowly(count: number): AsyncGenerator<MessageInit<Item>> {
      for (let sent = 0; sent < count; sent++) {
        yield { value: 1n };
        await new Promise(setImmediate);
      }
    }
    const trickling = async (): Promise<void> => {
      for (; !isOver; streams++) expect((await hosts.client.sum(slowly(10))).count).toBe(10);
    };
    const load = Promise.all([unary(), unary(), streaming(), streaming(), trickling(), trickling()]);
    for (let round = 0; round < 8; round++) {
      await hosts.stop(round % 2);
      await hosts.start(round % 2);
      // Only when it is used again may the other one go.
      await Promise.race([hosts.reach(round % 2), load]);
    }
    isOver = true;
    await load;
    expect(Math.min(calls, streams)).toBeGreaterThan(50);
  });

  test("does not give up those who wait when only one of its addresses is hopeless", async () => {
    const strange = { kind: "message", name: "strange", outgoing: <T>(m: T) => m, incoming: <T>(m: T) => m } as const;
    await using other = new ServiceHost({ binding: binding(strange, memory()) });
    other.serve(Behavior, partial(Behavior, {}));
    await other.open("memory://*");
    await using channel = new Channel([other.address, "memory://balance-later"], { binding: stack });
    const reply = channel.client(Behavior).ping({}, { timeoutMs: 10_000 });
    const refused = failureOf(new Channel(other.address, { binding: stack }).client(Behavior).ping({}));
    expect(await refused).toMatchObject({ code: Status.UNAVAILABLE, message: expect.stringContaining("elements") });
    await using later = new ServiceHost({ binding: stack });
    later.serve(Behavior, partial(Behavior, { ping: () => ({ sequence: 5 }) }));
    await later.open("memory://balance-later");
    expect(await reply).toEqual({ sequence: 5 });
  });

  test("a stream whose source has given nothing to anybody goes on elsewhere, message by message", async () => {
    await using hosts = await openHosts(2, { balance: "first" });
    await hosts.reach(0);
    // The host is told to go while the call is under way to it.
    const lines = new PushStream<MessageInit<Item>>();
    const stopped = hosts.stop(0);
    const reply = hosts.client.sum(lines);
    for (let sent = 0; sent < 5; sent++) await lines.push({ value: 1n });
    lines.end();
    expect(await reply).toEqual({ count: 5, total: 1n });
    await stopped;
  });
});
