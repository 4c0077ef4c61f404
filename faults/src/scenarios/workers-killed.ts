import { between } from "../harness/random.ts";
import type { ScenarioPlan } from "../harness/run.ts";
import { pause } from "../peer/clock.ts";

const jobs = 10_000;
/** Workers that are there at once; each may be killed or stopped at any time. */
const atOnce = 5;
const concurrency = 4;
const workMs = 8;
/** So that no job is given up by chance: being held by a worker that is killed counts as an attempt. */
const options = { leaseMs: 1_000, maxAttempts: 20 };

export const workersKilled: ScenarioPlan = {
  name: "workers-killed",
  proves:
    "of 10,000 jobs whose workers are killed (SIGKILL), stopped (SIGSTOP) and let go on at random moments, each result reaches the sink exactly once, and none is lost.",
  transports: ["tcp", "ipc", "ws"],
  byDefault: ["tcp", "ipc"],

  async run(scenario) {
    const sink = await scenario.peer("sink");
    const ventilator = await scenario.peer("ventilator");
    const to = await sink.ask("gather", scenario.freeAddress("sink"));
    const from = await ventilator.ask("ventilate", scenario.freeAddress("ventilator"), options);
    await ventilator.ask("grind", jobs, workMs);
    let isDone = false;
    const counts = { killed: 0, stopped: 0 };
    scenario.step(`workers are killed and stopped until ${jobs} jobs are done`);
    const report = ventilator.ask("report").finally(() => (isDone = true));
    const live = async (name: string): Promise<void> => {
      const worker = await scenario.peer(name);
      await worker.ask("work", from, to, concurrency);
      await pause(between(scenario.random, 100, 1_500));
      while (!isDone && scenario.random() < 0.5) {
        worker.signal("SIGSTOP");
        counts.stopped += 1;
        await pause(between(scenario.random, 50, 2_500));
        worker.signal("SIGCONT");
        await pause(between(scenario.random, 50, 500));
      }
      if (isDone) return;
      counts.killed += 1;
      await worker.kill();
    };
    const lines = Array.from({ length: atOnce }, async (_, line) => {
      for (let life = 1; !isDone; life++) await live(`worker ${line + 1}.${life}`);
    });
    const ended = await report;
    await Promise.all(lines);
    scenario.equal("jobs done", ended?.done, jobs);
    scenario.equal("jobs given up", ended?.failed, 0);
    const { ends, twice, duplicates, workers, ...ground } = await sink.ask("ground");
    scenario.equal("results at the sink", ground.jobs, jobs);
    scenario.equal("results that were handled twice", twice, 0);
    scenario.equal("ends of the batch that the sink was told", ends.length, 1);
    scenario.atLeast("workers that were killed", counts.killed, 3);
    scenario.figure("done after", ended?.durationMs ?? 0);
    scenario.figure("killed", counts.killed, `of ${Object.keys(workers).length} workers`);
    scenario.figure("stopped", counts.stopped, "times");
    scenario.figure("given out again", (await ventilator.ask("progress"))?.retried ?? 0, "jobs");
    scenario.figure("came twice and were not handled again", duplicates, "results");
  },
};
