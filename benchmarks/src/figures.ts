/** One measured value, as `--json` writes it. */
export interface Figure {
  readonly case: string;
  readonly subject: string;
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  /** Half the distance between the quartiles of all rounds, in percent of the value, their median; null for one round. */
  readonly spread: number | null;
}

/** Everything measured in a run: a list of samples, one a round, for each case, subject and metric. */
export class Figures {
  readonly #samples = new Map<string, { unit: string; values: number[] }>();

  /** Adds the sample of a round. */
  add(work: string, subject: string, metric: string, value: number, unit: string): void {
    const key = JSON.stringify([work, subject, metric]);
    const known = this.#samples.get(key);
    if (known) known.values.push(value);
    else this.#samples.set(key, { unit, values: [value] });
  }

  /** The samples of all rounds, in their order. */
  samples(work: string, subject: string, metric: string): readonly number[] {
    return this.#samples.get(JSON.stringify([work, subject, metric]))?.values ?? [];
  }

  /** Forgets what a subject has done in a case. */
  drop(work: string, subject: string): void {
    for (const key of this.#samples.keys()) {
      const [ofWork, ofSubject] = JSON.parse(key) as string[];
      if (ofWork === work && ofSubject === subject) this.#samples.delete(key);
    }
  }

  /** The medians. */
  all(): Figure[] {
    return [...this.#samples].map(([key, { unit, values }]) => {
      const [work, subject, metric] = JSON.parse(key) as [string, string, string];
      const value = quantile(values, 0.5);
      const spread = ((quantile(values, 0.75) - quantile(values, 0.25)) / 2 / value) * 100;
      return { case: work, subject, metric, value, unit, spread: values.length > 1 ? spread : null };
    });
  }
}

/** The median. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (sorted.length - 1) * part;
  const below = sorted[Math.floor(at)] ?? NaN;
  return below + ((sorted[Math.ceil(at)] ?? NaN) - below) * (at % 1);
}
