import { describe, expect, test } from "@jest/globals";
import { Channel, RpcError, ServiceHost, Status, bearerToken, binding, currentContext, memory } from "@zerobind/core";
import type { CallCredentials, CredentialsCall, OperationContext } from "@zerobind/core";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { Observer, Worker } from "./gen/test/v1/callback.rpc.ts";
import type { ObserverClient } from "./gen/test/v1/callback.rpc.ts";
import { BehaviorService } from "./support/behavior-handler.ts";
import { failureOf } from "./support/failure.ts";
import { Gate, kinds } from "./support/guarded.ts";
import { openPair } from "./support/pair.ts";
import type { Pair, PairOptions } from "./support/pair.ts";

const stack = binding(memory());
const under = { binding: stack, address: () => "memory://*" };

/** A pair whose host notes what its calls bring as `authorization`. */
async function open(options: PairOptions = {}): Promise<Pair & { tokens: unknown[] }> {
  const tokens: unknown[] = [];
  const authenticate = ({ metadata }: { metadata: { getAll(key: string): readonly unknown[] } }): undefined => {
    tokens.push(metadata.getAll("authorization").join(", "));
  };
  const pair = await openPair(under, { ...options, host: { authenticate, ...options.host } });
  return Object.assign(pair, { tokens });
}

