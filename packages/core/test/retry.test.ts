import { describe, expect, test } from "@jest/globals";
import { Channel, RpcError, ServiceHost, Status, binding, errorDetail, full, memory, partial } from "@zerobind/core";
import type { ChannelOptions, OperationContext } from "@zerobind/core";
import { RetryInfo } from "@zerobind/core/google";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import type { BehaviorHandler } from "./gen/test/v1/behavior.rpc.ts";
import { failureOf } from "./support/failure.ts";
import { collect, openPair } from "./support/pair.ts";

const under = { binding: binding(memory()), address: () => "memory://*" };
const quick = { initialBackoffMs: 1, maxBackoffMs: 4 };
const unavailable = () => new RpcError(Status.UNAVAILABLE, "not now");

/** A host with the given methods, and a client of it. */
async function serve(handler: Partial<BehaviorHandler>, options: Partial<ChannelOptions> = {}) {
  const host = new ServiceHost({ binding: under.binding });
  host.serve(Behavior, partial(Behavior, handler));
  await host.open("memory://*");
  const channel = new Channel(host.address, { binding: under.binding, ...options });
  return {
    host,
    channel,
    client: channel.client(Behavior),
    async [Symbol.asyncDispose]() {
      channel.abort();
      host.abort();
      await Promise.all([channel.closed, host.closed]);
    },
  };
}

/** A handler that fails so many times before it answers. */
function failing(times: number, error: () => Error = unavailable) {
  const seen = { attempts: 0 };
  const answer = <T>(value: T): T => {
    seen.attempts += 1;
    if (seen.attempts <= times) throw error();
    return value;
  };
  return { seen, answer };
}

