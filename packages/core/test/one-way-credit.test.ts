import { EventEmitter, once } from "node:events";
import { describe, expect, test } from "@jest/globals";
import { Channel, ServiceHost, binding, memory, partial } from "@zerobind/core";
import type { OperationContext } from "@zerobind/core";
import { RecordType, Flag } from "../src/records.ts";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { HostileServer, againstHost, call, path, unary } from "./support/hostile.ts";
import { batch } from "./support/raw-peer.ts";
import type { RawPeer } from "./support/raw-peer.ts";

const callsOf = (peer: RawPeer): number => peer.received.filter(({ type }) => type === RecordType.CALL).length;

/** The server has heard all that was said before. */
async function settled(server: HostileServer, aux: number): Promise<void> {
  server.send({ type: RecordType.PING, aux });
  await server.peer.record(RecordType.PONG, (record) => record.aux === aux);
}

describe("one-way calls", () => {
  test("take a place among the open calls until the server acknowledges them", async () => {
    await using server = await HostileServer.open();
    await server.greet({ maxConcurrentCalls: 2 });
    const calls = Array.from({ length: 6 }, (_, index) => server.client.notify({ text: `${index}` }));
    await settled(server, 1);
    expect(callsOf(server.peer)).toBe(2);
    server.send({ type: RecordType.ACK, aux: 1 });
    await server.peer.until(() => callsOf(server.peer) === 3);
    await settled(server, 2);
    expect(callsOf(server.peer)).toBe(3);
    // More than there were does not make more room than there is.
    server.send({ type: RecordType.ACK, aux: 0xffffffff });
    await server.peer.until(() => callsOf(server.peer) === 5);
    await settled(server, 3);
    expect(callsOf(server.peer)).toBe(5);
    server.send({ type: RecordType.ACK, aux: 2 });
    await Promise.all(calls);
    await server.politely();
  });

  test("are acknowledged by a host, each once, also those that it refuses or that fail", async () => {
    await againstHost(async (peer, pair) => {
      const tag = await peer.greet();
      const errors = pair.failures.length;
      const flags = unary | Flag.ONEWAY;
      const paths = [path("Notify"), path("Nothing"), path("Notify"), "nowhere/Nothing", path("Notify")];
      peer.send(batch(tag, ...paths.map((to, index) => call(2 * index + 1, to, { flags }))));
      const acknowledged = (): number =>
        peer.received.filter(({ type }) => type === RecordType.ACK).reduce((sum, { aux }) => sum + aux, 0);
      await peer.until(() => acknowledged() >= paths.length);
      peer.send(batch(tag, call(99, path("Ping"))));
      await peer.record(RecordType.END, ({ callId }) => callId === 99);
      expect(acknowledged()).toBe(paths.length);
      // Nothing else was said of them.
      expect(peer.received.filter(({ callId }) => callId !== 0 && callId !== 99)).toEqual([]);
      expect(pair.failures.length).toBe(errors);
    });
  });

  test("that have arrived are carried out when their sender is gone, and a host that closes waits for them", async () => {
    const events = new EventEmitter();
    const [opened, ended] = [once(events, "open"), once(events, "ended")];
    const heard: string[] = [];
    const notify = async ({ text }: { text: string }): Promise<void> => {
      events.emit("entered");
      await opened;
      heard.push(text);
    };
    const host = new ServiceHost({ binding: binding(memory()), maxConcurrentCalls: 1 });
    const ping = (_: unknown, { session }: OperationContext) => {
      session?.signal.addEventListener("abort", () => events.emit("ended"));
      return {};
    };
    await host.serve(Behavior, partial(Behavior, { notify, ping })).open("memory://*");
    const channel = new Channel(host.address, { binding: binding(memory()) });
    const client = channel.client(Behavior);
    await client.ping({});
    const entered = once(events, "entered");
    for (const text of ["a", "b", "c"]) await client.notify({ text });
    await entered;
    await channel.close();
    await ended;
    expect(heard).toEqual([]);
    const closing = host.close();
    events.emit("open");
    await closing;
    expect(heard).toEqual(["a", "b", "c"]);
  });
});
