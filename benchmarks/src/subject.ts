/** One round trip or stream, repeated; resolves when all of it is done. */
export type Work = (count: number) => Promise<void>;

/** Something that is measured: the same work done by one library. */
export interface Subject {
  /** Serves until the process is told to end; resolves with the address. */
  serve(): Promise<string>;
  /** Connects, and gives the cases that it can do: how many calls or messages one run should have, and the run. */
  connect(address: string): Promise<Record<string, { count: number; work: Work }>>;
}

/** Keeps `concurrency` calls under way until `count` have been made. */
export function concurrently(concurrency: number, call: () => Promise<unknown>): Work {
  return async (count) => {
    let left = count;
    const lane = async (): Promise<void> => {
      while (left-- > 0) await call();
    };
    await Promise.all(Array.from({ length: concurrency }, lane));
  };
}

/** The payload of the cases with a small message. */
export const small = { number: 4711, text: "Ada Lovelace" };