describe("retries", () => {
  test("an idempotent call is tried again without anybody asking, others are not", async () => {
    const { seen, answer } = failing(2);
    await using ends = await serve({ ping: () => answer({ sequence: 9 }), echo: () => answer({}) });
    expect(await ends.client.ping({})).toEqual({ sequence: 9 });
    expect(seen.attempts).toBe(3);
    seen.attempts = 0;
    expect(await failureOf(ends.client.echo({}))).toMatchObject({ code: Status.UNAVAILABLE, message: "not now" });
    expect(seen.attempts).toBe(1);
  });

  test("the last error says how many attempts were made, and in what time", async () => {
    const { seen, answer } = failing(99);
    await using ends = await serve({ ping: () => answer({}) }, { retry: { maxAttempts: 4, ...quick } });
    const error = await failureOf(ends.client.ping({}));
    expect(error.message).toMatch(/^not now \(4 attempts in \d+ ms\)$/);
    expect(seen.attempts).toBe(4);
  });

  test("a policy of the call decides for it, and false means never", async () => {
    const { seen, answer } = failing(1, () => new RpcError(Status.ABORTED, "conflict"));
    await using ends = await serve({ ping: () => answer({}), echo: () => answer({ text: "x" }) });
    const retry = { ...quick, codes: [Status.ABORTED] };
    expect(await ends.client.echo({}, { retry })).toMatchObject({ text: "x" });
    seen.attempts = 0;
    expect(await failureOf(ends.client.ping({}, { retry: false }))).toMatchObject({ code: Status.ABORTED });
    seen.attempts = 0;
    expect(await failureOf(ends.client.ping({}))).toMatchObject({ code: Status.ABORTED, message: "conflict" });
  });

  test("a channel may do without", async () => {
    const { seen, answer } = failing(1);
    await using ends = await serve({ ping: () => answer({}) }, { retry: false });
    await failureOf(ends.client.ping({}));
    expect(seen.attempts).toBe(1);
  });

  test("a server stream is tried again until its first message or header, never after", async () => {
    const { seen, answer } = failing(1);
    let failsLater = false;
    await using ends = await serve({
      async *count(_, context: OperationContext) {
        if (failsLater) {
          seen.attempts += 1;
          context.sendHeader();
          throw unavailable();
        }
        yield answer({ value: 1n });
        yield { value: 2n };
        if (seen.attempts === 3) throw unavailable();
      },
    });
    const retry = quick;
    expect(await collect(ends.client.count({}, { retry }))).toEqual([{ value: 1n }, { value: 2n }]);
    expect(seen.attempts).toBe(2);
    expect(await failureOf(collect(ends.client.count({}, { retry })))).toMatchObject({ message: "not now" });
    expect(seen.attempts).toBe(3);
    failsLater = true;
    await failureOf(collect(ends.client.count({}, { retry })));
    expect(seen.attempts).toBe(4);
  });

  test("header and trailer are those of the last attempt; each attempt has its peer", async () => {
    let attempts = 0;
    const told: string[] = [];
    await using ends = await serve({
      echo(_, context: OperationContext) {
        context.setHeader({ attempt: String(++attempts) });
        context.setTrailer({ attempt: String(attempts) });
        if (attempts < 3) throw unavailable();
        return {};
      },
    });
    const reply = await full((options) => ends.client.echo({}, options), {
      retry: quick,
      onPeer: () => told.push("peer"),
      onHeader: (header) => told.push(`header ${String(header.get("attempt"))}`),
      onTrailer: (trailer) => told.push(`trailer ${String(trailer.get("attempt"))}`),
    });
    expect(reply.trailer.get("attempt")).toBe("3");
    expect(told).toEqual(["peer", "peer", "peer", "header 3", "trailer 3"]);
    attempts = -9;
    const error = await failureOf(ends.client.echo({}, { retry: { ...quick, maxAttempts: 2 } }));
    expect(error.trailer?.get("attempt")).toBe("-7");
  });

  test("nothing is tried beyond the deadline, and the true error is not hidden by it", async () => {
    await using ends = await serve({ ping: () => failing(99).answer({}) });
    const retry = { maxAttempts: 5, initialBackoffMs: 60_000, maxBackoffMs: 60_000 };
    const error = await failureOf(ends.client.ping({}, { retry, timeoutMs: 5_000 }));
    expect(error.code).toBe(Status.UNAVAILABLE);
    expect(error.message).toMatch(/^not now \(1 attempt in \d+ ms; not tried again: its deadline would have passed/);
  });

  test.each(["signal", "close", "abort"])("what pauses before its next attempt is ended at once by %s", async (how) => {
    const { answer } = failing(99);
    await using ends = await serve({ ping: () => answer({}) });
    const controller = new AbortController();
    const retry = { initialBackoffMs: 20_000, maxBackoffMs: 20_000 };
    const outcome = failureOf(ends.client.ping({}, { retry, signal: controller.signal, timeoutMs: 60_000 }));
    await ends.client.ping({}, { retry: false }).catch(() => undefined);
    if (how === "signal") controller.abort();
    else if (how === "close") await ends.channel.close();
    else ends.channel.abort();
    const error = await outcome;
    expect(error.code).toBe(how === "signal" ? Status.CANCELLED : Status.UNAVAILABLE);
    expect(error.message).toMatch(/1 attempt in \d+ ms/);
  });

  test("a server may ask for a pause of its own", async () => {
    const info = errorDetail(RetryInfo, { retryDelay: { seconds: 0n, nanos: 1_000_000 } });
    const { answer } = failing(1, () => new RpcError(Status.UNAVAILABLE, "busy", { details: [info] }));
    await using ends = await serve({ ping: () => answer({ sequence: 1 }) });
    const retry = { initialBackoffMs: 60_000, maxBackoffMs: 60_000 };
    expect(await ends.client.ping({}, { retry, timeoutMs: 5_000 })).toEqual({ sequence: 1 });
  });

  test("the budget ends retries when too much fails, and successes give it back", async () => {
    let isDown = true;
    let attempts = 0;
    await using ends = await serve(
      {
        ping() {
          attempts += 1;
          if (isDown) throw unavailable();
          return {};
        },
      },
      { retry: { ...quick, maxAttempts: 2 }, retryBudget: { maxTokens: 10, tokenRatio: 1 } },
    );
    // Four tokens may be spent while more than half are left.
    for (let call = 0; call < 10; call++) await failureOf(ends.client.ping({}));
    expect(attempts).toBe(12);
    expect((await failureOf(ends.client.ping({}))).message).toContain("budget for retries is used up");
    isDown = false;
    for (let call = 0; call < 10; call++) await ends.client.ping({});
    isDown = true;
    attempts = 0;
    await failureOf(ends.client.ping({}));
    expect(attempts).toBe(2);
  });

  test("a budget without end is none", async () => {
    const { seen, answer } = failing(600);
    const retry = { ...quick, maxAttempts: Infinity, maxBackoffMs: 0 };
    await using ends = await serve({ ping: () => answer({}) }, { retry, retryBudget: { maxTokens: Infinity } });
    expect(await ends.client.ping({}, { timeoutMs: 30_000 })).toEqual({ sequence: 0 });
    expect(seen.attempts).toBe(601);
  });

  test("no pause stays none, however much pauses grow", async () => {
    const { seen, answer } = failing(4);
    const retry = { initialBackoffMs: 0, backoffMultiplier: 1e200, maxAttempts: 5 };
    await using ends = await serve({ ping: () => answer({ sequence: 5 }) }, { retry });
    expect(await ends.client.ping({})).toEqual({ sequence: 5 });
    expect(seen.attempts).toBe(5);
  });

  test("an idempotent call survives the loss of its server, and a server that comes back is tried", async () => {
    const address = "memory://retry-restart";
    await using channel = new Channel(address, { binding: under.binding });
    const client = channel.client(Behavior);
    let started!: () => void;
    const running = new Promise<void>((resolve) => (started = resolve));
    const first = new ServiceHost({ binding: under.binding });
    first.serve(Behavior, partial(Behavior, { ping: () => (started(), new Promise(() => undefined)) }));
    await first.open(address);
    const reply = client.ping({}, { timeoutMs: 10_000 });
    await running;
    first.abort();
    await first.closed;
    await using second = new ServiceHost({ binding: under.binding });
    second.serve(Behavior, partial(Behavior, { ping: () => ({ sequence: 2 }) }));
    await second.open(address);
    expect(await reply).toEqual({ sequence: 2 });
  });

  test("interceptors are around the whole call, not each attempt", async () => {
    const { answer } = failing(2);
    let passed = 0;
    await using ends = await serve(
      { ping: () => answer({}) },
      { retry: quick, interceptors: [(call, next) => ((passed += 1), next(call))] },
    );
    await ends.client.ping({});
    expect(passed).toBe(1);
  });

  test("a policy for a method that streams requests is refused at the call site", async () => {
    await using pair = await openPair(under);
    expect(() => pair.client.sum([], { retry: {} })).toThrow(/test\.v1\.Behavior\/Sum streams its requests/);
    expect(() => pair.client.relay([], { retry: {} })).toThrow(TypeError);
    expect(await pair.client.sum([], { retry: false })).toMatchObject({ count: 0 });
  });

  test.each([
    [{ maxAttempts: 0 }, /retry\.maxAttempts must be a number from 1/],
    [{ maxAttempts: 1.5 }, /retry\.maxAttempts must be a whole number/],
    [{ attempts: 2 }, /no field of retry "attempts"/],
    [{ codes: [0] }, /retry\.codes must be an array of status codes/],
    [{ initialBackoffMs: NaN }, /retry\.initialBackoffMs/],
    [true, /retry must be a policy or false/],
    [3, /retry must be an object, not the number 3/],
  ])("the policy %j is refused where it is given", async (retry, text) => {
    await using pair = await openPair(under);
    expect(() => pair.client.ping({}, { retry: retry as never })).toThrow(text);
    expect(() => new Channel("memory://x", { binding: under.binding, retry: retry as never })).toThrow(text);
  });
});
