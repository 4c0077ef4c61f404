import { equal, ok } from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { PipelineSink, PipelineWorker, RpcError, Status, Ventilator } from "zerobind";
import { Thumbnails } from "../gen/examples/thumbnails/v1/thumbnails.rpc.ts";
import { untilStopped } from "../until-stopped.ts";
import { openUntilStopped } from "./example.ts";
import type { Example } from "./example.ts";

const photos = 600;

function* album(): Generator<{ name: string; width: number }> {
  for (let number = 1; number <= photos; number++) yield { name: `photo ${number}`, width: number === 13 ? 0 : 4_000 };
}

/** Jobs to whichever worker has room, results to one sink, each exactly once, whoever dies on the way. */
export const pipeline: Example = {
  title: "a pipeline: jobs over workers that come, go and die; every result arrives once",

  roles: {
    async sink() {
      const seen = new Set<number>();
      await openUntilStopped(
        new PipelineSink("tcp://127.0.0.1:*", {
          onBatchEnd: () => console.log(`${seen.size} different thumbnails have arrived`),
        }).serve(Thumbnails, {
          shrink(_, { number }) {
            if (seen.has(number)) throw new Error(`thumbnail ${number} came twice`);
            seen.add(number);
          },
        }),
      );
    },

    async worker(from = "", to = "") {
      const stopped = untilStopped();
      await using worker = new PipelineWorker({ from, to, concurrency: 4 }).serve(Thumbnails, {
        async shrink({ name, width }) {
          if (width === 0) throw new RpcError(Status.DATA_LOSS, `${name} is broken`);
          await sleep(10);
          return { name, width: width / 20 };
        },
      });
      await worker.open();
      await stopped;
    },

    async ventilator() {
      await using ventilator = new Ventilator("tcp://127.0.0.1:*");
      await ventilator.open();
      console.log(`listening ${ventilator.address}`);
      const batch = ventilator.ventilator(Thumbnails).shrink(album(), {
        progressIntervalMs: 250,
        onProgress: ({ done, running, failed, ratePerSecond }) =>
          console.log(bar(done + failed), `${running} running, ${Math.round(ratePerSecond)}/s`),
        onDeadLetter: ({ job, attempts, error }) =>
          console.log(`given up after ${attempts} attempts: ${job.name} (${error.message})`),
      });
      const { done, failed } = await batch.finished;
      console.log(`${done} done, ${failed} failed`);
    },
  },

  async play(stage) {
    const { program: sink, address: to } = await stage.serve("sink", "sink");
    await using _sink = sink;
    const { program: ventilator, address: from } = await stage.serve("ventilator", "ventilator");
    await using _ventilator = ventilator;
    stage.tell("three workers come; one of them will be killed");
    await using first = stage.start("worker 1", "worker", from, to);
    await using second = stage.start("worker 2", "worker", from, to);
    await using third = stage.start("worker 3", "worker", from, to);
    await ventilator.line(/#/);
    await third[Symbol.asyncDispose]();
    stage.tell("worker 3 is killed with jobs in its hands");
    await ventilator.succeeded();
    equal(ventilator.lines.at(-1), `${photos - 1} done, 1 failed`);
    await Promise.all([first.stop(), second.stop()]);
    await sink.stop();
    ok(sink.lines.includes(`${photos - 1} different thumbnails have arrived`));
  },
};

/** How many of the jobs are over, to look at. */
function bar(over: number): string {
  const filled = Math.round((over / photos) * 30);
  return `[${"#".repeat(filled)}${".".repeat(30 - filled)}] ${String(over).padStart(3)}/${photos}`;
}
