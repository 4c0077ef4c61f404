import { describe, expect, test } from "@jest/globals";
import { PushStream, Status } from "@zerobind/core";
import type { MessageInit } from "@zerobind/core";
import { CallHeader, EndHeader, Hello } from "../../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType, RefuseReason } from "../../src/records.ts";
import { EchoRequest, Item, PingReply } from "../gen/test/v1/behavior.pb.ts";
import { DeviceUnderTest } from "../support/device.ts";
import { failureOf } from "../support/failure.ts";
import { call, data, fragment, leastFragment, path, refusal, statusOf, unary } from "../support/hostile.ts";
import { collect } from "../support/pair.ts";
import { RawPeer, batch } from "../support/raw-peer.ts";
import type { RawRecord } from "../support/raw-peer.ts";
import { RawWorker } from "../support/raw-worker.ts";

const ping = path("Ping");
const pong = (callId: number): RawRecord => ({
  type: RecordType.END,
  flags: unary,
  callId,
  body: PingReply.encode({ sequence: 7 }).finish(),
});
const item = (callId: number, value: bigint): RawRecord => data(callId, Flag.MESSAGE, Item.encode({ value }).finish());
const end = (callId: number): RawRecord => ({ type: RecordType.END, flags: Flag.END, callId });

/** CREDIT for a call. */
function credit(callId: number, messages: number, bytes: number): RawRecord {
  return { type: RecordType.CREDIT, callId, aux: bytes, meta: Uint8Array.of(messages, messages >> 8, 0, 0) };
}

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

describe("a worker that is lost", () => {
  test("and had an idempotent call that nobody has answered: another one gets it", async () => {
    await using under = await DeviceUnderTest.open();
    await using first = await RawWorker.join(under.backend);
    const client = under.client();
    const reply = client.ping({ sequence: 7 });
    const sent = await first.call();
    expect(sent.flags & Flag.IDEMPOTENT).not.toBe(0);
    first.die();
    await using second = await RawWorker.join(under.backend);
    const again = await second.call();
    expect([again.body, again.flags]).toEqual([sent.body, sent.flags]);
    second.send(pong(again.callId));
    expect(await reply).toEqual({ sequence: 7 });
  });

  test("three times with the same call: it is not given to a fourth", async () => {
    await using under = await DeviceUnderTest.open();
    const reply = failureOf(under.client().ping({ sequence: 7 }, { timeoutMs: 10_000 }));
    for (let round = 0; round < 3; round++) {
      await using worker = await RawWorker.join(under.backend);
      await worker.call();
      worker.die();
      await under.workers(0);
    }
    expect(await reply).toMatchObject({
      code: Status.UNAVAILABLE,
      message: expect.stringMatching(/outcome unknown, the worker was lost: .*sent to 3 workers, and all were lost/),
    });
  });

  test("and had any other call: its outcome is unknown", async () => {
    await using under = await DeviceUnderTest.open();
    await using worker = await RawWorker.join(under.backend);
    const reply = failureOf(under.client().echo({ text: "x" }));
    await worker.call();
    worker.die();
    const error = await reply;
    expect(error.code).toBe(Status.UNAVAILABLE);
    expect(error.message).toMatch(/Behavior\/Echo: outcome unknown, the worker was lost: the other end has closed/);
    expect(under.device.status).toEqual({ clients: 1, workers: 0, freeCredit: 0, running: 0, held: 0 });
  });

  test("and had one-way calls: they are counted and told", async () => {
    await using under = await DeviceUnderTest.open();
    await using worker = await RawWorker.join(under.backend);
    await under.client().notify({ text: "x" });
    await worker.call();
    worker.die();
    await under.workers(0);
    expect(under.troubles).toMatchObject([expect.stringMatching(/^1 one-way calls were with a worker that was lost/)]);
    expect(under.device.counters).toEqual({ "dropped one-way call": 1 });
  });

  test("and has refused a call unseen: another one gets it", async () => {
    await using under = await DeviceUnderTest.open();
    await using first = await RawWorker.join(under.backend, { maxConcurrentCalls: 5 });
    const client = under.client();
    const [kept, notKept] = [client.ping({ sequence: 7 }), client.echo({ text: "y" })];
    const ids = [(await first.call()).callId, (await first.call()).callId];
    first.send({ type: RecordType.GOAWAY }, ...ids.map((callId) => ({ type: RecordType.REFUSE, callId, aux: 14 })));
    await under.workers(0);
    await under.worker();
    expect(await kept).toEqual({ sequence: 7 });
    expect((await notKept).text).toBe("y");
  });
});

