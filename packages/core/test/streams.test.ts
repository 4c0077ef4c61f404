import { describe, expect, test } from "@jest/globals";
import { RpcError, Status, binding, memory } from "@zerobind/core";
import { failureOf } from "./support/failure.ts";
import { collect, openPair } from "./support/pair.ts";

const under = { binding: binding(memory()), address: () => "memory://*" };

/** An iterator that can only be asked for the next item. */
function source(next: () => unknown, more: object = {}): AsyncIterable<never> {
  return { [Symbol.asyncIterator]: () => ({ next, ...more }) } as unknown as AsyncIterable<never>;
}

function throwing(): never {
  throw new Error("broken source");
}

async function* twoThenThrow(): AsyncGenerator<{ value: bigint }> {
  yield { value: 1n };
  yield { value: 2n };
  throw new RpcError(Status.DATA_LOSS, "broken source");
}

function lockedStream(): ReadableStream {
  const stream = new ReadableStream();
  stream.getReader();
  return stream;
}

/** Neither an Item nor a Line. */
const broken = {
  get value() {
    return throwing();
  },
  get text() {
    return throwing();
  },
};
const pending = new Promise<never>(() => undefined);
const brokenSources: [string, () => unknown, RegExp, number][] = [
  [
    "whose [Symbol.asyncIterator] throws",
    () => ({ [Symbol.asyncIterator]: throwing }),
    /broken source/,
    Status.UNKNOWN,
  ],
  [
    "whose [Symbol.asyncIterator] is a getter that throws",
    () => ({
      get [Symbol.asyncIterator]() {
        return throwing();
      },
    }),
    /broken source/,
    Status.UNKNOWN,
  ],
  [
    "whose iterator is no object",
    () => ({ [Symbol.asyncIterator]: () => 5 }),
    /next is not a function/,
    Status.UNKNOWN,
  ],
  ["whose next throws", () => source(throwing), /broken source/, Status.UNKNOWN],
  [
    "whose next rejects",
    () => source(() => Promise.reject(new Error("broken source"))),
    /broken source/,
    Status.UNKNOWN,
  ],
  ["whose next gives no object", () => source(() => 5), /must give \{ done, value \}, not number/, Status.UNKNOWN],
  ["whose next resolves with undefined", () => source(() => Promise.resolve()), /not undefined/, Status.UNKNOWN],
  [
    "whose done is a getter that throws",
    () =>
      source(() => ({
        get done() {
          return throwing();
        },
      })),
    /broken source/,
    Status.UNKNOWN,
  ],
  [
    "whose value is a getter that throws",
    () =>
      source(() => ({
        get value() {
          return throwing();
        },
      })),
    /broken source/,
    Status.UNKNOWN,
  ],
  ["that throws after two items", twoThenThrow, /broken source/, Status.DATA_LOSS],
  ["that is a locked ReadableStream", lockedStream, /locked/, Status.UNKNOWN],
  [
    "that is a ReadableStream which fails",
    () => new ReadableStream({ start: (controller) => controller.error(new Error("broken source")) }),
    /broken source/,
    Status.UNKNOWN,
  ],
  ["with an item that is none", () => [null], /cannot be encoded/, Status.INTERNAL],
  [
    "with an item that throws when it is encoded, and whose return hangs",
    () =>
      source(
        () => ({
          value: broken,
        }),
        { return: () => pending },
      ),
    /cannot be encoded: broken source/,
    Status.INTERNAL,
  ],
  [
    "with an item that throws when it is encoded, and whose return throws",
    () => source(() => ({ value: broken }), { return: throwing }),
    /cannot be encoded/,
    Status.INTERNAL,
  ],
];

describe("a source of requests", () => {
  test.each(brokenSources)(
    "%s ends its call with its error, and the handler's with CANCELLED",
    async (_name, make, why, code) => {
      await using pair = await openPair(under);
      const ended: unknown[] = [];
      let begun = 0;
      pair.service.events.on("started", () => (begun += 1));
      pair.service.events.on("aborted", (reason) => ended.push(reason));
      for (const call of [
        () => pair.client.sum(make() as AsyncIterable<never>),
        () => collect(pair.client.relay(make() as AsyncIterable<never>)),
      ]) {
        const error = await failureOf(call());
        expect(error.code).toBe(code);
        expect(error.message).toMatch(why);
      }
      // The last thing that the session says is heard after the cancellations.
      await pair.client.ping({ sequence: 1 });
      // On a busy machine a call may be over before its turn to begin has come.
      expect(ended.map((reason) => (reason as RpcError).code)).toEqual(Array(begun).fill(Status.CANCELLED));
      expect(pair.failures).toEqual([]);
    },
  );

  test("is closed once when the call ends before it, and not when it ended itself", async () => {
    await using pair = await openPair(under);
    const closed: string[] = [];
    const made = (name: string, items: bigint[]): AsyncIterable<{ value: bigint }> => ({
      [Symbol.asyncIterator]: () => ({
        next: () => {
          const value = items.shift();
          return Promise.resolve(
            value === undefined ? { done: true, value: undefined } : { done: false, value: { value } },
          );
        },
        return: () => {
          closed.push(name);
          return pending;
        },
      }),
    });
    expect(await pair.client.sum(made("whole", [1n, 2n]))).toEqual({ total: 3n, count: 2 });
    expect(await pair.client.sum(made("early", [5n, -1n, ...Array<bigint>(5000).fill(1n)]))).toEqual({
      total: 5n,
      count: 1,
    });
    expect(closed).toEqual(["early"]);
  });

  test("is not asked for more after an item that cannot be encoded", async () => {
    await using pair = await openPair(under);
    let asked = 0;
    const items = source(() => ({ done: ++asked > 5, value: { value: "no number" } }));
    expect((await failureOf(pair.client.sum(items))).code).toBe(Status.INTERNAL);
    expect(asked).toBe(1);
  });
});
