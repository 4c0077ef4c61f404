import { PipelineSink, PipelineWorker, Ventilator } from "zerobind";
import type { BatchEndReport, BatchProgress, BatchReport, JobBatch, VentilatorOptions } from "zerobind";
import { Mill as MillContract } from "../gen/faults/v1/faults.rpc.ts";
import { pause } from "./clock.ts";

/** What a sink has had. */
export interface Ground {
  /** Different jobs. */
  jobs: number;
  /** Results that its handler was given more than once. */
  twice: number;
  /** Results by the process that made them. */
  workers: Record<number, number>;
  ends: BatchEndReport[];
  /** Results that came more than once and did not reach the handler. */
  duplicates: number;
}

/** A process as one end of a pipeline. */
export class Mill {
  readonly #number: number;
  readonly #taken = new Map<number, number>();
  readonly #workers: Record<number, number> = {};
  readonly #ends: BatchEndReport[] = [];
  #ventilator: Ventilator | undefined;
  #worker: PipelineWorker | undefined;
  #sink: PipelineSink | undefined;
  #batch: JobBatch | undefined;

  constructor(number: number) {
    this.#number = number;
  }

  /** Becomes a sink, and gives its real address. */
  async gather(address: string): Promise<string> {
    this.#sink = new PipelineSink(address, { onBatchEnd: (end) => void this.#ends.push(end) });
    this.#sink.serve(MillContract, {
      grind: ({ id, worker }) => {
        this.#taken.set(id, (this.#taken.get(id) ?? 0) + 1);
        this.#workers[worker] = (this.#workers[worker] ?? 0) + 1;
      },
    });
    await this.#sink.open();
    return this.#sink.address;
  }

  /** Becomes a worker. */
  async work(from: string, to: string, concurrency: number): Promise<void> {
    this.#worker = new PipelineWorker({ from, to, concurrency });
    this.#worker.serve(MillContract, {
      grind: async ({ id, workMs }) => {
        await pause(workMs);
        return { id, worker: this.#number };
      },
    });
    await this.#worker.open();
  }

  /** Becomes a ventilator, and gives its real address. */
  async ventilate(address: string, options: Omit<VentilatorOptions, "onTrouble">): Promise<string> {
    this.#ventilator = new Ventilator(address, options);
    await this.#ventilator.open();
    return this.#ventilator.address;
  }

  /** Begins a batch of so many jobs, which are made as they are asked for. */
  grind(count: number, workMs: number): void {
    if (!this.#ventilator) throw new Error("no ventilator: ask ventilate first");
    this.#batch = this.#ventilator.ventilator(MillContract).grind(
      (function* grains() {
        for (let id = 0; id < count; id++) yield { id, workMs };
      })(),
    );
  }

  progress(): BatchProgress | undefined {
    return this.#batch?.progress;
  }

  async report(): Promise<BatchReport | undefined> {
    const report = await this.#batch?.finished;
    // Errors lose their fields on the way to another process.
    return report && { ...report, deadLetters: [] };
  }

  ground(): Ground {
    return {
      jobs: this.#taken.size,
      twice: [...this.#taken.values()].filter((times) => times > 1).length,
      workers: this.#workers,
      ends: this.#ends,
      duplicates: this.#sink?.counters["duplicate result"] ?? 0,
    };
  }

  async close(): Promise<void> {
    await this.#ventilator?.close();
    await this.#worker?.close();
    await this.#sink?.close();
  }
}