describe("streams", () => {
  test("credit passes through, and nobody gets more than it has granted", async () => {
    await using under = await DeviceUnderTest.open();
    await using worker = await RawWorker.join(under.backend, { limits: { streamWindowMessages: 3 } });
    const client = under.client();
    const items = new PushStream<MessageInit<Item>>();
    const sum = client.sum(items);
    const { callId } = await worker.call();
    for (let value = 0; value < 10; value++) void items.push({ value: BigInt(value) });
    const received = (): number =>
      worker.peer.received.filter(({ type, flags }) => type === RecordType.DATA && (flags & Flag.MESSAGE) !== 0).length;
    await worker.peer.until(() => received() === 3);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(received()).toBe(3);
    worker.send(credit(callId, 2, 1000));
    await worker.peer.until(() => received() === 5);
    items.end();
    worker.send(credit(callId, 100, 1000));
    await worker.peer.record(RecordType.DATA, ({ flags }) => (flags & Flag.END) !== 0);
    expect(received()).toBe(10);
    worker.send({ type: RecordType.END, flags: unary, callId });
    expect(await sum).toEqual({ total: 0n, count: 0 });
  });

  test("a worker with a larger window than the device's can fill it", async () => {
    await using under = await DeviceUnderTest.open({ limits: { streamWindowMessages: 4 } });
    await under.worker({ limits: { streamWindowMessages: 1000 } });
    const client = under.client();
    const items = Array.from({ length: 500 }, () => ({ value: 1n }));
    expect(await client.sum(items)).toEqual({ total: 500n, count: 500 });
    expect(await collect(client.count({ count: 500 }))).toHaveLength(500);
  });

  test.each([
    [4, 1000],
    [1000, 4],
    [1, 1],
  ])("windows of %i at the client and %i at the worker go together", async (streamWindowMessages, other) => {
    await using under = await DeviceUnderTest.open();
    await under.worker({ limits: { streamWindowMessages: other, streamWindowBytes: other * 10 } });
    const client = under.client({ limits: { streamWindowMessages, streamWindowBytes: streamWindowMessages * 10 } });
    const lines = Array.from({ length: 300 }, (_, number) => ({ number, text: "x".repeat(number) }));
    const replies = await collect(client.relay(lines));
    expect(replies.map(({ number }) => number)).toEqual(lines.map(({ number }) => number));
  });

  test("a client that sends more than it was granted ends its own call, and the worker goes on", async () => {
    await using under = await DeviceUnderTest.open({ limits: { streamWindowMessages: 4 } });
    await under.worker();
    await using client = await rawClient(under);
    client.send(call(1, path("Sum"), { flags: 0 }), ...Array.from({ length: 3000 }, () => data(1)));
    expect(await statusOf(client.peer, 1)).toMatchObject({
      code: Status.INTERNAL,
      message: expect.stringMatching(/more messages than it was granted/),
    });
    client.send(call(3, ping));
    expect((await client.peer.record(RecordType.END, ({ callId }) => callId === 3)).aux).toBe(Status.OK);
  });

  test("a worker that sends more than it was granted ends that call", async () => {
    await using under = await DeviceUnderTest.open({ limits: { streamWindowMessages: 4 } });
    await using worker = await RawWorker.join(under.backend);
    await using client = await rawClient(under, { limits: { streamWindowMessages: 4 } });
    client.send(call(1, path("Count")));
    const { callId } = await worker.call();
    worker.send(...Array.from({ length: 6 }, (_, value) => item(callId, BigInt(value))));
    expect(await statusOf(client.peer, 1)).toMatchObject({ code: Status.INTERNAL });
    await worker.peer.record(RecordType.CANCEL);
  });
});

