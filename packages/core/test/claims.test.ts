import { once } from "node:events";
import { describe, expect, test } from "@jest/globals";
import { Channel, Metadata, RpcError, ServiceHost, Status, binding, full, memory, partial } from "@zerobind/core";
import type { CallOptions, ChannelOptions, Interceptor, OperationContext } from "@zerobind/core";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import type { BehaviorClient, BehaviorHandler } from "./gen/test/v1/behavior.rpc.ts";
import { Observer, Worker } from "./gen/test/v1/callback.rpc.ts";
import type { ObserverClient } from "./gen/test/v1/callback.rpc.ts";
import { failureOf } from "./support/failure.ts";

const stack = { binding: binding(memory()) };

/** A host with a handler of some methods, and a client of it. */
async function open(handler: Partial<BehaviorHandler>, options: Partial<ChannelOptions> = {}) {
  const errors: unknown[] = [];
  const host = new ServiceHost({ ...stack, onError: (error) => errors.push(error) });
  await host.serve(Behavior, partial(Behavior, handler)).open("memory://*");
  const channel = new Channel(host.address, { ...stack, ...options });
  return {
    host,
    channel,
    errors,
    client: channel.client(Behavior),
    async [Symbol.asyncDispose]() {
      channel.abort();
      host.abort();
      await Promise.all([channel.closed, host.closed]);
    },
  };
}

/** A promise with the means to settle it. */
function deferred<T = void>() {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
}

describe("what docs/semantics.md says of a call", () => {
  test.each<[string, (client: BehaviorClient) => unknown]>([
    ["an option that does not exist", (client) => client.ping({}, { timeout: 5 } as CallOptions)],
    ["a time that is none", (client) => client.ping({}, { timeoutMs: NaN })],
    ["two times", (client) => client.ping({}, { timeoutMs: 5, deadline: 5 })],
    ["a deadline that is none", (client) => client.ping({}, { deadline: new Date(NaN) })],
    ["a request that is none", (client) => client.ping("ping" as never)],
    ["metadata that breaks the rules", (client) => client.ping({}, { metadata: { "zb-key": "" } })],
    ["a string as a stream", (client) => client.sum("text" as never)],
    ["a promise as a stream", (client) => client.sum(Promise.resolve([]) as never)],
  ])("%s is a TypeError where the call is made", async (_what, make) => {
    await using pair = await open({});
    expect(() => make(pair.client)).toThrow(TypeError);
  });

  test("a signal that was aborted before, and no time, make no traffic", async () => {
    let entered = 0;
    await using pair = await open({ ping: () => ({ sequence: ++entered }) });
    await pair.client.ping({});
    expect((await failureOf(pair.client.ping({}, { signal: AbortSignal.abort() }))).code).toBe(Status.CANCELLED);
    expect((await failureOf(pair.client.ping({}, { timeoutMs: 0 }))).code).toBe(Status.DEADLINE_EXCEEDED);
    expect(await pair.client.ping({})).toEqual({ sequence: 2 });
  });

  test("a server is told of 49 days at most, and of no deadline where there is none", async () => {
    await using pair = await open({
      echo: (_request, context) => ({ text: String(Math.round(context.timeRemainingMs() / 86_400_000)) }),
    });
    expect(await pair.client.echo({}, { timeoutMs: 2 ** 40 })).toMatchObject({ text: "50" });
    expect(await pair.client.echo({}, { timeoutMs: Infinity })).toMatchObject({ text: "Infinity" });
  });

  test("a handler that has answered leaves its calls behind, which go on", async () => {
    const [answered, release] = [deferred(), deferred()];
    await using back = await open({
      async ping() {
        await release.promise;
        return { sequence: 7 };
      },
    });
    let left: Promise<unknown> | undefined;
    await using front = await open({
      echo() {
        left = back.client.ping({});
        answered.resolve();
        return { text: "done" };
      },
    });
    await front.client.echo({});
    await answered.promise;
    release.resolve();
    expect(await left).toEqual({ sequence: 7 });
  });
});

