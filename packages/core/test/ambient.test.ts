import { getEventListeners, once } from "node:events";
import { describe, expect, test } from "@jest/globals";
import { Channel, ServiceHost, Status, binding, currentContext, detached, memory, partial } from "@zerobind/core";
import type { OperationContext, RpcError } from "@zerobind/core";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import type { BehaviorClient, BehaviorHandler } from "./gen/test/v1/behavior.rpc.ts";
import { failureOf } from "./support/failure.ts";
import { collect, openPair } from "./support/pair.ts";

const under = { binding: binding(memory()), address: () => "memory://*" };

/** Two hops: the caller's channel leads to a host whose handlers call the host behind it. */
async function hops(handler: (client: BehaviorClient) => Partial<BehaviorHandler>) {
  const behind = await openPair(under);
  const host = new ServiceHost({ binding: under.binding });
  host.serve(Behavior, partial(Behavior, handler(behind.client)));
  await host.open("memory://*");
  const channel = new Channel(host.address, { binding: under.binding });
  return {
    behind,
    host,
    channel,
    client: channel.client(Behavior),
    async [Symbol.asyncDispose]() {
      channel.abort();
      host.abort();
      await Promise.all([channel.closed, host.closed, behind[Symbol.asyncDispose]()]);
    },
  };
}

const slow = { delayMs: 20_000 };

describe("calls that a handler makes", () => {
  test("end by the deadline of the call that it answers, and say so", async () => {
    let inner: Promise<RpcError> | undefined;
    await using chain = await hops((client) => ({
      echo: () => {
        const reply = client.echo(slow, { timeoutMs: 60_000 });
        inner = failureOf(reply);
        return reply;
      },
    }));
    const aborted = chain.behind.service.next("aborted");
    expect(await failureOf(chain.client.echo({}, { timeoutMs: 80 }))).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    expect(await aborted).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    expect(await inner).toMatchObject({
      code: Status.DEADLINE_EXCEEDED,
      message: expect.stringContaining("the deadline of its parent call test.v1.Behavior/Echo"),
    });
  });

  test("keep a deadline of their own that comes first", async () => {
    await using chain = await hops((client) => ({ echo: () => client.echo(slow, { timeoutMs: 30 }) }));
    const error = await failureOf(chain.client.echo({}, { timeoutMs: 30_000 }));
    expect(error).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    expect(error.message).toMatch(/did not end within its deadline of 30 ms/);
  });

  test.each(["unary", "stream"])("are cancelled with the call they belong to, %s", async (kind) => {
    let inner: Promise<RpcError> | undefined;
    const begin = (client: BehaviorClient) => {
      const reply = client.echo(slow);
      inner = failureOf(reply);
      return reply;
    };
    await using chain = await hops((client) => ({
      echo: () => begin(client),
      async *count() {
        await begin(client);
        yield {};
      },
    }));
    const started = chain.behind.service.next("started");
    const aborted = chain.behind.service.next("aborted");
    const controller = new AbortController();
    const { signal } = controller;
    const calls: Record<string, () => Promise<unknown>> = {
      unary: () => chain.client.echo({}, { signal }),
      stream: () => collect(chain.client.count({}, { signal })),
    };
    const outcome = calls[kind]!().catch((error: unknown) => error);
    await started;
    controller.abort();
    await outcome;
    expect(await aborted).toMatchObject({ code: Status.CANCELLED });
    expect(await inner).toMatchObject({ code: Status.CANCELLED });
    expect((await inner)?.message).toMatch(/cancelled with its parent call test\.v1\.Behavior\/\w+/);
  });

  test("know their call however deep they are made, and nobody else does", async () => {
    const seen: (string | undefined)[] = [];
    const look = () => void seen.push(currentContext()?.path);
    await using chain = await hops((client) => ({
      async echo() {
        await new Promise((resolve) => setTimeout(resolve, 1));
        look();
        detached(look);
        await client.ping({}, { onPeer: look });
        async function* items() {
          look();
          yield { value: 1n };
        }
        await client.sum(items());
        return {};
      },
    }));
    await chain.client.echo({});
    look();
    const path = "test.v1.Behavior/Echo";
    expect(seen).toEqual([path, undefined, path, path, undefined]);
  });

  test("that are detached outlive it", async () => {
    const replies: Promise<unknown>[] = [];
    await using chain = await hops((client) => ({
      echo: (_, context: OperationContext) => {
        const request = { text: "alive", delayMs: 60 };
        replies.push(
          client.echo(request, { detached: true }),
          detached(() => client.echo(request)),
        );
        return once(context.signal, "abort").then(() => ({}));
      },
    }));
    await failureOf(chain.client.echo({}, { timeoutMs: 30 }));
    expect(await Promise.all(replies)).toMatchObject([{ text: "alive" }, { text: "alive" }]);
  });

  test("go on when it has simply answered", async () => {
    let later: Promise<unknown> | undefined;
    await using chain = await hops((client) => ({
      echo: () => {
        later = client.echo({ text: "later", delayMs: 40 });
        return {};
      },
    }));
    await chain.client.echo({});
    expect(await later).toMatchObject({ text: "later" });
  });

  test("are not made at all when it is over already", async () => {
    let tried: Promise<RpcError> | undefined;
    let done!: () => void;
    const tryNow = new Promise<void>((resolve) => (done = resolve));
    await using chain = await hops((client) => ({
      async echo(_, context: OperationContext) {
        await once(context.signal, "abort");
        tried = failureOf(client.ping({}));
        done();
        return {};
      },
    }));
    await failureOf(chain.client.echo({}, { timeoutMs: 20 }));
    await tryNow;
    expect(await tried).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    expect((await tried)?.message).toContain("parent call test.v1.Behavior/Echo");
  });

  test("leave no listener at the signal of the call when they are over", async () => {
    let left = -1;
    await using chain = await hops((client) => ({
      async echo(_, { signal }: OperationContext) {
        await Promise.all(Array.from({ length: 50 }, () => client.ping({})));
        left = getEventListeners(signal, "abort").length;
        return {};
      },
    }));
    await chain.client.echo({});
    expect(left).toBe(0);
  });
});