describe("messages in fragments", () => {
  test("go on when they are there as a whole", async () => {
    await using under = await DeviceUnderTest.open();
    await using worker = await RawWorker.join(under.backend);
    await using client = await rawClient(under);
    client.send(call(1, path("Echo"), { flags: fragment, body: leastFragment }), data(1, fragment, leastFragment));
    client.send(call(3, ping));
    const { callId, body } = await worker.call();
    expect(body).toHaveLength(0);
    client.send(data(1, unary, Uint8Array.of(1, 2, 3)));
    const whole = await worker.call();
    expect([whole.body.byteLength, whole.flags & ~Flag.ATTACHED]).toEqual([8195, unary]);
    const header = EndHeader.encode(
      EndHeader.fromPartial({ trailer: [{ key: "t", value: { $case: "text", value: "v" } }] }),
    ).finish();
    worker.send(data(whole.callId, fragment, leastFragment), pong(callId), {
      type: RecordType.END,
      flags: unary,
      callId: whole.callId,
      meta: header,
      body: Uint8Array.of(9),
    });
    const reply = await client.peer.record(RecordType.END, (record) => record.callId === 1);
    expect([reply.body.byteLength, reply.meta]).toEqual([4097, header]);
  });

  test("that never end take no room at the worker", async () => {
    await using under = await DeviceUnderTest.open();
    await under.worker();
    await using client = await rawClient(under);
    for (let id = 1; id < 17; id += 2) client.send(call(id, path("Echo"), { flags: fragment, body: leastFragment }));
    client.send(call(17, path("Echo"), { flags: fragment, body: leastFragment }));
    expect(await statusOf(client.peer, 17)).toMatchObject({ code: Status.RESOURCE_EXHAUSTED });
    const polite = under.client();
    expect((await polite.echo({ data: new Uint8Array(3_000_000) })).data).toHaveLength(3_000_000);
  });

  test("that stop in the middle, or are too large, end the call", async () => {
    await using under = await DeviceUnderTest.open({ limits: { maxMessageBytes: 10_000 } });
    await under.worker();
    await using client = await rawClient(under);
    client.send(call(1, path("Echo"), { flags: fragment, body: leastFragment }), data(1, Flag.END));
    expect(await statusOf(client.peer, 1)).toMatchObject({
      code: Status.INTERNAL,
      message: expect.stringMatching(/cut off/),
    });
    client.send(
      call(3, path("Echo"), { flags: fragment, body: leastFragment }),
      data(3, fragment, leastFragment),
      data(3, fragment, leastFragment),
    );
    expect(await statusOf(client.peer, 3)).toMatchObject({ code: Status.RESOURCE_EXHAUSTED });
  });
});