describe("what docs/semantics.md says of streams", () => {
  test("an early reply closes the source", async () => {
    await using pair = await open({
      async sum(items) {
        for await (const { value } of items) return { total: value, count: 1 };
        return {};
      },
    });
    const closed = deferred();
    async function* endless() {
      try {
        for (let value = 1n; ; value++) {
          yield { value };
          await new Promise(setImmediate);
        }
      } finally {
        closed.resolve();
      }
    }
    expect(await pair.client.sum(endless())).toEqual({ total: 1n, count: 1 });
    await closed.promise;
  });

  test("an error comes after the messages, once, and then the stream is over", async () => {
    await using pair = await open({
      *count() {
        yield { value: 1n };
        throw new RpcError(Status.ABORTED, "enough");
      },
    });
    const stream = pair.client.count({});
    expect(await stream.next()).toEqual({ done: false, value: { value: 1n } });
    await expect(stream.next()).rejects.toMatchObject({ code: Status.ABORTED });
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  test.each<[string, unknown, keyof typeof Status]>([
    ["an error", new Error("broken"), "UNKNOWN"],
    ["an AbortError", new DOMException("stopped", "AbortError"), "CANCELLED"],
    ["a TimeoutError", new DOMException("late", "TimeoutError"), "DEADLINE_EXCEEDED"],
    ["an RpcError", new RpcError(Status.DATA_LOSS, "gone"), "DATA_LOSS"],
  ])("a source that throws %s ends the call, and the handler's requests", async (_what, thrown, code) => {
    const seen = deferred<unknown>();
    await using pair = await open({
      async sum(items) {
        try {
          for await (const _ of items);
        } catch (error) {
          seen.resolve(error);
        }
        return {};
      },
    });
    async function* broken() {
      yield { value: 1n };
      throw thrown;
    }
    const error = await failureOf(pair.client.sum(broken()));
    expect(error.codeName).toBe(code);
    expect(error === thrown || error.cause === thrown).toBe(true);
    expect(await seen.promise).toMatchObject({
      code: code === "DEADLINE_EXCEEDED" ? Status.DEADLINE_EXCEEDED : Status.CANCELLED,
    });
  });
});

describe("what docs/semantics.md says of metadata", () => {
  test.each<[string, (context: OperationContext) => void]>([
    ["not set", () => undefined],
    [
      "set to nothing",
      (context) => {
        context.setHeader({});
      },
    ],
    [
      "sent with nothing in it",
      (context) => {
        context.sendHeader();
      },
    ],
  ])("a header that was %s is not told", async (_how, act) => {
    await using pair = await open({
      ping(_request, context) {
        act(context);
        return {};
      },
    });
    let told = 0;
    const { header, trailer } = await full((options) => pair.client.ping({}, options), {
      onHeader() {
        told++;
      },
    });
    expect([told, header.size, trailer.size]).toEqual([0, 0, 0]);
  });

  test("what an error has too much of is left out", async () => {
    await using pair = await open({
      ping() {
        const trailer = new Metadata({ key: "x".repeat(70_000) });
        throw new RpcError(Status.NOT_FOUND, "m".repeat(9_000), { trailer });
      },
    });
    const { code, message, trailer } = await failureOf(pair.client.ping({}, { retry: false }));
    expect([code, message.startsWith("m".repeat(8 * 1024)), trailer]).toEqual([Status.NOT_FOUND, true, undefined]);
    expect(message).toMatch(/ \(left out, as they were too large: the rest of the message, the trailer\)$/);
  });
});

describe("what docs/semantics.md says of one-way calls", () => {
  test("they give nothing, and their errors go to onError without an id", async () => {
    const entered = deferred();
    await using pair = await open({
      notify({ text }) {
        if (text === "first") throw new Error("ignored");
        entered.resolve();
      },
    });
    await expect(pair.client.notify({ text: "first" })).resolves.toBeUndefined();
    await pair.client.notify({ text: "second" });
    await entered.promise;
    expect(pair.errors.map(String)).toEqual(["Error: ignored"]);
  });

  test("without a connection they end UNAVAILABLE", async () => {
    await using channel = new Channel("memory://nobody-listens", { ...stack, connectTimeoutMs: 20 });
    expect((await failureOf(channel.client(Behavior).notify({}))).code).toBe(Status.UNAVAILABLE);
  });
});

describe("what docs/semantics.md says of callbacks", () => {
  async function openWorker(interceptors: readonly Interceptor[] = []) {
    let kept: ObserverClient | undefined;
    const host = new ServiceHost(stack).serve(
      Worker,
      partial(Worker, {
        async work({ sequence }, context) {
          kept = context.session?.callback(Observer);
          return await kept!.progress({ sequence });
        },
      }),
    );
    await host.open("memory://*");
    const seen: string[] = [];
    const noting: Interceptor = (call, next) => {
      seen.push(`${call.side} ${call.path}`);
      return next(call);
    };
    const channel = new Channel(host.address, { ...stack, interceptors });
    const observer = partial(Observer, { progress: ({ sequence }) => ({ sequence: sequence + 1 }) });
    channel.serve(Observer, observer, { interceptors: [noting] });
    return {
      channel,
      seen,
      client: channel.client(Worker),
      kept: () => kept!,
      async [Symbol.asyncDispose]() {
        channel.abort();
        host.abort();
        await Promise.all([channel.closed, host.closed]);
      },
    };
  }

  test("they pass the interceptors that they are served with, and not those of the channel", async () => {
    const outer: string[] = [];
    const interceptor: Interceptor = (call, next) => {
      outer.push(call.path);
      return next(call);
    };
    await using pair = await openWorker([interceptor]);
    expect(await pair.client.work({ sequence: 1 })).toEqual({ sequence: 2 });
    expect([outer, pair.seen]).toEqual([["test.v1.Worker/Work"], ["server test.v1.Observer/Progress"]]);
  });

  test("a client that is kept works until the session is over", async () => {
    await using pair = await openWorker();
    await pair.client.work({ sequence: 1 });
    expect(await pair.kept().progress({ sequence: 5 })).toEqual({ sequence: 6 });
    await pair.channel.close();
    expect((await failureOf(pair.kept().progress({}))).code).toBe(Status.UNAVAILABLE);
  });

  test("what is not served answers UNIMPLEMENTED, and nothing is served once the channel is used", async () => {
    await using pair = await openWorker();
    await pair.client.work({ sequence: 1 });
    expect((await failureOf(pair.kept().hang({}))).code).toBe(Status.UNIMPLEMENTED);
    expect(() => pair.channel.serve(Behavior, partial(Behavior, {}))).toThrow(/before the channel is used/);
  });

  test("the session of a handler has a signal that aborts when it is over", async () => {
    let signal: AbortSignal | undefined;
    await using pair = await open({
      ping(_request, { session }) {
        signal = session?.signal;
        return {};
      },
    });
    await pair.client.ping({});
    expect(signal?.aborted).toBe(false);
    const over = once(signal!, "abort");
    await pair.channel.close();
    await over;
  });
});
