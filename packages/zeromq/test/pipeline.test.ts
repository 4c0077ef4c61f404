import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { PipelineSink, PipelineWorker, Ventilator, binding } from "@zerobind/core";
import type { BatchEndReport } from "@zerobind/core";
import { zeromq } from "@zerobind/zeromq";
import { Imaging } from "../../core/test/gen/test/v1/patterns.rpc.ts";
import { runChild } from "./support.ts";

const stack = binding(zeromq());
const addresses = {
  tcp: () => "tcp://127.0.0.1:*",
  ipc: () => `ipc://${join(tmpdir(), `zerobind-${randomUUID()}`)}`,
};

/** A process that works for a ventilator, and ends when it is asked to. */
function workerProcess(from: string, to: string, name: string): ChildProcess {
  const child = runChild(`
    import { PipelineWorker, binding } from "../core/src/index.ts";
    import { zeromq } from "./src/index.ts";
    import { Imaging } from "../core/test/gen/test/v1/patterns.rpc.ts";
    const worker = new PipelineWorker({ from: "${from}", to: "${to}", concurrency: 4, binding: binding(zeromq()) });
    worker.serve(Imaging, {
      async resize({ id, workMs }) {
        await new Promise((resolve) => setTimeout(resolve, workMs));
        return { id, worker: "${name}" };
      },
      forget: () => ({}),
    });
    await worker.open();
    process.on("SIGTERM", () => void worker.close());
  `);
  child.stderr?.on("data", (text: Buffer) => process.stderr.write(text));
  return child;
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function ends(address: () => string) {
  const taken = new Map<number, number>();
  const by = new Map<string, number>();
  const told: BatchEndReport[] = [];
  const sink = new PipelineSink(address(), { binding: stack, onBatchEnd: (end) => void told.push(end) });
  sink.serve(Imaging, {
    resize({ id, worker }) {
      taken.set(id, (taken.get(id) ?? 0) + 1);
      by.set(worker, (by.get(worker) ?? 0) + 1);
    },
    forget: () => undefined,
  });
  await sink.open();
  const ventilator = new Ventilator(address(), { binding: stack, leaseMs: 700, maxAttempts: 10 });
  await ventilator.open();
  return {
    taken,
    by,
    told,
    sink,
    ventilator,
    async [Symbol.asyncDispose]() {
      await Promise.all([sink.close(), ventilator.close()]);
    },
  };
}

describe.each(Object.entries(addresses))("%s", (_, address) => {
  test("workers are killed, stopped and let go on: each result comes once, and none is lost", async () => {
    await using all = await ends(address);
    const { sink, ventilator, taken, by, told } = all;
    const start = (name: string): ChildProcess => workerProcess(ventilator.address, sink.address, name);
    const count = 2_000;
    const jobs = Array.from({ length: count }, (_, id) => ({ id, workMs: 2 }));
    const batch = ventilator.ventilator(Imaging).resize(jobs);
    const [killed, stopped, stays] = ["killed", "stopped", "stays"].map(start) as [
      ChildProcess,
      ChildProcess,
      ChildProcess,
    ];
    await until(() => ["killed", "stopped", "stays"].every((name) => by.has(name)));
    killed.kill("SIGKILL");
    const later = start("later");
    stopped.kill("SIGSTOP");
    const before = by.get("stopped")!;
    // Its jobs go to others when their lease is over, and then it gets none.
    const report = await batch.finished;
    expect(ventilator.workers).toBe(2);
    stopped.kill("SIGCONT");
    expect(report).toMatchObject({ done: count, failed: 0 });
    expect(taken.size).toBe(count);
    expect([...taken.values()].every((times) => times === 1)).toBe(true);
    expect(told).toMatchObject([{ batch: batch.id, done: count, failed: 0 }]);
    // The one that was stopped is found again, and gets jobs.
    const again = ventilator.ventilator(Imaging).resize(
      (function* more() {
        for (let id = count; by.get("stopped")! <= before + 8; id++) yield { id, workMs: 1 };
      })(),
    );
    await again.finished;
    expect(by.get("stopped")).toBeGreaterThan(before + 8);
    for (const child of [stopped, stays, later]) child.kill("SIGTERM");
    for (const child of [stopped, stays, later]) {
      if (child.exitCode === null) await once(child, "exit");
      expect(child.exitCode).toBe(0);
    }
  });
});

test("a worker that blocks its event loop within the lease keeps its jobs", async () => {
  await using all = await ends(addresses.tcp);
  const { sink, ventilator, taken } = all;
  await using worker = new PipelineWorker({ from: ventilator.address, to: sink.address, binding: stack });
  worker.serve(Imaging, {
    resize({ id }) {
      const endMs = performance.now() + 300;
      while (performance.now() < endMs);
      return { id };
    },
    forget: () => ({}),
  });
  await worker.open();
  const batch = ventilator.ventilator(Imaging).resize([{ id: 1 }, { id: 2 }]);
  expect(await batch.finished).toMatchObject({ done: 2 });
  expect(batch.progress.retried).toBe(0);
  expect([...taken.values()]).toEqual([1, 1]);
});