describe("offences", () => {
  const badMetadata = CallHeader.encode(
    CallHeader.fromPartial({ path: ping, metadata: [{ key: "BAD KEY", value: { $case: "text", value: "x" } }] }),
  ).finish();

  test.each<[string, RawRecord[], RegExp]>([
    ["an even id", [call(2, ping)], /odd ids/],
    ["the id of an open call", [call(1, path("Sum"), { flags: 0 }), call(1, ping)], /used again/],
    ["a number that was not introduced", [call(1, "", { meta: Uint8Array.of(8, 9) })], /9 was not introduced/],
    ["metadata that is not valid", [call(1, "", { meta: badMetadata })], /metadata of a call is not valid/],
    ["CREDIT without a count", [{ type: RecordType.CREDIT, callId: 1, aux: 5 }], /no count of messages/],
    ["a fragment that is too small", [call(1, ping, { flags: fragment, body: new Uint8Array(9) })], /less than 4096/],
    ["a record of a worker", [end(1)], /does not send records of type 6/],
    ["an unknown record", [{ type: 99 }], /type 99/],
  ])("of a client, %s: end its session and no other", async (_, records, message) => {
    await using under = await DeviceUnderTest.open();
    const { service } = await under.worker();
    const polite = under.client();
    expect(await polite.ping({ sequence: 1 })).toEqual({ sequence: 1 });
    await using client = await rawClient(under);
    client.send(...records);
    expect(await refusal(client.peer)).toMatchObject({
      reason: RefuseReason.MALFORMED,
      message: expect.stringMatching(message),
    });
    expect(await polite.ping({ sequence: 2 })).toEqual({ sequence: 2 });
    expect(under.device.status).toMatchObject({ workers: 1, running: 0 });
    expect(service.entered.get("ping") ?? 0).toBe(0);
  });

  test.each<[string, (callId: number) => RawRecord[], RegExp]>([
    [
      "metadata that is not valid",
      (callId) => [{ ...end(callId), meta: Uint8Array.of(0x1a, 2, 0x0a, 0) }],
      /metadata is not valid/,
    ],
    ["meta that is no message", (callId) => [{ ...end(callId), meta: Uint8Array.of(255, 255) }], /decoded/],
    ["a REFUSE without a reason", (callId) => [{ type: RecordType.REFUSE, callId }], /status OK/],
    ["a CANCEL", (callId) => [{ type: RecordType.CANCEL, callId }], /does not cancel/],
    ["CREDIT without a count", (callId) => [{ type: RecordType.CREDIT, callId }], /no count/],
    ["a second WELCOME", () => [{ type: RecordType.WELCOME }], /more than one WELCOME/],
    ["a HELLO", () => [{ type: RecordType.HELLO }], /type 1/],
  ])("of a worker, %s: end its session, and clients go on", async (_, records, message) => {
    await using under = await DeviceUnderTest.open();
    await using worker = await RawWorker.join(under.backend);
    const client = under.client();
    const lost = failureOf(client.echo({}));
    const { callId } = await worker.call();
    worker.send(...records(callId));
    expect(await refusal(worker.peer)).toMatchObject({
      reason: RefuseReason.MALFORMED,
      message: expect.stringMatching(message),
    });
    expect((await lost).code).toBe(Status.UNAVAILABLE);
    await under.worker();
    expect(await client.ping({ sequence: 2 })).toEqual({ sequence: 2 });
    expect(under.device.counters["malformed"]).toBe(1);
  });

  test("batches of other sessions are dropped on both sides", async () => {
    await using under = await DeviceUnderTest.open();
    await using worker = await RawWorker.join(under.backend);
    await using client = await rawClient(under);
    client.send(call(1, ping));
    const { callId } = await worker.call();
    worker.peer.send(batch(5, pong(callId)));
    client.peer.send(batch(6, call(3, ping)));
    expect(await refusal(client.peer)).toMatchObject({ reason: RefuseReason.UNKNOWN_SESSION });
    worker.send(pong(callId));
    expect((await client.peer.record(RecordType.END)).callId).toBe(1);
    expect(under.device.counters).toEqual({ "stale batch": 2 });
  });

  test("records of calls that are not known are dropped", async () => {
    await using under = await DeviceUnderTest.open();
    await using worker = await RawWorker.join(under.backend);
    await using client = await rawClient(under);
    client.send(data(77), credit(77, 1, 1), { type: RecordType.CANCEL, callId: 77 }, call(1, ping));
    const { callId } = await worker.call();
    worker.send(end(callId + 2), item(callId + 4, 1n), pong(callId), pong(callId));
    await client.peer.record(RecordType.END);
    expect(under.device.counters).toEqual({ "record of an ended call": 3, "late reply": 3 });
  });

  test("a client that says HELLO again begins anew", async () => {
    await using under = await DeviceUnderTest.open();
    await using worker = await RawWorker.join(under.backend);
    await using client = await rawClient(under);
    client.send(call(1, path("Echo")));
    const { callId } = await worker.call();
    await client.peer.greet();
    await worker.peer.record(RecordType.CANCEL, (record) => record.callId === callId);
    expect(under.device.status).toMatchObject({ clients: 1, running: 0 });
  });

  test("paths that cannot be one are answered at once", async () => {
    await using under = await DeviceUnderTest.open();
    await using client = await rawClient(under);
    client.send(call(1, "nothing"), call(3, `a/${"x".repeat(2000)}`));
    expect((await statusOf(client.peer, 1)).code).toBe(Status.UNIMPLEMENTED);
    expect((await statusOf(client.peer, 3)).code).toBe(Status.UNIMPLEMENTED);
  });

  test("a client that says nothing more after its deadline does not keep a worker's credit", async () => {
    await using under = await DeviceUnderTest.open();
    await using worker = await RawWorker.join(under.backend, { maxConcurrentCalls: 1 });
    await using client = await rawClient(under);
    client.send(call(1, path("Echo"), { aux: 50 }));
    await worker.call();
    expect(under.device.status.freeCredit).toBe(0);
    expect((await worker.peer.record(RecordType.CANCEL)).aux).toBe(Status.DEADLINE_EXCEEDED);
    expect((await statusOf(client.peer, 1)).code).toBe(Status.DEADLINE_EXCEEDED);
    expect(under.device.status.freeCredit).toBe(1);
  });

  test("clients whose binding differs are refused", async () => {
    await using under = await DeviceUnderTest.open();
    await using peer = await RawPeer.open("connect", under.frontend);
    await peer.until(() => peer.links > 0);
    const meta = Hello.encode(Hello.fromPartial({ maxVersion: 1, minVersion: 1, elements: ["gzip"] })).finish();
    peer.send(batch(0, { type: RecordType.HELLO, meta }));
    expect(await refusal(peer)).toMatchObject({ reason: RefuseReason.MISMATCH });
  });
});