describe("credentials", () => {
  test.each<[string, CallCredentials]>([
    ["metadata", { authorization: "Bearer t" }],
    ["a function", () => ({ authorization: "Bearer t" })],
    ["a function that takes a while", async () => (await new Promise(setImmediate), { authorization: "Bearer t" })],
    ["a token", bearerToken("t")],
    ["a token from a function", bearerToken(() => "t")],
    ["a token from a function that takes a while", bearerToken(() => Promise.resolve("t"))],
  ])("as %s go along with calls of each kind", async (_what, callCredentials) => {
    await using ofChannel = await open({ channel: { callCredentials } });
    for (const [, , make, reply] of kinds) expect(await make(ofChannel.client)).toEqual(reply);
    const notice = ofChannel.service.next("notice");
    await ofChannel.client.notify({ text: "one way" });
    expect(await notice).toBe("one way");
    expect(ofChannel.tokens).toEqual(Array.from({ length: 5 }, () => "Bearer t"));
    await using ofCall = await open();
    await ofCall.client.ping({}, { callCredentials });
    await ofCall.client.ping({});
    expect(ofCall.tokens).toEqual(["Bearer t", ""]);
  });

  test("of a call win over those of its channel, and both over its metadata", async () => {
    await using pair = await open({ channel: { callCredentials: bearerToken("of the channel") } });
    const metadata = { authorization: ["of the call", "twice"], other: "stays" };
    await pair.client.ping({}, { metadata });
    await pair.client.ping({}, { metadata, callCredentials: bearerToken("own") });
    await pair.client.ping({}, { metadata, callCredentials: {} });
    expect(pair.tokens).toEqual(["Bearer of the channel", "Bearer own", "of the call, twice"]);
    const seen = pair.service.next("started");
    await pair.client.echo({}, { metadata: { "echo-header": "seen" } });
    await seen;
  });

  test("are asked for with what the call is, and stay out of sight of interceptors", async () => {
    const calls: CredentialsCall[] = [];
    const seen: unknown[] = [];
    await using pair = await open({
      channel: {
        callCredentials: (call) => (calls.push(call), { authorization: "x" }),
        interceptors: [(call, next) => (seen.push([...call.metadata]), next(call))],
      },
    });
    await pair.client.ping({}, { timeoutMs: 5_000 });
    await pair.client.ping({}, { timeoutMs: Infinity });
    expect(calls).toMatchObject([
      { path: "test.v1.Behavior/Ping", address: pair.host.address },
      { path: "test.v1.Behavior/Ping", deadline: undefined },
    ]);
    expect(calls[0]!.deadline! - Date.now()).toBeLessThan(5_001);
    expect(seen).toEqual([[], []]);
    expect(pair.tokens).toEqual(["x", "x"]);
  });

  test("are asked for anew for each attempt", async () => {
    let token = 0;
    let failures = 2;
    await using pair = await open({
      channel: { callCredentials: () => ({ [`token-${++token}`]: "x" }) },
      host: {
        authenticate: ({ metadata }) => {
          seen.push([...metadata].map(([key]) => key).join());
          if (failures-- > 0) throw new RpcError(Status.UNAUTHENTICATED, "it has expired");
          return "somebody";
        },
      },
    });
    const seen: string[] = [];
    const retry = { codes: [Status.UNAUTHENTICATED], initialBackoffMs: 1 };
    expect(await pair.client.ping({ sequence: 1 }, { retry, metadata: { kept: "x" } })).toEqual({ sequence: 1 });
    expect(seen).toEqual(["kept,token-1", "kept,token-2", "kept,token-3"]);
  });

  test.each<[string, CallCredentials]>([
    [
      "throws",
      () => {
        throw new Error("no token today");
      },
    ],
    ["rejects", () => Promise.reject(new Error("no token today"))],
    ["gives nothing", (() => undefined) as never],
    ["gives a text", (() => "Bearer x") as never],
    ["gives what cannot travel", () => ({ authorization: "line\nbreak" })],
    ["has no token", bearerToken(() => "")],
    ["has no token after a while", bearerToken(() => Promise.resolve(undefined as never))],
  ])("from a function that %s end the call UNAUTHENTICATED, with the cause, unsent", async (_what, callCredentials) => {
    await using pair = await open({ channel: { callCredentials } });
    for (const [, , make] of kinds) {
      const error = await failureOf(make(pair.client));
      expect(error.code).toBe(Status.UNAUTHENTICATED);
      expect(error.message).toMatch(
        /^test\.v1\.Behavior\/\w+ at memory:.* was not sent: there are no credentials for it: ./,
      );
      expect(error.cause).toBeInstanceOf(Error);
    }
    expect(await failureOf(pair.client.notify({}))).toMatchObject({ code: Status.UNAUTHENTICATED });
    expect(pair.tokens).toEqual([]);
  });

  test("count against the time of the call, which does not wait for them any longer", async () => {
    const calls: CredentialsCall[] = [];
    const gate = new Gate<never>();
    const callCredentials = (call: CredentialsCall): Promise<never> => (calls.push(call), gate.pass());
    await using pair = await open({ channel: { callCredentials } });
    expect(await failureOf(pair.client.ping({}, { timeoutMs: 20 }))).toMatchObject({
      code: Status.DEADLINE_EXCEEDED,
      message: expect.stringContaining("its credentials were not there yet"),
    });
    const controller = new AbortController();
    const cancelled = failureOf(pair.client.sum([], { signal: controller.signal }));
    controller.abort();
    expect(await cancelled).toMatchObject({ code: Status.CANCELLED });
    const stream = pair.client.count({ count: 1 });
    stream.cancel();
    expect(await failureOf(stream.next())).toMatchObject({ code: Status.CANCELLED });
    expect(calls.map(({ signal }) => signal.aborted)).toEqual([true, true, true]);
    gate.open({} as never);
    await new Promise(setImmediate);
    expect(pair.tokens).toEqual([]);
  });

  test("are waited for by a channel that closes, and not by one that is aborted", async () => {
    const gate = new Gate<object>();
    await using pair = await open({ channel: { callCredentials: () => gate.pass() as never } });
    const reply = pair.client.ping({ sequence: 4 });
    const closing = pair.channel.close();
    await new Promise(setImmediate);
    gate.open({});
    expect(await reply).toEqual({ sequence: 4 });
    await closing;
    const other = new Channel(pair.host.address, { binding: stack, callCredentials: () => gate.pass() as never });
    const outcome = failureOf(other.client(Behavior).ping({}));
    other.abort();
    expect(await outcome).toMatchObject({ code: Status.CANCELLED });
    gate.open({});
    await other.closed;
  });

  test("that end the call while they are asked for do no harm", async () => {
    const controller = new AbortController();
    await using pair = await open();
    const callCredentials = (): Record<string, string> => (controller.abort(), {});
    const outcome = failureOf(pair.client.ping({}, { signal: controller.signal, callCredentials }));
    expect(await outcome).toMatchObject({ code: Status.CANCELLED });
    expect(pair.tokens).toEqual([]);
  });

  test("are neither inherited nor passed on by handlers, and belong to no call", async () => {
    const parents: unknown[] = [];
    await using inner = await open();
    await using channel = new Channel(inner.host.address, {
      binding: stack,
      callCredentials: () => (parents.push(currentContext()), { authorization: "of the server" }),
    });
    await using bare = new Channel(inner.host.address, { binding: stack });
    await using host = new ServiceHost({ binding: stack });
    const service = new BehaviorService();
    service.echo = async () => {
      await bare.client(Behavior).ping({});
      await channel.client(Behavior).ping({});
      return { text: "", data: new Uint8Array() };
    };
    await host.serve(Behavior, service).open("memory://*");
    await using outer = new Channel(host.address, { binding: stack, callCredentials: bearerToken("of the client") });
    await outer.client(Behavior).echo({});
    expect(inner.tokens).toEqual(["", "of the server"]);
    expect(parents).toEqual([undefined]);
  });

  test.each([null, "Bearer x", 5, { "zb-x": "reserved" }, { authorization: "line\nbreak" }])(
    "%p are none, at the channel and at the call",
    async (callCredentials) => {
      const options = { callCredentials: callCredentials as CallCredentials };
      expect(() => new Channel("memory://x", { binding: stack, ...options })).toThrow(TypeError);
      await using pair = await open();
      expect(() => pair.client.ping({}, options)).toThrow(TypeError);
    },
  );

  test("that are given once are copied", async () => {
    const given: Record<string, string> = { authorization: "first" };
    await using pair = await open({ channel: { callCredentials: given } });
    given["authorization"] = "second";
    await pair.client.ping({});
    expect(pair.tokens).toEqual(["first"]);
  });

  test("that are too large are refused here", async () => {
    await using pair = await open({ host: { limits: { maxMetadataBytes: 100 } } });
    const error = await failureOf(pair.client.ping({}, { callCredentials: bearerToken("x".repeat(200)) }));
    expect(error).toMatchObject({
      code: Status.RESOURCE_EXHAUSTED,
      message: expect.stringContaining("maxMetadataBytes"),
    });
  });
});

