import { expect, test } from "@jest/globals";
import { Channel, ServiceHost, binding, memory, plainJobs, plainResults } from "@zerobind/core";
import type { ResizeResult } from "./gen/test/v1/patterns.pb.ts";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { Imaging } from "./gen/test/v1/patterns.rpc.ts";
import { until } from "./support/pipeline-ends.ts";

const stack = binding(memory());

test("jobs and results of a pipeline travel as one-way calls under the path of the method", async () => {
  const from = `memory://plain-jobs-${Math.random()}`;
  const to = `memory://plain-results-${Math.random()}`;
  const results: ResizeResult[] = [];
  const paths = new Set<string>();

  await using sink = new ServiceHost({ binding: stack }).serve(plainResults(Imaging), {
    resize(result, { path }) {
      results.push(result);
      paths.add(path);
    },
    forget: () => undefined,
  });
  await sink.open(to);

  await using out = new Channel(to, { binding: stack });
  const send = out.client(plainResults(Imaging));
  await using worker = new ServiceHost({ binding: stack }).serve(plainJobs(Imaging), {
    async resize({ id, width }, { path }) {
      paths.add(path);
      await send.resize({ id, pixels: BigInt(width) });
    },
    forget: () => undefined,
  });
  await worker.open({ address: from, attach: "connect" });

  await using ventilator = new Channel(from, { binding: stack, attach: "bind" });
  const jobs = ventilator.client(plainJobs(Imaging));
  for (let id = 0; id < 20; id++) await jobs.resize({ id, width: id * 2 });
  await until(() => results.length === 20);
  expect(results.map(({ id }) => id).toSorted((left, right) => left - right)).toEqual(
    Array.from({ length: 20 }, (_, id) => id),
  );
  expect(results.every(({ id, pixels }) => pixels === BigInt(id * 2))).toBe(true);
  expect([...paths]).toEqual(["test.v1.Imaging/Resize"]);
});

test("a contract without pipelines has none", () => {
  expect(() => plainJobs(Behavior as unknown as typeof Imaging)).toThrow("has no methods of a pipeline");
});
