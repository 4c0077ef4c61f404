import { describe, expect, test } from "@jest/globals";
import { Channel, ContextKey, Metadata, RpcError, ServiceHost, Status, binding, memory, partial } from "@zerobind/core";
import type { CallOptions, Interceptor, ResponseStream } from "@zerobind/core";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { collect, openPair } from "./support/pair.ts";
import { failureOf } from "./support/failure.ts";

const under = { binding: binding(memory()), address: () => "memory://*" };
const userKey = new ContextKey<string>("user", "nobody");

/** Writes down when it is passed. */
const noting =
  (log: string[], name: string): Interceptor =>
  async (call, next) => {
    log.push(`${name} > ${call.side} ${call.path}`);
    const reply = await next(call);
    log.push(`${name} <`);
    return reply;
  };

/** Passes a stream on, message by message. */
const passing: Interceptor = async function* (call, next) {
  yield* next(call) as AsyncIterable<unknown>;
};

describe("streams with interceptors", () => {
  const endings: Record<string, (stream: ResponseStream<unknown>, controller: AbortController) => unknown> = {
    cancel: (stream) => stream.cancel("enough"),
    return: (stream) => stream.return(),
    dispose: (stream) => stream[Symbol.asyncDispose](),
    signal: (_, controller) => controller.abort("enough"),
  };

  test.each(["cancel", "return", "dispose", "signal"])(
    "end at once on both ends by %s, while they wait",
    async (how) => {
      await using pair = await openPair(under, { channel: { interceptors: [passing, passing] } });
      const aborted = pair.service.next("aborted");
      const left = pair.service.next("left");
      const controller = new AbortController();
      const stream = pair.client.count({ count: 2, intervalMs: 60_000 }, { signal: controller.signal });
      expect(await stream.next()).toEqual({ done: false, value: { value: 0n } });
      const pending = stream.next().catch((error: unknown) => error);
      await endings[how]!(stream, controller);
      const outcome = await pending;
      if (how === "cancel" || how === "signal") expect(outcome).toMatchObject({ code: Status.CANCELLED });
      else expect(outcome).toEqual({ done: true, value: undefined });
      expect(await stream.next()).toEqual({ done: true, value: undefined });
      expect(await aborted).toMatchObject({ code: Status.CANCELLED });
      await left;
    },
  );

  test("end at once although their interceptor has not begun the call, which then never runs", async () => {
    let go!: () => void;
    const ready = new Promise<void>((resolve) => (go = resolve));
    const late: Interceptor = async (call, next) => (await ready, next(call));
    await using pair = await openPair(under, { channel: { interceptors: [late] } });
    const stream = pair.client.count({ count: 3 });
    const pending = stream.next();
    await stream.return();
    expect(await pending).toEqual({ done: true, value: undefined });
    go();
    await pair.client.ping({});
    expect(pair.service.entered.get("count")).toBeUndefined();
  });

  test("an interceptor's own error comes from the stream, wherever it is thrown", async () => {
    const denied = new RpcError(Status.PERMISSION_DENIED, "no");
    const refusals: Interceptor[] = [
      () => {
        throw denied;
      },
      () => Promise.reject(denied),
      // eslint-disable-next-line require-yield -- it throws before it would
      async function* () {
        throw denied;
      },
    ];
    for (const interceptor of refusals) {
      await using pair = await openPair(under, { channel: { interceptors: [interceptor] } });
      expect(await failureOf(collect(pair.client.count({ count: 1 })))).toBe(denied);
    }
    await using pair = await openPair(under, { channel: { interceptors: [() => 5] } });
    await expect(pair.client.count({ count: 1 }).next()).rejects.toThrow(
      /interceptor of test\.v1\.Behavior\/Count must return an AsyncIterable/,
    );
  });

  test("a ReadableStream may take the place of the replies", async () => {
    const own: Interceptor = () =>
      new ReadableStream({
        start(controller) {
          controller.enqueue({ value: 7n });
          controller.close();
        },
      });
    await using pair = await openPair(under, { channel: { interceptors: [own] } });
    expect(await collect(pair.client.count({}))).toEqual([{ value: 7n }]);
  });
});

