import { describe, expect, test } from "@jest/globals";
import { Channel, ServiceHost, binding, full, memory } from "@zerobind/core";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { openPair } from "./support/pair.ts";

const under = { binding: binding(memory()), address: () => "memory://*" };

describe("options that cannot be are refused where they are given", () => {
  const strange: readonly (readonly [unknown, RegExp])[] = [
    [{ timeout: 5 }, /no call option "timeout"; is timeoutMs meant\? There are: timeoutMs, deadline/],
    [{ headers: {} }, /no call option "headers"/],
    [{ toString: 1 }, /no call option "toString"/],
    [500, /call options must be an object, not the number 500/],
    [[], /call options must be an object, not an array/],
    [{ timeoutMs: "5" }, /timeoutMs must be a number of milliseconds.* not "5"/],
    [{ deadline: "tomorrow" }, /deadline must be a Date or milliseconds since the epoch, not "tomorrow"/],
    [{ deadline: new Date(NaN) }, /deadline must be a Date or .* not an invalid Date/],
    [{ deadline: 5, timeoutMs: 5 }, /timeoutMs or deadline, not both/],
    [{ signal: new AbortController() }, /signal must be an AbortSignal, such as controller\.signal, not an object/],
    [{ signal: null }, /signal must be an AbortSignal.* not null/],
    [{ metadata: "a=b" }, /metadata must be a Metadata, an object .* not "a=b"/],
    [{ metadata: { key: 5 } }, /metadata "key" must be a string/],
    [{ waitForReady: "yes" }, /waitForReady must be true or false, not "yes"/],
    [{ detached: 1 }, /detached must be true or false/],
    [{ onHeader: true }, /onHeader must be a function, not true/],
    [{ onTrailer: {} }, /onTrailer must be a function, not an object/],
    [{ onPeer: [] }, /onPeer must be a function, not an array/],
  ];

  test.each(strange)("of a call: %j", async (options, text) => {
    await using pair = await openPair(under);
    await using other = await openPair(under, { channel: { interceptors: [(call, next) => next(call)] } });
    for (const client of [pair.client, other.client]) {
      expect(() => client.echo({}, options as never)).toThrow(TypeError);
      expect(() => client.echo({}, options as never)).toThrow(text);
      expect(() => client.count({}, options as never)).toThrow(text);
    }
  });

  test.each([
    [{ connectTimeout: 5 }, /no channel option "connectTimeout"; is connectTimeoutMs meant\?/],
    [{ maxQueuedCalls: NaN }, /maxQueuedCalls must be a whole number, 0 or more .* not the number NaN/],
    [{ maxQueuedCalls: 1.5 }, /maxQueuedCalls must be a whole number/],
    [{ connectTimeoutMs: -1 }, /connectTimeoutMs must be a number of milliseconds/],
    [{ timeoutMs: null }, /timeoutMs must be a number of milliseconds.* not null/],
    [{ drainTimeoutMs: "1s" }, /drainTimeoutMs must be a number of milliseconds/],
    [{ pingIntervalMs: NaN }, /pingIntervalMs/],
    [{ attach: "Bind" }, /attach must be "bind" or "connect", not "Bind"/],
    [{ balance: "random" }, /balance must be "round-robin" or "least-in-flight" or "first", not "random"/],
    [{ retryBudget: { tokens: 4 } }, /no field of retryBudget "tokens"/],
    [{ limits: 5 }, /limits must be an object/],
    [{ limits: { maxMessageSize: 1 } }, /no limit "maxMessageSize"/],
    [{ onTrouble: "log" }, /onTrouble must be a function/],
    [{ interceptors: () => 1 }, /interceptors must be an array of functions, not a function/],
    [{ interceptors: [undefined] }, /interceptors\[0\] must be a function, not undefined/],
    [{ binding: undefined }, /binding must be what binding\(\.\.\.\) makes.* not undefined/],
    [{ binding: null }, /binding must be what binding\(\.\.\.\) makes.* not null/],
    [{ binding: memory() }, /not a transport alone: write binding\(transport\)/],
    [{ binding: () => undefined }, /binding must be what binding\(\.\.\.\) makes/],
  ])("of a channel: %j", (options, text) => {
    const make = () => new Channel("memory://x", { binding: under.binding, ...(options as object) });
    expect(make).toThrow(TypeError);
    expect(make).toThrow(text);
  });

  test.each([
    [undefined, /needs an address or an array of them, not undefined/],
    [[], /needs an address, for example/],
    [[5], /an address must be a string such as .* not the number 5/],
  ])("its address: %j", (address, text) => {
    expect(() => new Channel(address as never, { binding: under.binding })).toThrow(text);
  });

  test.each([null, undefined, "x"])("options that are %p", (options) => {
    expect(() => new Channel("memory://x", options as never)).toThrow(TypeError);
    expect(() => new ServiceHost(options as never)).toThrow(TypeError);
  });

  test("of a host", () => {
    const make = (options: object) => () => new ServiceHost({ binding: under.binding, ...options });
    expect(make({ onerror: 1 })).toThrow(/no host option "onerror"; is onError meant/);
    expect(make({ pingTimeoutMs: "x" })).toThrow(/pingTimeoutMs must be a number of milliseconds/);
    expect(make({ interceptors: {} })).toThrow(/interceptors must be an array of functions/);
  });

  test("of a client", async () => {
    await using channel = new Channel("memory://x", { binding: under.binding });
    for (const contract of [undefined, null, {}, { sayHello: () => 1 }, "Greeter"])
      expect(() => channel.client(contract as never)).toThrow(/a contract is wanted, the constant that/);
    expect(() => channel.client(Behavior, { interceptor: [] } as never)).toThrow(/no client option "interceptor"/);
    expect(() => channel.client(Behavior, { interceptors: [1] as never })).toThrow(/interceptors\[0\]/);
  });

  test("of full()", async () => {
    await using pair = await openPair(under);
    const calling = full((options) => pair.client.echo({}, options), { onHeader: 5 } as never);
    await expect(calling).rejects.toThrow(/onHeader must be a function, not the number 5/);
  });

  test("and undefined is as good as not given", async () => {
    const nothing = { timeoutMs: undefined, limits: undefined, interceptors: undefined, retry: undefined };
    await using pair = await openPair(under, { channel: { ...nothing, attach: undefined, balance: undefined } });
    const reply = await pair.client.echo(
      { text: "x" },
      { timeoutMs: undefined, signal: undefined, metadata: undefined },
    );
    expect(reply.text).toBe("x");
  });
});