describe("errors about tokens", () => {
  test.each([() => bearerToken(""), () => bearerToken(5 as never), () => bearerToken("top\nsecret")])(
    "%p do not show them",
    (make) => {
      expect(make).toThrow(TypeError);
      try {
        make();
      } catch (error) {
        expect(String(error)).not.toContain("secret");
      }
    },
  );

  test("given in the place of credentials do not show them", () => {
    const make = (): Channel => new Channel("memory://x", { binding: stack, callCredentials: "top secret" as never });
    expect(make).toThrow(
      /^callCredentials must be metadata, or a function that gives it, such as bearerToken\(…\), not a text$/,
    );
  });
});

describe("calls back", () => {
  test("may have credentials of their own, which the caller's rules see", async () => {
    const gate = new Gate<object>();
    const outcomes: unknown[] = [];
    await using host = new ServiceHost({ binding: stack });
    let kept: ObserverClient | undefined;
    const options = { callCredentials: bearerToken("of the server") };
    host.serve(Worker, {
      async work(_request: unknown, context: OperationContext) {
        kept = context.callback(Observer);
        outcomes.push(await kept.progress({}, options), (await failureOf(kept.progress({}))).code);
        return {};
      },
      read: () => ({}),
      hint: () => ({}),
      wait: () => ({}),
    });
    await host.open("memory://*");
    await using channel = new Channel(host.address, { binding: stack });
    const observer = { progress: () => ({}), numbers: () => [], hang: () => ({}), hint: () => undefined };
    channel.serve(Observer, observer, {
      authorize: ({ metadata }) => metadata.get("authorization") === "Bearer of the server",
    });
    await channel.client(Worker).work({});
    expect(outcomes).toEqual([{ sequence: 0 }, Status.UNAUTHENTICATED]);
    const callCredentials = (): Promise<never> => gate.pass() as never;
    expect(await failureOf(kept!.progress({}, { callCredentials, timeoutMs: 20 }))).toMatchObject({
      code: Status.DEADLINE_EXCEEDED,
      message: expect.stringContaining("credentials"),
    });
    // The session ends while they are waited for.
    const outcome = failureOf(kept!.progress({}, { callCredentials }));
    await channel.close();
    expect(await outcome).toMatchObject({ code: Status.UNAVAILABLE });
    gate.open({});
  });
});