describe("interceptors", () => {
  test("that hand on a promise cost no other", async () => {
    let made: unknown;
    const watching: Interceptor = (call, next) => (made = next(call));
    await using pair = await openPair(under, { channel: { interceptors: [watching] } });
    const reply = pair.client.ping({});
    expect(reply).toBe(made);
    await reply;
  });

  test("do not stretch the time that the caller gave, and may shorten it", async () => {
    const again: Interceptor = async (call, next) => {
      for (;;) {
        try {
          return await next(call);
        } catch (error) {
          if ((error as RpcError).code !== Status.UNKNOWN) throw error;
        }
      }
    };
    await using pair = await openPair(under, { channel: { interceptors: [again] } });
    const started = performance.now();
    expect(await failureOf(pair.client.fail({ message: "x" }, { timeoutMs: 60 }))).toMatchObject({
      code: Status.DEADLINE_EXCEEDED,
    });
    expect(performance.now() - started).toBeLessThan(5_000);
    const hasty: Interceptor = (call, next) => next({ ...call, options: { ...call.options, timeoutMs: 20 } });
    await using other = await openPair(under, { channel: { interceptors: [hasty] } });
    expect(await failureOf(other.client.echo({ delayMs: 9_000 }, { timeoutMs: 8_000 }))).toMatchObject({
      code: Status.DEADLINE_EXCEEDED,
    });
  });

  test("run around a call on both ends, the first outermost", async () => {
    const log: string[] = [];
    await using pair = await openPair(under, {
      channel: { interceptors: [noting(log, "c1"), noting(log, "c2")] },
      host: { interceptors: [noting(log, "s1")] },
    });
    expect(await pair.client.ping({ sequence: 1 })).toEqual({ sequence: 1 });
    const path = "test.v1.Behavior/Ping";
    expect(log).toEqual([`c1 > client ${path}`, `c2 > client ${path}`, `s1 > server ${path}`, "s1 <", "c2 <", "c1 <"]);
  });

  test("may change the request and the metadata, answer themselves, and call again", async () => {
    let attempts = 0;
    const retry: Interceptor = async (call, next) => {
      try {
        return await next(call);
      } catch {
        return await next({ ...call, request: { sequence: 42 } });
      }
    };
    const flaky: Interceptor = (call, next) => {
      call.metadata.set("attempt", String(++attempts));
      if (attempts === 1) throw new RpcError(Status.ABORTED, "once");
      return next(call);
    };
    const seen: unknown[] = [];
    const look: Interceptor = (call, next) => (seen.push(call.metadata.get("attempt")), next(call));
    await using pair = await openPair(under, {
      channel: { interceptors: [retry, flaky] },
      host: { interceptors: [look] },
    });
    expect(await pair.client.ping({ sequence: 1 })).toEqual({ sequence: 42 });
    expect(seen).toEqual(["2"]);
    const cached: Interceptor = () => Promise.resolve({ sequence: 99 });
    await using other = await openPair(under, { channel: { interceptors: [cached] } });
    expect(await other.client.ping({})).toEqual({ sequence: 99 });
  });

  test("refuse a call on the server before its handler, with a status of their own", async () => {
    const guard: Interceptor = (call, next) => {
      if (call.metadata.get("token") !== "let me in") throw new RpcError(Status.UNAUTHENTICATED, "who are you?");
      call.items.set(userKey, "ada");
      return next(call);
    };
    const users: string[] = [];
    const inner: Interceptor = (call, next) => (
      users.push(call.items.get(userKey), call.context?.items.get(userKey) ?? ""),
      next(call)
    );
    await using pair = await openPair(under, { host: { interceptors: [guard, inner] } });
    expect(await failureOf(pair.client.echo({}))).toMatchObject({
      code: Status.UNAUTHENTICATED,
      message: "who are you?",
    });
    expect(pair.service.entered.size).toBe(0);
    await pair.client.echo({}, { metadata: new Metadata({ token: "let me in" }) });
    expect(users).toEqual(["ada", "ada"]);
  });

  test("wrap streams item by item, and a consumer that leaves still ends the call", async () => {
    const double: Interceptor = async function* (call, next) {
      for await (const item of next(call) as AsyncIterable<{ value: bigint }>) yield { value: item.value * 2n };
    };
    await using pair = await openPair(under, { channel: { interceptors: [double] } });
    expect((await collect(pair.client.count({ count: 3 }))).map(({ value }) => value)).toEqual([0n, 2n, 4n]);
    const aborted = pair.service.next("aborted");
    for await (const { value } of pair.client.count({ count: 100_000, intervalMs: 1 })) if (value === 2n) break;
    expect(await aborted).toMatchObject({ code: Status.CANCELLED });
  });
});

