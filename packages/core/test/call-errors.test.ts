import { describe, expect, test } from "@jest/globals";
import { Channel, RpcError, Status, binding, memory } from "@zerobind/core";
import type { TransportElement } from "@zerobind/core";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { failureOf } from "./support/failure.ts";
import { openPair } from "./support/pair.ts";

const stack = binding(memory());
const under = { binding: stack, address: () => "memory://*" };

describe("errors name method and address, say what happened, and what to do", () => {
  test.each([{ timeoutMs: 0 }, { deadline: Date.now() - 1 }])("no time at all: %j", async (options) => {
    await using pair = await openPair(under);
    await pair.client.ping({});
    const { message } = await failureOf(pair.client.echo({}, options));
    const where = `test.v1.Behavior/Echo at ${pair.host.address}`;
    expect(message).toBe(
      `${where} was not sent: its deadline had already passed when it was made; give it more time (timeoutMs)`,
    );
  });

  test("a deadline that passes while the server works, however short", async () => {
    await using pair = await openPair(under);
    for (const [timeoutMs, given] of [
      [30, "30"],
      [0.2, "0\\.2"],
    ] as const) {
      const { message } = await failureOf(pair.client.echo({ delayMs: 9_000 }, { timeoutMs }));
      expect(message).toMatch(
        new RegExp(
          `^test\\.v1\\.Behavior/Echo at memory://\\S+ (was not sent: its deadline had already passed|did not end within its deadline of ${given} ms; after [\\d.]+ ms the server had not answered$)`,
        ),
      );
    }
  });

  test("a deadline that passes while the call waits for its turn", async () => {
    await using pair = await openPair(under, { host: { limits: { maxConcurrentCalls: 1 } } });
    const started = pair.service.next("started");
    const first = pair.client.echo({ delayMs: 150 });
    await started;
    const { code, message } = await failureOf(pair.client.echo({}, { timeoutMs: 30 }));
    expect(code).toBe(Status.DEADLINE_EXCEEDED);
    expect(message).toMatch(
      /after \d+ ms it was still waiting for its turn: the server has as many calls of this channel open as it allows \(its limit maxConcurrentCalls\)$/,
    );
    await first;
  });

  test("nobody there", async () => {
    await using channel = new Channel("memory://nobody-here", {
      binding: stack,
      connectTimeoutMs: 40,
      maxQueuedCalls: 2,
    });
    const client = channel.client(Behavior);
    const waiting = failureOf(client.echo({}));
    const ready = failureOf(client.echo({}, { waitForReady: true, timeoutMs: 60 }));
    const obstacle = "memory://nobody-here: nothing in this process has bound it yet. Is the server running there?";
    const where = "test.v1.Behavior/Echo at memory://nobody-here";
    const full = await failureOf(client.echo({}));
    expect(full.code).toBe(Status.RESOURCE_EXHAUSTED);
    expect(full.message).toContain(
      `${where} was not sent: as many calls wait as the channel allows (its option maxQueuedCalls, 2)`,
    );
    expect(await waiting).toMatchObject({
      code: Status.UNAVAILABLE,
      message: `${where} found no connection within 40 ms (the channel's connectTimeoutMs): ${obstacle}`,
    });
    const late = await ready;
    expect(late.code).toBe(Status.DEADLINE_EXCEEDED);
    expect(late.message).toMatch(
      /did not end within its deadline of 60 ms; after \d+ ms there was still no connection: /,
    );
    expect(late.message).toContain(obstacle);
  });

  test("a channel that is closed, before and under a call", async () => {
    for (const how of ["close", "abort"] as const) {
      await using pair = await openPair(under, { channel: { drainTimeoutMs: 10 } });
      const started = pair.service.next("started");
      const open = failureOf(pair.client.echo({ delayMs: 9_000 }));
      await started;
      const closing = pair.channel[how]();
      const { code, message } = await open;
      expect(code).toBe(Status.CANCELLED);
      expect(message).toMatch(
        how === "close"
          ? /Echo at memory:\S+ was cancelled: its channel was closed, and the call had not ended within the time for that \(the channel's drainTimeoutMs\)/
          : /Echo at memory:\S+ was cancelled: its channel was aborted/,
      );
      await closing;
      expect(await failureOf(pair.client.ping({}))).toMatchObject({
        code: Status.UNAVAILABLE,
        message: `test.v1.Behavior/Ping at ${pair.host.address} was not sent: its channel is closed; make a new one to go on`,
      });
    }
  });

  test("a connection that is lost under a call: not carried out twice unless that does no harm", async () => {
    const cuts: (() => void)[] = [];
    const inner = memory();
    const fragile: TransportElement = {
      ...inner,
      attach: (address, options, listener) =>
        inner.attach(address, options, {
          trouble: (problem) => listener.trouble(problem),
          accept(link) {
            const receiver = listener.accept(link);
            cuts.push(() => {
              link.close();
              receiver.lost("the cable was cut");
            });
            return receiver;
          },
        }),
    };
    await using pair = await openPair(under);
    await using channel = new Channel(pair.host.address, { binding: binding(fragile) });
    const client = channel.client(Behavior);
    const started = pair.service.next("started");
    const echo = failureOf(client.echo({ delayMs: 9_000 }));
    await started;
    const ping = client.ping({ sequence: 4 });
    // The first is with its handler, the second has not left yet.
    for (const cut of cuts) cut();
    expect(await echo).toMatchObject({
      code: Status.UNAVAILABLE,
      message: `test.v1.Behavior/Echo at ${pair.host.address}: the cable was cut; whether it was carried out is not known, so it was not tried again (see the option retry)`,
    });
    expect(await ping).toEqual({ sequence: 4 });
  });

  test("the reason that an abort was given, but not the runtime's own words for none", async () => {
    await using pair = await openPair(under);
    const texts: [unknown, string][] = [
      [undefined, "was cancelled by its caller"],
      ["page left", "was cancelled by its caller: page left"],
      [new Error("page left"), "was cancelled by its caller: page left"],
      [{ toString: 5 }, "was cancelled by its caller"],
    ];
    for (const [reason, text] of texts) {
      const { message } = await failureOf(pair.client.echo({}, { signal: AbortSignal.abort(reason) }));
      expect(message).toBe(`test.v1.Behavior/Echo at ${pair.host.address} ${text}`);
    }
    const own = new RpcError(Status.ABORTED, "x");
    expect((await failureOf(pair.client.echo({}, { signal: AbortSignal.abort(own) }))).cause).toBe(own);
  });

  test("what is too large to be sent", async () => {
    await using pair = await openPair(under, { host: { limits: { maxMessageBytes: 100 } } });
    expect((await failureOf(pair.client.echo({ text: "x".repeat(200) }))).message).toBe(
      `test.v1.Behavior/Echo at ${pair.host.address} was not sent: the test.v1.EchoRequest has 203 bytes encoded, more than the 100 that the peer accepts (its limit maxMessageBytes)`,
    );
  });
});
