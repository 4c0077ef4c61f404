import { describe, expect, test } from "@jest/globals";
import { Channel, PipelineSink, PipelineWorker, Status, Ventilator, binding, memory } from "@zerobind/core";
import type { Contract } from "@zerobind/core";
import { Envelope as WireEnvelope } from "../src/gen/zerobind/v1/pipeline.pb.ts";
import { enveloped, internalContract, pipelineMethods } from "../src/pipeline/envelope.ts";
import { NumberRanges } from "../src/pipeline/number-ranges.ts";
import { ResizeJob } from "./gen/test/v1/patterns.pb.ts";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { Imaging } from "./gen/test/v1/patterns.rpc.ts";
import { failureOf } from "./support/failure.ts";
import { Pipeline, echo, gate, jobs, numbers, until } from "./support/pipeline-ends.ts";

const stack = binding(memory());

type Part = "ventilator" | "worker" | "sink";
const orders: Part[][] = [
  ["ventilator", "worker", "sink"],
  ["ventilator", "sink", "worker"],
  ["worker", "ventilator", "sink"],
  ["worker", "sink", "ventilator"],
  ["sink", "ventilator", "worker"],
  ["sink", "worker", "ventilator"],
];
const sides = [
  { workersConnect: true, name: "ventilator and sink bind" },
  { workersConnect: false, name: "the worker binds" },
];

describe.each(sides)("$name", ({ workersConnect }) => {
  test.each(orders.map((order) => ({ order })))("started in the order $order", async ({ order }) => {
    await using pipeline = new Pipeline();
    const [ends, worker] = workersConnect ? (["bind", "connect"] as const) : (["connect", "bind"] as const);
    const starts = {
      ventilator: () => pipeline.ventilator({ attach: ends }).ventilator(Imaging).resize(jobs(20)),
      worker: () => pipeline.worker(echo, { attachFrom: worker, attachTo: worker }),
      sink: () => pipeline.sink({ attach: ends }),
    };
    let batch: ReturnType<typeof starts.ventilator> | undefined;
    for (const part of order) {
      if (part === "ventilator") batch = starts.ventilator();
      else await starts[part]();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(await batch?.finished).toMatchObject({ done: 20, failed: 0 });
    expect(pipeline.ids).toEqual(numbers(20));
  });
});

describe("a sink", () => {
  test("that cannot be reached is not held against the jobs", async () => {
    await using pipeline = new Pipeline();
    let runs = 0;
    await pipeline.worker(({ id }) => {
      runs += 1;
      return { id };
    });
    const batch = pipeline.ventilator({ leaseMs: 100, maxAttempts: 1 }).ventilator(Imaging).resize(jobs(3));
    await until(() => runs >= 3);
    // Given back within its lease, and not in a hot loop.
    expect(batch.progress).toMatchObject({ done: 0, failed: 0 });
    expect(runs).toBeLessThan(8);
    await pipeline.sink();
    expect(await batch.finished).toMatchObject({ done: 3, failed: 0 });
    expect(pipeline.ids).toEqual(numbers(3));
  });

  test("that is restarted gets what it has not acknowledged, and nothing else", async () => {
    await using pipeline = new Pipeline();
    const first = await pipeline.sink();
    await pipeline.worker(echo, { concurrency: 4 });
    const batch = pipeline.ventilator().ventilator(Imaging).resize(jobs(2_000));
    await until(() => pipeline.results.length > 300);
    await first.close();
    expect(batch.progress.done).toBeLessThan(2_000);
    await pipeline.sink();
    expect(await batch.finished).toMatchObject({ done: 2_000, failed: 0 });
    expect(pipeline.ids).toEqual(numbers(2_000));
    expect(pipeline.ends).toMatchObject([{ batch: batch.id, done: 2_000 }]);
  });

  test("whose handler throws is offered the result again, and the job is not done again", async () => {
    await using pipeline = new Pipeline();
    const ran: number[] = [];
    let throwsLeft = 2;
    await pipeline.sink({}, ({ id }) => {
      if (id === 1 && throwsLeft-- > 0) throw new Error("the database is busy");
    });
    await pipeline.worker(({ id }) => {
      ran.push(id);
      return { id };
    });
    const batch = pipeline.ventilator().ventilator(Imaging).resize(jobs(3));
    expect(await batch.finished).toMatchObject({ done: 3, failed: 0 });
    expect(pipeline.ids).toEqual(numbers(3));
    expect(ran).toEqual(numbers(3));
    expect(pipeline.errors).toHaveLength(2);
  });

  test("whose handler always throws makes a dead letter of the job", async () => {
    await using pipeline = new Pipeline();
    await pipeline.sink({}, () => {
      throw new Error("a secret");
    });
    await pipeline.worker(echo);
    const { deadLetters } = await pipeline.ventilator({ maxAttempts: 1 }).ventilator(Imaging).resize(jobs(1)).finished;
    expect(deadLetters).toMatchObject([{ attempts: 1 }]);
    expect(deadLetters[0]!.error.message).toMatch(/^the sink's handler of test.v1.Imaging\/Resize failed; .* error id/);
  });

  test("handles a result once, also while it is being handled and after the end of its batch", async () => {
    await using pipeline = new Pipeline();
    const held = gate();
    let handled = 0;
    const sink = await pipeline.sink({ concurrency: 10 }, async () => {
      handled += 1;
      await held.passed;
    });
    await using channel = new Channel(sink.address, { binding: stack });
    const [method] = pipelineMethods(Imaging);
    const { result, resultsEnd } = method!;
    const client = channel.client(internalContract(Imaging, [result, resultsEnd]));
    const id = Uint8Array.of(1, 2, 3);
    const deliver = (number: number): Promise<unknown> =>
      client["Resize/result"]!({ batch: id, number, attempt: 1, body: { id: number } });
    const twice = [deliver(5), deliver(5)];
    await until(() => sink.counters["duplicate result"] === 1);
    held.open();
    expect(await Promise.all(twice)).toEqual([{ outcome: undefined }, { outcome: undefined }]);
    await deliver(5);
    const end = { batch: id, done: 1n, failed: 0n, durationMs: 5, brokenOff: "" };
    await Promise.all([client["Resize/results-end"]!(end), client["Resize/results-end"]!(end)]);
    await client["Resize/results-end"]!(end);
    await deliver(6);
    expect(handled).toBe(1);
    expect(pipeline.ends).toEqual([
      { batch: "010203", path: "test.v1.Imaging/Resize", done: 1, failed: 0, durationMs: 5, brokenOff: undefined },
    ]);
    for (const batch of [new Uint8Array(), new Uint8Array(65)])
      expect((await failureOf(client["Resize/result"]!({ batch, number: 1, body: {} }))).code).toBe(Status.INTERNAL);
  });

  test("forgets the batches that it has heard least of, and those that are old", async () => {
    await using pipeline = new Pipeline();
    const sink = await pipeline.sink({ maxBatches: 2 });
    await using channel = new Channel(sink.address, { binding: stack });
    const [method] = pipelineMethods(Imaging);
    const client = channel.client(internalContract(Imaging, [method!.result]));
    for (const batch of [1, 2, 1, 2, 3, 2, 3, 1])
      await client["Resize/result"]!({ batch: Uint8Array.of(batch), number: 1, attempt: 1, body: { id: batch } });
    expect(pipeline.results.map(({ result }) => result.id)).toEqual([1, 2, 3, 1]);
  });

  test("handles one result after the other, unless told otherwise", async () => {
    await using pipeline = new Pipeline();
    let [running, most] = [0, 0];
    await pipeline.sink({}, async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 1));
      running -= 1;
    });
    await pipeline.worker(echo, { concurrency: 10 });
    await pipeline.ventilator().ventilator(Imaging).resize(jobs(50)).finished;
    expect(most).toBe(1);
  });
});