describe("what waits for a client that does not read", () => {
  test("is bounded: no further call of it begins, and others go on", async () => {
    const limits = { maxHeldBytes: 200_000, sessionWindowBytes: 65_536 };
    await using under = await DeviceUnderTest.open({ limits });
    const { service } = await under.worker();
    await using client = await rawClient(under, { limits: { sessionWindowBytes: 65_536 } });
    const body = EchoRequest.encode(EchoRequest.fromPartial({ data: new Uint8Array(20_000) })).finish();
    for (let index = 0; index < 100; index++) {
      client.send(call(1 + 2 * index, path("Echo"), { body }));
      const { device } = under;
      await under.until(
        () => device.status.held > 0 || (service.entered.get("echo") === index + 1 && device.status.running === 0),
      );
    }
    await under.until(() => under.device.status.held > 40);
    const begun = service.entered.get("echo") ?? 0;
    expect(begun).toBeLessThan(60);
    expect((await under.client().echo({ text: "polite" })).text).toBe("polite");
    client.peer.grantAll((await client.peer.record(RecordType.WELCOME)).tag);
    client.send({ type: RecordType.CREDIT, aux: 65_536 });
    const ended = (): number => client.peer.received.filter(({ type }) => type === RecordType.END).length;
    await client.peer.until(() => ended() === 100);
    expect(under.device.status).toMatchObject({ held: 0, running: 0 });
  });

  test("a worker that does not read gets no further call, and the others go to another", async () => {
    await using under = await DeviceUnderTest.open({ limits: { maxHeldBytes: 100_000 } });
    await using stuck = await RawWorker.join(under.backend, { limits: { sessionWindowBytes: 65_536 } });
    const client = under.client();
    const data = new Uint8Array(20_000);
    const calls = Array.from({ length: 30 }, () => client.echo({ data }).catch(() => undefined));
    await under.until(() => under.device.status.held > 10);
    const { service } = await under.worker();
    await under.until(() => under.device.status.held === 0);
    stuck.die();
    await Promise.all(calls);
    expect(service.entered.get("echo")).toBeGreaterThan(10);
  });
});