describe("interceptors that wait", () => {
  const never = new Promise<never>(() => undefined);
  const hanging: Interceptor = () => never;
  const hangingStream: Interceptor = async function* () {
    yield await never;
  };

  /** Opens a pair and gives the ways to make a call that its interceptors never let go. */
  async function held() {
    const pair = await openPair(under);
    const unary = pair.channel.client(Behavior, { interceptors: [hanging] });
    const streams = pair.channel.client(Behavior, { interceptors: [hangingStream] });
    const make: Record<string, (options: CallOptions) => Promise<unknown>> = {
      "a single reply": (options) => unary.echo({}, options),
      "a stream": (options) => streams.count({}, options).next(),
    };
    return { make, [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose]() };
  }

  describe.each(["a single reply", "a stream"])("%s", (kind) => {
    test("ends at its deadline", async () => {
      await using calls = await held();
      const error = await failureOf(calls.make[kind]!({ timeoutMs: 20 }));
      expect(error.code).toBe(Status.DEADLINE_EXCEEDED);
      expect(error.message).toMatch(/did not end within its deadline of 20 ms; after \d+ ms its interceptors had not/);
      expect((await failureOf(calls.make[kind]!({ timeoutMs: 0 }))).code).toBe(Status.DEADLINE_EXCEEDED);
    });

    test("ends when its signal aborts", async () => {
      await using calls = await held();
      const controller = new AbortController();
      const { signal } = controller;
      const outcome = failureOf(calls.make[kind]!({ signal, timeoutMs: Infinity }));
      controller.abort("enough");
      expect(await outcome).toMatchObject({ code: Status.CANCELLED, cause: "enough" });
      expect((await failureOf(calls.make[kind]!({ signal }))).code).toBe(Status.CANCELLED);
    });

    test("ends with the call whose handler made it", async () => {
      await using calls = await held();
      const inner: Promise<unknown>[] = [];
      const outer = new ServiceHost({ binding: under.binding }).serve(
        Behavior,
        partial(Behavior, { echo: () => (inner.push(failureOf(calls.make[kind]!({}))), never) }),
      );
      await using _ = outer;
      await outer.open("memory://*");
      await using channel = new Channel(outer.address, { binding: under.binding });
      const { echo } = channel.client(Behavior);
      await failureOf(echo({}, { timeoutMs: 20 }));
      expect(await inner[0]).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    });
  });

  test("may still make something else of the call's own end", async () => {
    const saved: Interceptor = async (call, next) => {
      try {
        return await next(call);
      } catch (error) {
        return { text: RpcError.from(error).codeName };
      }
    };
    const savedStream: Interceptor = async function* (call, next) {
      try {
        yield* next(call) as AsyncIterable<unknown>;
      } catch (error) {
        yield { value: RpcError.from(error).code };
      }
    };
    await using pair = await openPair(under);
    const unary = pair.channel.client(Behavior, { interceptors: [saved] });
    expect(await unary.echo({ delayMs: 60_000 }, { timeoutMs: 20 })).toEqual({ text: "DEADLINE_EXCEEDED" });
    const streams = pair.channel.client(Behavior, { interceptors: [savedStream] });
    const slow = { count: 5, intervalMs: 60_000 };
    expect(await collect(streams.count(slow, { timeoutMs: 50 }))).toEqual([{ value: 0n }, { value: 4 }]);
    const unread = streams.count(slow, { timeoutMs: 50 });
    expect(await unread.next()).toEqual({ done: false, value: { value: 0n } });
    await pair.service.next("aborted");
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await collect(unread)).toEqual([{ value: 4 }]);
  });
});
