import { describe, expect, test } from "@jest/globals";
import { ServiceHost, Status, binding, memory, partial } from "@zerobind/core";
import { withHead } from "../src/compression.ts";
import { Flag, RecordType } from "../src/records.ts";
import { Item } from "./gen/test/v1/behavior.pb.ts";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { HostileServer, call, data, path, statusOf } from "./support/hostile.ts";
import { RawPeer, batch } from "./support/raw-peer.ts";
import { pack, runs } from "./support/runs.ts";

const stack = binding(runs(), memory());
const compressed = Flag.MESSAGE | Flag.COMPRESSED;
const item = Item.encode(Item.fromPartial({ value: 7n })).finish();
const good = withHead(0, item.byteLength, pack(item));
const bad = withHead(0, item.byteLength - 1, pack(item));

/** Reads a stream to its end, and tells what it had and how it ended. */
async function allOf(stream: AsyncIterable<Item>): Promise<{ values: bigint[]; error?: unknown }> {
  const values: bigint[] = [];
  try {
    for await (const { value } of stream) values.push(value);
  } catch (error) {
    return { values, error };
  }
  return { values };
}

const undecodable = { code: Status.INTERNAL, message: expect.stringMatching(/cannot be decoded/) as unknown };

describe("a stream with a message that cannot be undone", () => {
  test.each<[string, readonly Uint8Array[], bigint[]]>([
    ["alone", [bad], []],
    ["last", [good, bad], [7n]],
    ["in the middle", [good, bad, good], [7n]],
  ])("%s never looks complete to a caller, also when its end has come already", async (_, bodies, values) => {
    await using server = await HostileServer.open({ binding: stack } as never);
    await server.greet({ compressions: ["runs"] });
    const { outcome, id } = await server.begun((client) => client.count({ count: 3 }));
    server.send(...bodies.map((body) => data(id, compressed, body)), {
      type: RecordType.END,
      flags: Flag.END,
      callId: id,
    });
    await server.politely();
    expect(await allOf(outcome)).toMatchObject({ values, error: undecodable });
    expect(await outcome.next()).toEqual({ done: true, value: undefined });
  });

  test.each<[string, readonly Uint8Array[], bigint[]]>([
    ["alone", [bad], []],
    ["last", [good, bad], [7n]],
    ["in the middle", [good, bad, good], [7n]],
  ])("%s never looks complete to a handler, also when its end has come already", async (_, bodies, values) => {
    let seen!: (value: unknown) => void;
    const outcome = new Promise((resolve) => (seen = resolve));
    await using host = new ServiceHost({ binding: stack });
    const handler = {
      async sum(requests: AsyncIterable<Item>) {
        await new Promise((resolve) => setImmediate(resolve));
        seen(await allOf(requests));
        return { total: 0n, count: 0 };
      },
    };
    host.serve(Behavior, partial(Behavior, handler));
    await host.open("memory://*");
    await using peer = await RawPeer.open("connect", host.address);
    const tag = await peer.greet({ compressions: ["runs"] });
    const records = bodies.map((body) => data(1, compressed, body));
    peer.send(batch(tag, call(1, path("Sum"), { flags: 0 }), ...records, data(1, Flag.END)));
    expect(await statusOf(peer, 1)).toEqual(undecodable);
    expect(await outcome).toMatchObject({ values, error: undecodable });
  });
});

test("messages that say to have next to nothing do not fill the memory beyond the window of their stream", async () => {
  await using host = new ServiceHost({ binding: stack, limits: { streamWindowBytes: 10_000 } });
  const handler = { sum: () => new Promise<never>(() => undefined) };
  host.serve(Behavior, partial(Behavior, handler));
  await host.open("memory://*");
  await using peer = await RawPeer.open("connect", host.address);
  const tag = await peer.greet();
  const body = withHead(0, 0, new Uint8Array(30_000));
  peer.send(batch(tag, call(1, path("Sum"), { flags: 0 })));
  for (let sent = 0; sent < 20; sent++) peer.send(batch(tag, data(1, compressed, body)));
  expect((await statusOf(peer, 1)).code).toBe(Status.INTERNAL);
});
