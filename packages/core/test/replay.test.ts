import { describe, expect, test } from "@jest/globals";
import { ReplaySource } from "../src/replay.ts";

/** Numbers from 0 on, some at once and some after a while, as `waits` says of each. */
function source(count: number, waits: (index: number) => number): AsyncIterator<unknown> & { taken: number } {
  return {
    taken: 0,
    // A source may answer without a promise, whatever its type says.
    next(): Promise<IteratorResult<unknown>> {
      const value = this.taken++;
      const result = value < count ? { done: false, value } : { done: true, value: undefined };
      const turns = waits(value);
      if (turns === 0) return result as never;
      return (async () => {
        await microtasks(turns);
        return result as IteratorResult<unknown>;
      })();
    },
  };
}

/** Reads to the end, or for so many messages. */
async function read(from: ReplaySource, into: unknown[], most = Infinity): Promise<void> {
  const reader = from.reader()[Symbol.asyncIterator]();
  while (into.length < most) {
    const result = await reader.next();
    if (result.done) return;
    into.push(result.value);
  }
}

async function microtasks(count: number): Promise<void> {
  for (let each = 0; each < count; each++) await Promise.resolve();
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

describe("a source that can be given once more", () => {
  test("gives everything from the first on to each reader, wherever the one before it was", async () => {
    for (let variant = 0; variant < 600; variant++) {
      const count = variant % 13;
      const from = new ReplaySource(source(count, (index) => (index * 7 + variant) % 4));
      const readers: Promise<void>[] = [];
      for (let reader = 0; reader < 3; reader++) {
        readers.push(read(from, [], (variant >> reader) % 7));
        await microtasks((variant * (reader + 3)) % 11);
        expect(from.rewind()).toBe(true);
      }
      const last: unknown[] = [];
      const reading = read(from, last);
      // A sign may come at any time.
      await microtasks(variant % 17);
      from.settle();
      await reading;
      expect(last).toEqual(numbers(count));
      await Promise.all(readers);
    }
  });

  test("keeps 128 messages and no more", async () => {
    for (const [count, isKept] of [
      [128, true],
      [129, false],
    ] as const) {
      const from = new ReplaySource(source(1000, () => 0));
      await read(from, [], count);
      expect(from.rewind()).toBe(isKept);
      const rest: unknown[] = [];
      await read(from, rest);
      expect(rest).toEqual(isKept ? numbers(1000) : numbers(1000).slice(count));
    }
  });

  test("takes nothing from its source that nobody asks for", async () => {
    const inner = source(50, () => 1);
    const from = new ReplaySource(inner);
    await read(from, [], 5);
    expect(inner.taken).toBe(5);
    from.rewind();
    await read(from, [], 5);
    expect(inner.taken).toBe(5);
  });

  test("throws what its source throws, to each reader", async () => {
    const error = new Error("broken");
    const from = new ReplaySource({ next: () => Promise.reject(error) });
    const first = read(from, []);
    from.rewind();
    await expect(first).rejects.toBe(error);
    await expect(read(from, [])).rejects.toBe(error);
  });
});
