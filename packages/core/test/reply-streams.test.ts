import { describe, expect, test } from "@jest/globals";
import { Channel, RpcError, ServiceHost, Status, binding, memory, partial } from "@zerobind/core";
import type { Metadata, OperationContext } from "@zerobind/core";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import type { BehaviorClient, BehaviorHandler } from "./gen/test/v1/behavior.rpc.ts";
import { failureOf } from "./support/failure.ts";

const stack = binding(memory());

/** A host of one handler, and a client of it. */
async function serving(
  handler: Partial<BehaviorHandler>,
  run: (client: BehaviorClient, failures: unknown[]) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  const host = new ServiceHost({ binding: stack, onError: (error) => failures.push(error) });
  host.serve(Behavior, partial(Behavior, handler));
  await host.open("memory://*");
  const channel = new Channel(host.address, { binding: stack });
  try {
    await run(channel.client(Behavior), failures);
  } finally {
    channel.abort();
    host.abort();
    await Promise.all([channel.closed, host.closed]);
  }
}

function throwing(): never {
  throw new RpcError(Status.DATA_LOSS, "broken source");
}

const item = (value: bigint): { value: bigint } => ({ value });
const bad = { value: "no number" as unknown as bigint };

const endings: [string, (context: OperationContext) => unknown, bigint[], number][] = [
  ["throws at once", throwing, [], Status.DATA_LOSS],
  ["returns a source that throws at once", () => ({ [Symbol.asyncIterator]: throwing }), [], Status.DATA_LOSS],
  [
    "returns a source whose next throws",
    () => ({ [Symbol.iterator]: () => ({ next: throwing }) }),
    [],
    Status.DATA_LOSS,
  ],
  [
    "returns a source whose next gives no object",
    () => ({ [Symbol.iterator]: () => ({ next: () => 5 }) }),
    [],
    Status.UNKNOWN,
  ],
  ["returns nothing that can be streamed", () => 5, [], Status.UNKNOWN],
  ["returns a rejected promise", () => Promise.reject(new RpcError(Status.DATA_LOSS, "x")), [], Status.DATA_LOSS],
  [
    "throws between two items",
    async function* () {
      yield item(1n);
      await Promise.reject(new RpcError(Status.DATA_LOSS, "broken source"));
      yield item(2n);
    },
    [1n],
    Status.DATA_LOSS,
  ],
  [
    "throws after the last item",
    function* () {
      yield item(1n);
      yield item(2n);
      throwing();
    },
    [1n, 2n],
    Status.DATA_LOSS,
  ],
  ["yields an item that is none, first", () => [bad, item(2n)], [], Status.INTERNAL],
  ["yields an item that is none, second", () => [item(1n), bad, item(3n)], [1n], Status.INTERNAL],
  [
    "yields an item that is none from a source whose return hangs",
    () => ({
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.resolve({ done: false, value: bad }),
        return: () => new Promise(() => undefined),
      }),
    }),
    [],
    Status.INTERNAL,
  ],
];

describe("a stream of replies", () => {
  test.each(endings)(
    "whose handler %s ends once, after its items, with its header",
    async (_name, make, items, code) => {
      await serving(
        {
          count: (_request, context) => {
            context.setHeader({ kind: "early" });
            context.setTrailer({ kind: "late" });
            return make(context) as AsyncIterable<{ value: bigint }>;
          },
        },
        async (client) => {
          const headers: Metadata[] = [];
          const got: bigint[] = [];
          const replies = client.count({ count: 1 }, { onHeader: (header) => headers.push(header) });
          const error = await failureOf(
            (async () => {
              for await (const { value } of replies) got.push(value);
            })(),
          );
          expect(got).toEqual(items);
          expect(error.code).toBe(code);
          expect(headers.map((header) => header.get("kind"))).toEqual(["early"]);
          expect(error.trailer?.get("kind")).toBe("late");
          expect(await replies.next()).toEqual({ done: true, value: undefined });
        },
      );
    },
  );

  test("whose consumer leaves in the middle ends CANCELLED for its handler, whose source is closed", async () => {
    let closed!: () => void;
    const isClosed = new Promise<void>((resolve) => (closed = resolve));
    let reason: unknown;
    await serving(
      {
        count: (_request, context) => {
          context.signal.addEventListener("abort", () => {
            reason = context.signal.reason;
          });
          return {
            [Symbol.asyncIterator]: () => ({
              next: () => Promise.resolve({ done: false, value: item(1n) }),
              return: () => {
                closed();
                return new Promise<never>(() => undefined);
              },
            }),
          };
        },
      },
      async (client, failures) => {
        for await (const { value } of client.count({ count: 1 })) if (value === 1n) break;
        await isClosed;
        expect((reason as RpcError).code).toBe(Status.CANCELLED);
        expect(failures).toEqual([]);
      },
    );
  });
});

describe("a message with a getter", () => {
  const whole: Partial<BehaviorHandler> = { echo: ({ text, data }) => ({ text, data }) };

  test("that makes another call while it is encoded spoils neither of the calls", async () => {
    await serving(whole, async (client) => {
      const inner: Promise<{ text: string }>[] = [];
      const outer = {
        get text() {
          inner.push(client.echo({ text: "inner" }), client.echo({ text: "large", data: new Uint8Array(3_000_000) }));
          return "outer";
        },
        data: new Uint8Array(3),
      };
      const replies = await Promise.all([
        client.echo({ text: "before" }),
        client.echo(outer),
        client.echo({ text: "after" }),
      ]);
      expect(replies.map(({ text }) => text)).toEqual(["before", "outer", "after"]);
      expect((await Promise.all(inner)).map(({ text }) => text)).toEqual(expect.arrayContaining(["inner", "large"]));
    });
  });

  test("that makes a call and then throws fails only its own call", async () => {
    await serving(whole, async (client) => {
      let inner: Promise<{ text: string }> | undefined;
      const outer = {
        get text(): string {
          inner ??= client.echo({ text: "inner" });
          throw new Error("no text");
        },
      };
      const [before, failed, after] = [
        client.echo({ text: "before" }),
        client.echo(outer),
        client.echo({ text: "after" }),
      ];
      const error = await failureOf(failed);
      expect([error.code, error.message.includes("no text")]).toEqual([Status.INTERNAL, true]);
      expect([(await before).text, (await inner!).text, (await after).text]).toEqual(["before", "inner", "after"]);
    });
  });

  test("that cancels its own call, or closes the channel, ends what it says it ends", async () => {
    await serving(whole, async (client) => {
      const controller = new AbortController();
      const outer = {
        get text() {
          controller.abort();
          return "x";
        },
      };
      const failed = client.echo(outer, { signal: controller.signal });
      expect((await failureOf(failed)).code).toBe(Status.CANCELLED);
      expect((await client.echo({ text: "after" })).text).toBe("after");
    });
  });

  test("of a reply that answers the call itself, or calls back, harms no other reply", async () => {
    await serving(
      {
        ping: ({ sequence }, context) => {
          if (sequence !== 2) return { sequence };
          return {
            get sequence(): number {
              (context as unknown as { abort(reason: RpcError): void }).abort(new RpcError(Status.CANCELLED, "gone"));
              return 2;
            },
          };
        },
      },
      async (client) => {
        const calls = [1, 2, 3].map((sequence) => client.ping({ sequence }, { timeoutMs: 300 }).catch(() => undefined));
        const [first, , third] = await Promise.all(calls);
        expect([first, third]).toEqual([{ sequence: 1 }, { sequence: 3 }]);
      },
    );
  });
});
