import { describe, expect, test } from "@jest/globals";
import { RpcError, Status } from "@zerobind/core";
import type { BatchProgress, DeadLetter, JobContext } from "@zerobind/core";
import type { ResizeJob } from "./gen/test/v1/patterns.pb.ts";
import { Imaging } from "./gen/test/v1/patterns.rpc.ts";
import { failureOf } from "./support/failure.ts";
import { Pipeline, echo, gate, jobs, numbers, until } from "./support/pipeline-ends.ts";

describe("a batch", () => {
  test("is done by all workers, and its end is told after its last result", async () => {
    await using pipeline = new Pipeline();
    const seen: JobContext[] = [];
    await pipeline.sink({ onBatchEnd: (end) => void pipeline.ends.push({ ...end, done: pipeline.results.length }) });
    for (const name of ["a", "b", "c"])
      await pipeline.worker(
        ({ id, width, height }, context) => {
          seen.push(context);
          return { id, pixels: BigInt(width * height), worker: name };
        },
        { concurrency: 4 },
      );
    const ventilator = pipeline.ventilator();
    await ventilator.open();
    await until(() => ventilator.workers === 3);
    const batch = ventilator.ventilator(Imaging).resize(jobs(300).map((job) => ({ ...job, width: job.id, height: 2 })));
    const report = await batch.finished;
    expect(report).toMatchObject({ batch: batch.id, done: 300, failed: 0, deadLetters: [] });
    expect(pipeline.ids).toEqual(numbers(300));
    for (const { result, context } of pipeline.results) {
      expect(context).toEqual({ batch: batch.id, number: result.id, attempt: 1 });
      expect(result.pixels).toBe(BigInt(result.id * 2));
    }
    expect(new Set(pipeline.results.map(({ result }) => result.worker)).size).toBe(3);
    expect(seen.every((context) => context.batch === batch.id && context.attempt === 1)).toBe(true);
    const end = { batch: batch.id, path: "test.v1.Imaging/Resize", done: 300, failed: 0, brokenOff: undefined };
    expect(pipeline.ends).toEqual([{ ...end, durationMs: expect.any(Number) }]);
    expect(batch.progress).toMatchObject({ total: 300, waiting: 0, running: 0, done: 300, failed: 0, retried: 0 });
  });

  test("of no jobs ends, too; a result may be empty", async () => {
    await using pipeline = new Pipeline();
    await pipeline.sink();
    await pipeline.worker(echo);
    const stub = pipeline.ventilator().ventilator(Imaging);
    expect(await stub.resize([]).finished).toMatchObject({ done: 0, failed: 0 });
    expect(await stub.forget([{ id: 1 }, {}]).finished).toMatchObject({ done: 2, failed: 0 });
    expect(pipeline.ends.map(({ path, done }) => [path, done])).toEqual([
      ["test.v1.Imaging/Resize", 0],
      ["test.v1.Imaging/Forget", 2],
    ]);
  });

  test("is read as workers ask for jobs, from any kind of source", async () => {
    await using pipeline = new Pipeline();
    const held = gate();
    let [read, closed, furthest] = [0, false, 0];
    function* million(): Generator<{ id: number }> {
      try {
        for (; read < 1_000_000; read++) yield { id: read };
      } finally {
        closed = true;
      }
    }
    await pipeline.sink();
    await pipeline.worker(
      async ({ id }) => {
        furthest = Math.max(furthest, read - id);
        if (id === 500) await held.passed;
        return { id };
      },
      { concurrency: 3 },
    );
    const stub = pipeline.ventilator().ventilator(Imaging);
    const batch = stub.resize(million());
    await until(() => batch.progress.done > 600);
    expect(batch.progress.total).toBeUndefined();
    batch.cancel("enough");
    expect(furthest).toBeLessThan(300);
    await expect(batch.finished).rejects.toThrow("the batch of test.v1.Imaging/Resize was cancelled: enough");
    await until(() => closed);
    held.open();

    async function* some(): AsyncGenerator<{ id: number }> {
      for (let id = 0; id < 50; id++) yield await Promise.resolve({ id });
    }
    expect(await stub.resize(some()).finished).toMatchObject({ done: 50 });
    const stream = new ReadableStream<{ id: number }>({
      start(controller) {
        for (const job of jobs(50)) controller.enqueue(job);
        controller.close();
      },
    });
    expect(await stub.resize(stream).finished).toMatchObject({ done: 50 });
    expect(await stub.resize(new Set(jobs(50))).finished).toMatchObject({ done: 50 });
  });

  test("whose source throws ends with that, after what was read is done", async () => {
    await using pipeline = new Pipeline();
    const held = gate();
    const thrown = new Error("the disk is full");
    function* source(): Generator<{ id: number }> {
      yield* jobs(5);
      throw thrown;
    }
    await pipeline.sink();
    await pipeline.worker(async ({ id }) => {
      await held.passed;
      return { id };
    });
    const batch = pipeline.ventilator().ventilator(Imaging).resize(source());
    await until(() => batch.progress.running === 1);
    held.open();
    await expect(batch.finished).rejects.toBe(thrown);
    expect(pipeline.ids).toEqual(numbers(5));
    expect(pipeline.ends).toMatchObject([{ done: 5, failed: 0, brokenOff: "its source failed: the disk is full" }]);
  });

  test("whose source gives what is no message ends with a TypeError", async () => {
    await using pipeline = new Pipeline();
    await pipeline.sink();
    await pipeline.worker(echo);
    const batch = pipeline
      .ventilator()
      .ventilator(Imaging)
      .resize([{ id: 1 }, 7 as unknown as ResizeJob]);
    await expect(batch.finished).rejects.toThrow(
      new TypeError("a job of test.v1.Imaging/Resize must be a message, an object, not the number 7"),
    );
    expect(pipeline.ids).toEqual([1]);
  });

  test("tells of its progress, not too often, and at its end", async () => {
    await using pipeline = new Pipeline();
    await pipeline.sink();
    await pipeline.worker(
      async ({ id }) => {
        await new Promise((resolve) => setTimeout(resolve, 2));
        if (id === 7) throw new RpcError(Status.ABORTED, "no");
        return { id };
      },
      { concurrency: 2 },
    );
    const told: { progress: BatchProgress; atMs: number }[] = [];
    const batch = pipeline
      .ventilator()
      .ventilator(Imaging)
      .resize(jobs(100), {
        maxAttempts: 2,
        backoffMs: 1,
        progressIntervalMs: 20,
        onProgress: (progress) => told.push({ progress, atMs: performance.now() }),
      });
    const report = await batch.finished;
    const last = told.pop()!;
    expect(last.progress).toMatchObject({ total: 100, waiting: 0, running: 0, done: 99, failed: 1, retried: 1 });
    expect(report).toMatchObject({ done: 99, failed: 1 });
    expect(report.ratePerSecond).toBeGreaterThan(0);
    expect(told.length).toBeGreaterThan(2);
    for (const [index, { atMs }] of told.entries())
      if (index > 0) expect(atMs - told[index - 1]!.atMs).toBeGreaterThan(19);
    for (const { progress } of told) {
      const { waiting, running, done, failed } = progress;
      expect(Math.min(waiting, running, done, failed)).toBeGreaterThanOrEqual(0);
      expect(running).toBeLessThanOrEqual(2);
    }
  });

  test("shares the workers with other batches", async () => {
    await using pipeline = new Pipeline();
    const order: string[] = [];
    await pipeline.sink();
    const held = gate();
    await pipeline.worker(async ({ id, mischief }) => {
      await held.passed;
      order.push(mischief);
      return { id };
    });
    const stub = pipeline.ventilator().ventilator(Imaging);
    const batches = ["a", "b", "c"].map((mischief) => stub.resize(jobs(20).map((job) => ({ ...job, mischief }))));
    await until(() => batches.some(({ progress }) => progress.running > 0));
    held.open();
    await Promise.all(batches.map(({ finished }) => finished));
    for (let turn = 1; turn < 20; turn++)
      expect(order.slice(turn * 3, turn * 3 + 3).toSorted()).toEqual(["a", "b", "c"]);
    expect(pipeline.ends).toHaveLength(3);
  });

  test("that is cancelled takes its jobs back, and others go on", async () => {
    await using pipeline = new Pipeline();
    const contexts: JobContext[] = [];
    await pipeline.sink();
    await pipeline.worker(
      async ({ id, mischief }, context) => {
        if (mischief !== "hold") return { id };
        contexts.push(context);
        await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
        return { id };
      },
      { concurrency: 2 },
    );
    const stub = pipeline.ventilator().ventilator(Imaging);
    const controller = new AbortController();
    const held = stub.resize(
      jobs(10).map((job) => ({ ...job, mischief: "hold" })),
      { signal: controller.signal },
    );
    await until(() => contexts.length === 2);
    const other = stub.resize(jobs(10));
    controller.abort(new Error("changed my mind"));
    const error = await failureOf(held.finished);
    expect(error.code).toBe(Status.CANCELLED);
    expect(error.message).toBe("the batch of test.v1.Imaging/Resize was cancelled: changed my mind");
    expect(await other.finished).toMatchObject({ done: 10 });
    await until(() => pipeline.ends.length === 2);
    expect(pipeline.ends.find(({ batch }) => batch === held.id)).toMatchObject({ done: 0, brokenOff: error.message });
    expect(contexts.every(({ signal }) => signal.aborted)).toBe(true);
    const before = stub.resize(jobs(1), { signal: AbortSignal.abort() });
    await expect(before.finished).rejects.toThrow("was cancelled");
  });
});

