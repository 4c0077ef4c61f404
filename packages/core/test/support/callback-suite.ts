import { once } from "node:events";
import { describe, expect, test } from "@jest/globals";
import { Channel, ServiceHost, Status, currentContext } from "@zerobind/core";
import type { OperationContext } from "@zerobind/core";
import { Observer, Worker } from "../gen/test/v1/callback.rpc.ts";
import type { ObserverClient, ObserverHandler, WorkerHandler } from "../gen/test/v1/callback.rpc.ts";
import { failureOf } from "./failure.ts";
import { collect } from "./pair.ts";
import type { TransportUnderTest } from "./pair.ts";

/** A worker that keeps the last client it got, so that tests can use it outside of a call. */
class CallingWorker implements WorkerHandler {
  observer: ObserverClient | undefined;
  context: OperationContext | undefined;

  async work({ sequence }: { sequence: number }, context: OperationContext) {
    this.context = context;
    const observer = (this.observer = context.callback(Observer));
    let sum = 0;
    for (let turn = 0; turn < sequence; turn++) sum += (await observer.progress({ sequence: turn })).sequence;
    return { sequence: sum };
  }

  async read({ count }: { count: number }, context: OperationContext) {
    let total = 0n;
    for (const { value } of await collect(context.callback(Observer).numbers({ count }))) total += value;
    return { total, count };
  }

  async hint({ sequence }: { sequence: number }, context: OperationContext) {
    const observer = context.callback(Observer);
    for (let turn = 0; turn < sequence; turn++) await observer.hint({ text: `hint ${turn}` });
    return { sequence };
  }

  async wait(_request: unknown, context: OperationContext) {
    return context.callback(Observer).hang({});
  }
}

class Watching implements ObserverHandler {
  readonly hints: string[] = [];
  readonly hanging = new EventTarget();
  context: OperationContext | undefined;

  progress({ sequence }: { sequence: number }) {
    return { sequence: sequence * 2 };
  }

  *numbers({ count }: { count: number }) {
    for (let value = 0; value < count; value++) yield { value: BigInt(value) };
  }

  async hang(_request: unknown, context: OperationContext) {
    this.context = context;
    this.hanging.dispatchEvent(new Event("entered"));
    await once(context.signal, "abort");
    this.hanging.dispatchEvent(new Event("left"));
    return { sequence: 0 };
  }

  hint({ text }: { text: string }) {
    this.hints.push(text);
  }
}

async function openWorker(under: TransportUnderTest, observer: ObserverHandler | undefined = new Watching()) {
  const worker = new CallingWorker();
  const host = new ServiceHost({ binding: under.binding, drainTimeoutMs: 500 }).serve(Worker, worker);
  await host.open(under.address());
  const channel = new Channel(host.address, { binding: under.binding, drainTimeoutMs: 500 });
  channel.serve(Observer, observer);
  return {
    host,
    worker,
    channel,
    client: channel.client(Worker),
    async [Symbol.asyncDispose]() {
      channel.abort();
      await channel.closed;
      host.abort();
      await host.closed;
    },
  };
}

/** Calls that servers make back over the session of the call. */
export function callbackSuite(name: string, under: TransportUnderTest): void {
  describe(`${name}: callbacks`, () => {
    test("a handler calls its caller back, as often as it likes, in the middle of the call", async () => {
      await using pair = await openWorker(under);
      expect(await pair.client.work({ sequence: 100 })).toEqual({ sequence: 9900 });
    });

    test("what is called back may stream", async () => {
      await using pair = await openWorker(under);
      expect(await pair.client.read({ count: 5000 })).toEqual({ total: (4999n * 5000n) / 2n, count: 5000 });
    });

    test("one-way callbacks arrive in order, before what follows them", async () => {
      const observer = new Watching();
      await using pair = await openWorker(under, observer);
      await pair.client.hint({ sequence: 50 });
      await pair.client.work({ sequence: 1 });
      expect(observer.hints).toEqual(Array.from({ length: 50 }, (_, turn) => `hint ${turn}`));
    });

    test("each caller is called back on its own", async () => {
      await using pair = await openWorker(under);
      await using other = new Channel(pair.host.address, { binding: under.binding });
      other.serve(Observer, {
        progress: () => ({ sequence: 1000 }),
        numbers: () => [],
        hang: () => ({}),
        hint: () => undefined,
      });
      const otherClient = other.client(Worker);
      const [mine, theirs] = await Promise.all([pair.client.work({ sequence: 3 }), otherClient.work({ sequence: 3 })]);
      expect([mine.sequence, theirs.sequence]).toEqual([6, 3000]);
    });

    test("a caller that serves nothing answers UNIMPLEMENTED, which its handler sees", async () => {
      await using pair = await openWorker(under);
      await using bare = new Channel(pair.host.address, { binding: under.binding });
      const error = await failureOf(bare.client(Worker).work({ sequence: 1 }));
      expect(error).toMatchObject({
        code: Status.UNIMPLEMENTED,
        message: expect.stringContaining("test.v1.Observer/Progress"),
      });
    });

    test("cancelling the call cancels what it had called back", async () => {
      const observer = new Watching();
      await using pair = await openWorker(under, observer);
      const entered = once(observer.hanging, "entered");
      const left = once(observer.hanging, "left");
      const controller = new AbortController();
      const outcome = failureOf(pair.client.wait({}, { signal: controller.signal, timeoutMs: 10_000 }));
      await entered;
      // Inherited from the call, not the default of callbacks.
      expect(observer.context!.timeRemainingMs()).toBeLessThan(10_001);
      controller.abort();
      expect(await outcome).toMatchObject({ code: Status.CANCELLED });
      await left;
    });

    test("the client may be kept for the length of the session, and says when that is over", async () => {
      await using pair = await openWorker(under);
      await pair.client.work({ sequence: 0 });
      const { observer, context } = pair.worker;
      expect(await observer!.progress({ sequence: 21 })).toEqual({ sequence: 42 });
      expect(currentContext()).toBeUndefined();
      const ended = once(context!.session!.signal, "abort");
      await pair.channel.close();
      await ended;
      const error = await failureOf(observer!.progress({ sequence: 1 }));
      expect(error.code).toBe(Status.UNAVAILABLE);
      expect(error.message).toMatch(/Observer\/Progress .*the caller is gone/);
    });

    test("calls that are open when the caller vanishes end UNAVAILABLE, once", async () => {
      const observer = new Watching();
      await using pair = await openWorker(under, observer);
      await pair.client.work({ sequence: 0 });
      const entered = once(observer.hanging, "entered");
      const outcome = failureOf(pair.worker.observer!.hang({}));
      await entered;
      pair.channel.abort();
      expect((await outcome).code).toBe(Status.UNAVAILABLE);
    });
  });
}