describe("closing", () => {
  test("a ventilator lets the jobs that workers hold be finished, and ends its batches", async () => {
    await using pipeline = new Pipeline();
    const held = gate();
    await pipeline.sink();
    await pipeline.worker(
      async ({ id }) => {
        await held.passed;
        return { id };
      },
      { concurrency: 3 },
    );
    const ventilator = pipeline.ventilator();
    const stub = ventilator.ventilator(Imaging);
    let closedSource = false;
    function* source(): Generator<{ id: number }> {
      try {
        for (let id = 0; ; id++) yield { id };
      } finally {
        closedSource = true;
      }
    }
    const batch = stub.resize(source());
    await until(() => batch.progress.running === 3);
    const closing = ventilator.close();
    held.open();
    const error = await failureOf(batch.finished);
    expect(`${error.codeName}: ${error.message}`).toBe(
      "CANCELLED: the ventilator was closed before the batch had ended",
    );
    await closing;
    expect(closedSource).toBe(true);
    expect(batch.progress).toMatchObject({ done: 3, running: 0 });
    expect(pipeline.ids).toEqual(numbers(3));
    await expect(stub.resize(jobs(1)).finished).rejects.toThrow("the ventilator was closed");
  });

  test("aborting any end at any time leaves nothing behind", async () => {
    for (let round = 0; round < 30; round++) {
      const pipeline = new Pipeline();
      const sink = await pipeline.sink();
      const worker = await pipeline.worker(echo, { concurrency: 5 });
      const ventilator = pipeline.ventilator({ leaseMs: 50 });
      const batch = ventilator.ventilator(Imaging).resize(jobs(500), { onProgress: () => undefined });
      await until(() => batch.progress.done > round * 3);
      for (const end of [worker, sink, ventilator].slice(round % 3)) end.abort();
      await pipeline[Symbol.asyncDispose]();
      await expect(batch.finished).rejects.toThrow();
    }
  });

  test("a ventilator that cannot be opened ends its batches with the reason", async () => {
    await using pipeline = new Pipeline();
    await pipeline.ventilator().open();
    const second = pipeline.ventilator();
    const batch = second.ventilator(Imaging).resize(jobs(3));
    await expect(batch.finished).rejects.toThrow(/already|in use|bound/);
    expect((await second.closed).kind).toBe("failed");
  });

  test("ends that were never opened close", async () => {
    const ends = [
      new Ventilator("memory://a", { binding: stack }),
      new PipelineWorker({ from: "memory://a", to: "memory://b", binding: stack }),
      new PipelineSink("memory://b", { binding: stack }),
    ];
    for (const end of ends) expect(await end.close()).toMatchObject({ kind: "closed" });
  });
});