describe("a job", () => {
  test("is tried again when its handler throws, and is a dead letter after so many attempts", async () => {
    await using pipeline = new Pipeline();
    const attempts: number[] = [];
    const letters: DeadLetter<ResizeJob>[] = [];
    await pipeline.sink();
    await pipeline.worker(({ id, mischief }, { attempt }) => {
      if (mischief === "poison") {
        attempts.push(attempt);
        throw new RpcError(Status.FAILED_PRECONDITION, "this is no image");
      }
      if (mischief === "once" && attempt === 1) throw new Error("a secret");
      return { id };
    });
    const poison = { id: 2, mischief: "poison" };
    const batch = pipeline
      .ventilator()
      .ventilator(Imaging)
      .resize([{ id: 1 }, poison, { id: 3, mischief: "once" }], {
        maxAttempts: 4,
        backoffMs: 1,
        onDeadLetter(letter) {
          letters.push(letter);
          throw new Error("of the callback");
        },
      });
    const report = await batch.finished;
    expect(report).toMatchObject({ done: 2, failed: 1 });
    expect(report.deadLetters).toEqual(letters);
    expect(letters).toEqual([{ job: poison, number: 1, attempts: 4, error: expect.any(RpcError) }]);
    expect(letters[0]!.job).toBe(poison);
    expect(String(letters[0]!.error)).toBe("RpcError [FAILED_PRECONDITION]: this is no image");
    expect(attempts).toEqual([1, 2, 3, 4]);
    expect(pipeline.results.map(({ result, context }) => [result.id, context.attempt])).toEqual([
      [1, 1],
      [3, 2],
    ]);
    expect(pipeline.errors).toEqual([new Error("a secret")]);
    expect(pipeline.troubles).toEqual(["onDeadLetter of a batch of test.v1.Imaging/Resize failed: of the callback"]);
    expect(pipeline.ends).toMatchObject([{ done: 2, failed: 1 }]);
  });

  test("that cannot be sent is a dead letter at once", async () => {
    await using pipeline = new Pipeline();
    await pipeline.sink();
    await pipeline.worker(echo, { limits: { maxMessageBytes: 1_000 } });
    const batch = pipeline
      .ventilator()
      .ventilator(Imaging)
      .resize([{ id: -1 }, { id: 1 }, { id: 2, pixels: new Uint8Array(2_000) }]);
    const { done, deadLetters } = await batch.finished;
    expect(done).toBe(1);
    expect(deadLetters.map(({ number, attempts }) => [number, attempts])).toEqual([
      [0, 0],
      [2, 0],
    ]);
    expect(deadLetters[1]!.error.message).toMatch(/more than the 1000 that the peer accepts/);
  });

  test("goes to another worker when its lease is over, and what comes late is not handled twice", async () => {
    await using pipeline = new Pipeline();
    const late = gate();
    const held: JobContext[] = [];
    await pipeline.sink();
    const slow = await pipeline.worker(async ({ id }, context) => {
      held.push(context);
      await late.passed;
      return { id, worker: "slow" };
    });
    const ventilator = pipeline.ventilator({ leaseMs: 60 });
    const batch = ventilator.ventilator(Imaging).resize(jobs(1));
    await until(() => held.length === 1);
    expect(held[0]!.timeRemainingMs()).toBeLessThanOrEqual(60);
    expect(held[0]!.deadline).toBeLessThanOrEqual(Date.now() + 60);
    await pipeline.worker(({ id }) => ({ id, worker: "quick" }));
    expect(await batch.finished).toMatchObject({ done: 1, failed: 0 });
    expect(held[0]!.signal.aborted).toBe(true);
    late.open();
    await slow.close();
    expect(pipeline.results.map(({ result, context }) => [result.worker, context.attempt])).toEqual([["quick", 2]]);
  });

  test("is a dead letter when its lease ends too often", async () => {
    await using pipeline = new Pipeline();
    await pipeline.sink();
    await pipeline.worker(
      (_, { signal }) => new Promise((resolve) => signal.addEventListener("abort", () => resolve({}))),
    );
    const batch = pipeline.ventilator({ leaseMs: 30, maxAttempts: 2 }).ventilator(Imaging).resize(jobs(1));
    const { deadLetters } = await batch.finished;
    expect(deadLetters).toMatchObject([{ attempts: 2 }]);
    expect(String(deadLetters[0]!.error)).toBe(
      "RpcError [DEADLINE_EXCEEDED]: its lease of 30 ms was over before it was done",
    );
  });

  test("goes to another worker when its own is lost, which counts as an attempt", async () => {
    await using pipeline = new Pipeline();
    const attempts: number[] = [];
    await pipeline.sink();
    const never = new Promise<never>(() => undefined);
    const started = gate();
    const lost = await pipeline.worker(
      (_, { attempt }) => {
        attempts.push(attempt);
        if (attempts.length === 2) started.open();
        return never;
      },
      { concurrency: 2 },
    );
    const batch = pipeline.ventilator().ventilator(Imaging).resize(jobs(20));
    await started.passed;
    await pipeline.worker(({ id }, { attempt }) => {
      attempts.push(attempt);
      return { id };
    });
    lost.abort();
    expect(await batch.finished).toMatchObject({ done: 20, failed: 0 });
    expect(pipeline.ids).toEqual(numbers(20));
    expect(batch.progress.retried).toBe(2);
  });

  test("that a closing worker has is finished, or given back, which does not count", async () => {
    await using pipeline = new Pipeline();
    const held = gate();
    let started = 0;
    await pipeline.sink();
    const leaving = await pipeline.worker(
      async ({ id }) => {
        started += 1;
        if (id === 0) await new Promise<never>(() => undefined);
        await held.passed;
        return { id, worker: "leaving" };
      },
      { concurrency: 2, drainTimeoutMs: 100 },
    );
    const batch = pipeline.ventilator({ maxAttempts: 1 }).ventilator(Imaging).resize(jobs(30));
    await until(() => started === 2);
    const closing = leaving.close();
    held.open();
    await closing;
    await pipeline.worker(({ id }) => ({ id, worker: "other" }));
    expect(await batch.finished).toMatchObject({ done: 30, failed: 0 });
    expect(started).toBe(2);
    expect(pipeline.results.find(({ result }) => result.id === 1)?.result.worker).toBe("leaving");
    expect(pipeline.results.find(({ result }) => result.id === 0)?.context.attempt).toBe(1);
  });

  test("waits for a worker that is free, and is not kept by one that is busy", async () => {
    await using pipeline = new Pipeline();
    const held = gate();
    await pipeline.sink();
    await pipeline.worker(async ({ id }) => {
      await held.passed;
      return { id, worker: "slow" };
    });
    await pipeline.worker(({ id }) => ({ id, worker: "quick" }));
    const ventilator = pipeline.ventilator();
    await ventilator.open();
    await until(() => ventilator.workers === 2);
    const batch = ventilator.ventilator(Imaging).resize(jobs(50));
    await until(() => pipeline.results.length === 49);
    held.open();
    await batch.finished;
    expect(pipeline.results.filter(({ result }) => result.worker === "slow")).toHaveLength(1);
  });
});
