import { expect, test } from "@jest/globals";
import { Ready } from "../src/gen/zerobind/v1/wire.pb.ts";
import { RecordType } from "../src/records.ts";
import { Imaging } from "./gen/test/v1/patterns.rpc.ts";
import { Pipeline, echo, gate, jobs, numbers, until } from "./support/pipeline-ends.ts";
import { RawPeer, batch, welcome } from "./support/raw-peer.ts";

test("a worker that refuses whatever it is given is not asked all the time", async () => {
  await using pipeline = new Pipeline();
  const ventilator = pipeline.ventilator();
  await ventilator.open();
  await using peer = await RawPeer.open("connect", pipeline.from);
  await peer.until(() => peer.links > 0);
  const meta = Ready.encode(Ready.fromPartial({ maxVersion: 1, minVersion: 1 })).finish();
  peer.send(batch(0, { type: RecordType.READY, meta }));
  await peer.record(RecordType.HELLO);
  peer.send(batch(9, welcome({ maxConcurrentCalls: 1 })));
  const given = ventilator.ventilator(Imaging).resize(jobs(1));
  let refused = 0;
  const over = performance.now() + 400;
  while (performance.now() < over) {
    const calls = peer.received.filter(({ type }) => type === RecordType.CALL);
    for (; refused < calls.length; refused++)
      peer.send(batch(9, { type: RecordType.REFUSE, callId: calls[refused]!.callId, aux: 14 }));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(refused).toBeGreaterThan(1);
  expect(refused).toBeLessThan(10);
  await peer[Symbol.asyncDispose]();
  await pipeline.sink();
  await pipeline.worker(echo);
  expect(await given.finished).toMatchObject({ done: 1, failed: 0 });
  expect(pipeline.ids).toEqual(numbers(1));
});

test("a lease that ends does not take other jobs from a worker that is well", async () => {
  await using pipeline = new Pipeline();
  const held = gate();
  const begun: number[] = [];
  await pipeline.sink();
  await pipeline.worker(
    async ({ id }) => {
      begun.push(id);
      await held.passed;
      return { id };
    },
    { concurrency: 2 },
  );
  const stub = pipeline.ventilator().ventilator(Imaging);
  const long = stub.resize([{ id: 1 }]);
  await until(() => begun.length === 1);
  const short = stub.resize([{ id: 2 }], { leaseMs: 100, maxAttempts: 1 });
  await until(() => short.progress.failed === 1);
  await new Promise((resolve) => setTimeout(resolve, 300));
  held.open();
  expect(await long.finished).toMatchObject({ done: 1 });
  expect(begun).toEqual([1, 2]);
  expect(long.progress.retried).toBe(0);
});

test("a lease takes some time", () => {
  const pipeline = new Pipeline();
  expect(() => pipeline.ventilator({ leaseMs: 0 })).toThrow(/leaseMs must be more than 0/);
  const stub = pipeline.ventilator().ventilator(Imaging);
  expect(() => stub.resize([], { leaseMs: 0 })).toThrow(/leaseMs must be more than 0/);
});
