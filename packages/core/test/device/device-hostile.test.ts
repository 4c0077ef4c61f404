import { describe, expect, test } from "@jest/globals";
import { Channel, Status } from "@zerobind/core";
import { CallHeader, DataHeader } from "../../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType, RefuseReason } from "../../src/records.ts";
import { PingReply } from "../gen/test/v1/behavior.pb.ts";
import { Behavior } from "../gen/test/v1/behavior.rpc.ts";
import { DeviceUnderTest, stack } from "../support/device.ts";
import { failureOf } from "../support/failure.ts";
import { call, data, fragment, leastFragment, path, statusOf, unary } from "../support/hostile.ts";
import { RawPeer, batch, welcome } from "../support/raw-peer.ts";
import type { RawRecord } from "../support/raw-peer.ts";
import { RawWorker } from "../support/raw-worker.ts";

const ping = path("Ping");
const pong = (callId: number): RawRecord => ({
  type: RecordType.END,
  flags: unary,
  callId,
  body: PingReply.encode({ sequence: 7 }).finish(),
});

/** A device with a raw client that has greeted it. */
async function rawClient(under: DeviceUnderTest, changes: Parameters<RawPeer["greet"]>[0] = {}) {
  const peer = await RawPeer.open("connect", under.frontend);
  const tag = await peer.greet(changes);
  return {
    peer,
    send: (...records: RawRecord[]) => peer.send(batch(tag, ...records)),
    [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
  };
}

const large = "x".repeat(70_000);
const aWhile = () => new Promise((resolve) => setTimeout(resolve, 30));

/** A worker that has granted as much as one of two one-way calls takes. */
async function starved(under: DeviceUnderTest): Promise<RawWorker> {
  const worker = await RawWorker.join(under.backend, { limits: { sessionWindowBytes: 65_536 } });
  const client = under.client();
  await client.notify({ text: large });
  await client.notify({ text: "small" });
  await worker.call();
  return worker;
}

describe("clients that hold calls", () => {
  test("for services that nobody serves do not change the turns of the others", async () => {
    await using under = await DeviceUnderTest.open();
    await using client = await rawClient(under);
    const services = ["test.v1.A", "test.v1.B"];
    let id = 1;
    const held = (service: string): RawRecord => call((id += 2), `${service}/Do`);
    client.send(...Array.from({ length: 10 }, (_, index) => held(`test.v1.Unknown${index}`)));
    client.send(...Array.from({ length: 10 }, () => held(services[0]!)));
    client.send(...Array.from({ length: 2 }, () => held(services[1]!)));
    await under.until(() => under.device.status.held === 22);
    await using worker = await RawWorker.join(under.backend, { maxConcurrentCalls: 1 }, services);
    const order: string[] = [];
    for (let round = 0; round < 4; round++) {
      const { callId, meta } = await worker.call();
      order.push(CallHeader.decode(meta).path || "known");
      worker.send(pong(callId));
    }
    expect(order.filter((to) => to === "test.v1.B/Do")).toHaveLength(1);
    expect(order[1]).toBe("test.v1.B/Do");
    expect(order[3]).toBe("known");
  });

  test("that no worker will take do not cost the worker its session", async () => {
    await using under = await DeviceUnderTest.open();
    await using client = await rawClient(under);
    const body = new Uint8Array(20);
    for (let index = 0; index < 1000; index++) {
      const id = 1 + 2 * index;
      client.send(call(id, path("Sum"), { flags: 0 }), data(id, Flag.MESSAGE, body));
    }
    await under.until(() => under.device.status.held === 1000);
    await using worker = await RawWorker.join(under.backend, { limits: { maxMessageBytes: 10 } });
    const ended = (): number => client.peer.received.filter(({ type }) => type === RecordType.END).length;
    await under.until(() => ended() === 1000 || under.troubles.length > 0);
    expect(under.troubles).toEqual([]);
    expect(ended()).toBe(1000);
    expect((await statusOf(client.peer, 1)).code).toBe(Status.RESOURCE_EXHAUSTED);
    client.send(call(5001, ping));
    worker.send(pong((await worker.peer.record(RecordType.CALL, ({ flags }) => flags === unary)).callId));
    expect((await statusOf(client.peer, 5001)).code).toBe(Status.OK);
  });

  test("and cut off a first message with an empty record send no worker a message that is none", async () => {
    await using under = await DeviceUnderTest.open();
    await using worker = await RawWorker.join(under.backend);
    await using client = await rawClient(under);
    client.send(call(1, ping, { flags: fragment, body: leastFragment }), data(1, 0));
    client.send(data(1, Flag.MESSAGE | Flag.END, Uint8Array.of(1, 2, 3)));
    const sent = await worker.call();
    expect(sent.flags & unary).toBe(unary);
    expect(sent.body.byteLength).toBe(leastFragment.byteLength + 3);
  });
});

describe("one-way calls", () => {
  test("that are cancelled before they have left take nothing of the worker's credit", async () => {
    await using under = await DeviceUnderTest.open();
    await using worker = await RawWorker.join(under.backend, {
      maxConcurrentCalls: 2,
      limits: { sessionWindowBytes: 65_536 },
    });
    await using client = await rawClient(under);
    const flags = Flag.MESSAGE | Flag.ONEWAY;
    // Takes what the worker has granted.
    client.send(call(1, path("Echo"), { body: new Uint8Array(70_000) }));
    await worker.call();
    client.send(call(3, path("Notify"), { flags, body: Uint8Array.of(0) }));
    await under.until(() => under.device.status.freeCredit === 0);
    client.send({ type: RecordType.CANCEL, callId: 3, aux: 1 });
    client.send({ type: RecordType.CANCEL, callId: 1, aux: 1 });
    await under.until(() => under.device.status.running === 0);
    worker.peer.grantAll(worker.tag);
    worker.send({ type: RecordType.CREDIT, aux: 100_000 });
    await worker.peer.record(RecordType.CANCEL);
    expect(worker.peer.received.filter(({ type }) => type === RecordType.CALL)).toHaveLength(1);
    expect(under.device.status.freeCredit).toBe(2);
  });

  test("leave before a device that closes lets go of the worker", async () => {
    await using under = await DeviceUnderTest.open();
    await using worker = await starved(under);
    const closing = under.device.close();
    await aWhile();
    expect(worker.peer.lost).toBe(0);
    worker.send({ type: RecordType.CREDIT, aux: 200_000 });
    await worker.call();
    await closing;
  });

  test("leave before a device lets go of a worker that drains", async () => {
    await using under = await DeviceUnderTest.open();
    await using worker = await starved(under);
    worker.send({ type: RecordType.GOAWAY });
    await aWhile();
    worker.send({ type: RecordType.CREDIT, aux: 200_000 });
    await worker.call();
    const { aux } = await worker.peer.record(RecordType.REFUSE);
    expect(aux).toBe(RefuseReason.DRAINING);
  });

  test("leave before a channel lets go of a server that drains", async () => {
    await using server = await RawPeer.open("bind", "memory://*");
    await using channel = new Channel(server.address, { binding: stack });
    const client = channel.client(Behavior);
    const sent = client.notify({ text: large });
    await server.record(RecordType.HELLO);
    server.send(batch(9, welcome({ limits: { sessionWindowBytes: 65_536 } })));
    await sent;
    await client.notify({ text: "small" });
    await server.record(RecordType.CALL);
    server.sendOn(0, batch(9, { type: RecordType.GOAWAY }));
    await aWhile();
    server.sendOn(0, batch(9, { type: RecordType.CREDIT, aux: 200_000 }));
    await server.until(() => server.received.filter(({ type }) => type === RecordType.CALL).length === 2);
    await server.until(() => server.lost > 0);
    channel.abort();
  });
});

test("a worker that sends header after header fills no memory", async () => {
  await using under = await DeviceUnderTest.open();
  await using worker = await RawWorker.join(under.backend);
  await using client = await rawClient(under, { limits: { streamWindowMessages: 1 } });
  client.send(call(1, path("Count")));
  const { callId } = await worker.call();
  const header = [{ key: "k", value: { $case: "text" as const, value: "x" } }];
  const meta = DataHeader.encode(DataHeader.fromPartial({ header })).finish();
  worker.send(data(callId), data(callId));
  for (let index = 0; index < 50; index++) worker.send({ type: RecordType.DATA, callId, flags: 0, meta });
  worker.send({ type: RecordType.END, flags: Flag.END, callId });
  client.send({ type: RecordType.CREDIT, callId: 1, aux: 1000, meta: Uint8Array.of(10, 0, 0, 0) });
  await statusOf(client.peer, 1);
  expect(client.peer.received.filter(({ type }) => type === RecordType.DATA).length).toBeLessThan(5);
});

test("a device that closes does not wait for a worker that will not come", async () => {
  await using under = await DeviceUnderTest.open({ drainTimeoutMs: 3_000 });
  await using worker = await RawWorker.join(under.backend);
  const client = under.client();
  const reply = failureOf(client.ping({ sequence: 7 }, { timeoutMs: 20_000 }));
  await worker.call();
  const startedMs = performance.now();
  const closing = under.device.close();
  worker.die();
  await closing;
  expect(performance.now() - startedMs).toBeLessThan(1_000);
  client.channel.abort();
  expect((await reply).code).not.toBe(Status.DEADLINE_EXCEEDED);
});
