import { expect, test } from "@jest/globals";
import { Status } from "@zerobind/core";
import { failureOf } from "./failure.ts";
import { openPair } from "./pair.ts";
import type { TransportUnderTest } from "./pair.ts";

/** Deadlines and cancellation. */
export function endingTests(under: TransportUnderTest): void {
  test("a call ends at its deadline, and its handler is told", async () => {
    await using pair = await openPair(under);
    await pair.client.ping({});
    const aborted = pair.service.next("aborted");
    const started = performance.now();
    const error = await failureOf(pair.client.echo({ delayMs: 10_000 }, { timeoutMs: 60 }));
    expect(error.code).toBe(Status.DEADLINE_EXCEEDED);
    expect(error.message).toMatch(/test\.v1\.Behavior\/Echo at .* after \d+ ms the server had not answered/);
    expect(performance.now() - started).toBeGreaterThanOrEqual(60);
    expect(await aborted).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
  });

  test.each([0, -0])("a timeout of %d ms ends the call before anything is sent", async (timeoutMs) => {
    await using pair = await openPair(under);
    await pair.client.ping({});
    expect(await failureOf(pair.client.echo({}, { timeoutMs }))).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    expect(await failureOf(pair.client.echo({}, { deadline: Date.now() - 1 }))).toMatchObject({
      code: Status.DEADLINE_EXCEEDED,
    });
    await pair.client.ping({});
    expect(pair.service.entered.get("echo")).toBeUndefined();
  });

  test.each([NaN, -1, "5" as unknown as number, null as unknown as number])(
    "a timeout of %p throws at the call site",
    async (timeoutMs) => {
      await using pair = await openPair(under);
      expect(() => pair.client.echo({}, { timeoutMs })).toThrow(TypeError);
    },
  );

  test("timeouts beyond what a timer can hold do not fire early", async () => {
    await using pair = await openPair(under);
    for (const timeoutMs of [2 ** 31, 2 ** 33, Number.MAX_SAFE_INTEGER, Infinity]) {
      expect((await pair.client.echo({ text: "x", delayMs: 5 }, { timeoutMs })).text).toBe("x");
    }
  });

  test("a signal cancels the call on both ends", async () => {
    await using pair = await openPair(under);
    const started = pair.service.next("started");
    const aborted = pair.service.next("aborted");
    const controller = new AbortController();
    const failure = failureOf(pair.client.echo({ delayMs: 10_000 }, { signal: controller.signal }));
    await started;
    controller.abort(new Error("changed my mind"));
    const error = await failure;
    expect(error).toMatchObject({ code: Status.CANCELLED, cause: { message: "changed my mind" } });
    expect(await aborted).toMatchObject({ code: Status.CANCELLED });
    expect(await failureOf(pair.client.echo({}, { signal: controller.signal }))).toMatchObject({
      code: Status.CANCELLED,
    });
  });

  test("leaving a loop cancels the call on the server", async () => {
    await using pair = await openPair(under);
    const aborted = pair.service.next("aborted");
    const left = pair.service.next("left");
    for await (const { value } of pair.client.count({ count: 1_000_000, intervalMs: 1 })) if (value === 2n) break;
    expect(await aborted).toMatchObject({ code: Status.CANCELLED });
    await left;
  });

  test("what is cancelled while its source waits closes the source", async () => {
    await using pair = await openPair(under);
    const controller = new AbortController();
    async function* waiting() {
      yield { value: 1n };
      await new Promise((resolve) => controller.signal.addEventListener("abort", resolve));
    }
    const started = pair.service.next("started");
    const failure = failureOf(pair.client.sum(waiting(), { signal: controller.signal }));
    await started;
    controller.abort();
    expect(await failure).toMatchObject({ code: Status.CANCELLED });
  });
}
