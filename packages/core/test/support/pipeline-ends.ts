import { PipelineSink, PipelineWorker, Ventilator, binding, memory } from "@zerobind/core";
import type {
  BatchEndReport,
  JobContext,
  MessageInit,
  PipelineSinkOptions,
  PipelineWorkerOptions,
  ResultContext,
  VentilatorOptions,
} from "@zerobind/core";
import type { ResizeJob, ResizeResult } from "../gen/test/v1/patterns.pb.ts";
import { Imaging } from "../gen/test/v1/patterns.rpc.ts";

const stack = binding(memory());

/** What a worker of these tests does with a job. */
export type Resize = (
  job: ResizeJob,
  context: JobContext,
) => MessageInit<ResizeResult> | Promise<MessageInit<ResizeResult>>;

/** The ends of a pipeline over the memory transport, all closed by `await using`, and what the sink was told. */
export class Pipeline implements AsyncDisposable {
  readonly from: string = `memory://jobs-${Math.random()}`;
  readonly to: string = `memory://results-${Math.random()}`;
  readonly results: { result: ResizeResult; context: ResultContext }[] = [];
  readonly ends: BatchEndReport[] = [];
  readonly errors: unknown[] = [];
  readonly troubles: string[] = [];
  readonly #made: (Ventilator | PipelineWorker | PipelineSink)[] = [];

  ventilator(options: VentilatorOptions = {}): Ventilator {
    const onTrouble = (problem: string): void => void this.troubles.push(problem);
    return this.#keep(new Ventilator(this.from, { binding: stack, onTrouble, ...options }));
  }

  async worker(resize: Resize, options: Partial<PipelineWorkerOptions> = {}): Promise<PipelineWorker> {
    const { from, to } = this;
    const onError = (error: unknown): void => void this.errors.push(error);
    const worker = this.#keep(new PipelineWorker({ from, to, binding: stack, onError, ...options }));
    worker.serve(Imaging, { resize, forget: () => ({}) });
    await worker.open();
    return worker;
  }

  async sink(
    options: PipelineSinkOptions = {},
    handle?: (result: ResizeResult, context: ResultContext) => void | Promise<void>,
  ): Promise<PipelineSink> {
    const onError = (error: unknown): void => void this.errors.push(error);
    const onBatchEnd = (end: BatchEndReport): void => void this.ends.push(end);
    const sink = this.#keep(new PipelineSink(this.to, { binding: stack, onError, onBatchEnd, ...options }));
    sink.serve(Imaging, {
      resize: async (result, context) => {
        await handle?.(result, context);
        this.results.push({ result, context });
      },
      forget: () => undefined,
    });
    await sink.open();
    return sink;
  }

  /** The ids of the results that the sink has taken, sorted. */
  get ids(): number[] {
    return this.results.map(({ result }) => result.id).sort((left, right) => left - right);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#made) end.abort();
    await Promise.all(this.#made.map(({ closed }) => closed));
  }

  #keep<End extends Ventilator | PipelineWorker | PipelineSink>(end: End): End {
    this.#made.push(end);
    return end;
  }
}

/** So many jobs, numbered from 0. */
export function jobs(count: number): { id: number }[] {
  return Array.from({ length: count }, (_, id) => ({ id }));
}

/** The numbers from 0. */
export function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number);
}

/** Does nothing but answer. */
export const echo: Resize = ({ id }) => ({ id });

/** What can be waited for, and let happen. */
export function gate(): { readonly open: () => void; readonly passed: Promise<void> } {
  let open!: () => void;
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { open, passed };
}

/** Resolves when something is so; looked at in every turn of the event loop. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1));
}
