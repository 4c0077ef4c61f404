import { kindOf } from "../check.ts";
import { checkResult, closeSource, isPromiseLike, iterate } from "../stream.ts";
import type { SourceIterator } from "../stream.ts";

/** How many jobs are read ahead of what workers have asked for. */
const readAhead = 32;

/** What a reader does with what it reads. */
export interface JobTaker {
  /** Jobs that were read and that nobody has asked for. */
  readonly ahead: number;
  take(job: object): void;
  /** The source has ended, or thrown. */
  exhausted(thrown: { readonly error: unknown } | undefined): void;
}

/** Reads the source of a batch, a little ahead of its workers. */
export class JobReader {
  readonly #path: string;
  readonly #taker: JobTaker;
  #source: SourceIterator | undefined;
  #wake: (() => void) | undefined;
  #stopped = false;

  /** `path` is for error messages. */
  constructor(path: string, taker: JobTaker) {
    this.#path = path;
    this.#taker = taker;
  }

  /** Reads until the source ends. Never rejects. */
  async read(jobs: unknown): Promise<void> {
    let thrown: { readonly error: unknown } | undefined;
    try {
      await this.#readAll(jobs);
    } catch (error) {
      thrown = { error };
    }
    this.#source = undefined;
    if (!this.#stopped) this.#taker.exhausted(thrown);
  }

  /** Somebody has asked for a job. */
  wake(): void {
    const wake = this.#wake;
    if (!wake || this.#taker.ahead >= readAhead) return;
    this.#wake = undefined;
    wake();
  }

  /** Reads no more, and closes the source. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    if (this.#source) closeSource(this.#source);
    this.#wake?.();
  }

  async #readAll(jobs: unknown): Promise<void> {
    const source = (this.#source = iterate(jobs));
    for (;;) {
      while (this.#taker.ahead >= readAhead && !this.#stopped) await new Promise<void>((go) => (this.#wake = go));
      if (this.#stopped) return;
      const next: unknown = source.next();
      const result = checkResult(isPromiseLike(next) ? await next : next);
      if (this.#stopped || result.done) return;
      const { value } = result;
      if (typeof value !== "object" || value === null) {
        closeSource(source);
        throw new TypeError(`a job of ${this.#path} must be a message, an object, not ${kindOf(value)}`);
      }
      this.#taker.take(value);
    }
  }
}
