import { describe, expect, test } from "@jest/globals";
import { ContextKey, Metadata, RpcError, Status, binding, memory } from "@zerobind/core";
import type { Interceptor } from "@zerobind/core";
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

describe("interceptors", () => {
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