describe("what is given wrongly", () => {
  const worker = (options: object): PipelineWorker =>
    new PipelineWorker({ from: "memory://a", to: "memory://b", binding: stack, ...options });

  test("is refused at once", () => {
    expect(() => new Ventilator([], { binding: stack })).toThrow("a ventilator needs an address");
    expect(() => new Ventilator("memory://a", { binding: stack, lease: 3 } as never)).toThrow(
      'there is no ventilator option "lease"; is leaseMs meant?',
    );
    expect(() => worker({ concurrency: 0 })).toThrow("concurrency must be a whole number, 1 or more");
    expect(() => worker({ to: ["memory://b"] })).toThrow("to must be an address");
    expect(() => worker({ to: undefined })).toThrow("a worker needs the option to");
    expect(() => worker({ from: [] })).toThrow("from needs an address");
    expect(() => new PipelineSink("memory://b", { binding: stack, maxBatches: 0 })).toThrow("maxBatches");
    const noPipelines = Behavior as Contract as typeof Imaging;
    expect(() => worker({}).serve(noPipelines, {} as never)).toThrow("test.v1.Behavior has no methods of a pipeline");
    expect(() => worker({}).serve(Imaging, { resize: echo } as never)).toThrow(
      "the handler of test.v1.Imaging has no method forget; all of its pipelines need one",
    );
    const stub = new Ventilator("memory://a", { binding: stack }).ventilator(Imaging);
    expect(() => stub.resize(7 as never)).toThrow(
      "jobs of test.v1.Imaging/Resize come as an AsyncIterable, Iterable or ReadableStream, not the number 7",
    );
    expect(() => stub.resize([], { leaseMs: -1 })).toThrow("leaseMs must be a number of milliseconds");
  });

  test("once it is open, a worker or sink takes no more handlers", async () => {
    await using pipeline = new Pipeline();
    const handlers = { resize: () => undefined, forget: () => undefined };
    const sink = await pipeline.sink();
    expect(() => sink.serve(Imaging, handlers)).toThrow("handlers are added before the sink opens; it is open");
    await using idle = new PipelineSink("memory://x", { binding: stack });
    await expect(idle.open()).rejects.toThrow("serves nothing yet");
  });
});

test("an envelope is the message that its proto says", () => {
  const type = enveloped(ResizeJob);
  const batch = Uint8Array.of(9, 8, 7);
  const job = ResizeJob.fromPartial({ id: 3, mischief: "none", pixels: new Uint8Array(5_000) });
  for (const [number, attempt] of [
    [0, 0],
    [1, 1],
    [2 ** 40, 7],
  ] as const) {
    const bytes = type.encode({ batch, number, attempt, body: job }).finish();
    const wire = WireEnvelope.decode(bytes);
    expect(wire).toEqual({ batch, number: BigInt(number), attempt, body: ResizeJob.encode(job).finish() });
    expect(type.decode(WireEnvelope.encode(wire).finish())).toEqual({ batch, number, attempt, body: job });
  }
  expect(type.decode(new Uint8Array())).toEqual({
    batch: new Uint8Array(),
    number: 0,
    attempt: 0,
    body: ResizeJob.fromPartial({}),
  });
});

test("ranges know the numbers they were given", () => {
  for (let round = 0; round < 50; round++) {
    const ranges = new NumberRanges();
    const known = new Set<number>();
    for (let step = 0; step < 300; step++) {
      const number = Math.floor(Math.random() * 100);
      expect(ranges.has(number)).toBe(known.has(number));
      ranges.add(number);
      known.add(number);
    }
    const sorted = [...known].sort((left, right) => left - right);
    expect(ranges.ranges).toBe(sorted.filter((number) => !known.has(number - 1)).length);
  }
});
