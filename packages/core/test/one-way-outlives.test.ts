import { EventEmitter, on, once } from "node:events";
import { describe, expect, test } from "@jest/globals";
import { ServiceHost, binding, memory, partial } from "@zerobind/core";
import type { OperationContext } from "@zerobind/core";
import { Flag, RecordType } from "../src/records.ts";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { call, path, unary } from "./support/hostile.ts";
import { RawPeer, batch } from "./support/raw-peer.ts";

const stack = binding(memory());

/** Remembers what happens, and lets tests wait for it. */
class Log extends EventEmitter {
  readonly lines: string[] = [];

  add(line: string): void {
    this.lines.push(line);
    this.emit("line", line);
  }

  async until(...wanted: readonly string[]): Promise<void> {
    const isThere = (): boolean => wanted.every((line) => this.lines.includes(line));
    if (isThere()) return;
    for await (const _ of on(this, "line")) if (isThere()) return;
  }
}

describe("calls whose sender wants no answer", () => {
  test("get none where the method streams, and end with their session all the same", async () => {
    const log = new Log();
    await using host = new ServiceHost({ binding: stack, maxConcurrentCalls: 2, maxQueuedCalls: 0 });
    const watch = ({ signal }: OperationContext): void =>
      signal.addEventListener("abort", () => log.add(`aborted ${log.lines.length}`));
    const endless = {
      async sum(items: AsyncIterable<unknown>, context: OperationContext) {
        watch(context);
        log.add("sum");
        for await (const _ of items);
        return {};
      },
      async *count(_: unknown, context: OperationContext) {
        watch(context);
        log.add("count");
        for (;;) yield {};
      },
    };
    await host.serve(Behavior, partial(Behavior, endless)).open("memory://*");
    await using peer = await RawPeer.open("connect", host.address);
    const tag = await peer.greet();
    const flags = unary | Flag.ONEWAY;
    peer.send(batch(tag, call(1, path("Sum"), { flags: Flag.ONEWAY }), call(3, path("Count"), { flags })));
    await log.until("sum", "count");
    peer.send(batch(tag, { type: RecordType.PING, aux: 7 }));
    await peer.record(RecordType.PONG, ({ aux }) => aux === 7);
    expect(peer.received.filter(({ callId }) => callId !== 0)).toEqual([]);
    await peer[Symbol.asyncDispose]();
    await log.until("aborted 2", "aborted 3");
  });

  test("run when they had waited for a caller that did not read, and is gone", async () => {
    const data = new Uint8Array(30_000);
    const heard = new EventEmitter();
    const notice = once(heard, "notice");
    const handlers = { echo: () => ({ data }), notify: () => void heard.emit("notice") };
    await using host = new ServiceHost({ binding: stack, limits: { maxHeldBytes: 65_536 } });
    await host.serve(Behavior, partial(Behavior, handlers)).open("memory://*");
    await using peer = await RawPeer.open("connect", host.address);
    const tag = await peer.greet({ limits: { sessionWindowBytes: 65_536 } });
    const calls = Array.from({ length: 12 }, (_, index) => call(2 * index + 1, path("Echo")));
    peer.send(batch(tag, ...calls, call(99, path("Notify"), { flags: unary | Flag.ONEWAY })));
    await peer.record(RecordType.END);
    await peer[Symbol.asyncDispose]();
    await notice;
  });

  test("never run on an instance of their session that is disposed of", async () => {
    const log = new Log();
    class Noting {
      #state = "on a live one";

      async notify(): Promise<void> {
        log.add(this.#state);
        await log.until("go");
      }

      [Symbol.dispose](): void {
        this.#state = "on a gone one";
        log.add("disposed");
      }
    }
    await using host = new ServiceHost({ binding: stack });
    host.serve(Behavior, partial(Behavior, Noting), { instancing: "session", serialize: "session" });
    await host.open("memory://*");
    const peer = await RawPeer.open("connect", host.address);
    const tag = await peer.greet();
    const flags = unary | Flag.ONEWAY;
    peer.send(batch(tag, call(1, path("Notify"), { flags }), call(3, path("Notify"), { flags })));
    await log.until("on a live one");
    await peer[Symbol.asyncDispose]();
    log.add("go");
    await log.until("disposed");
    await host.close();
    expect(log.lines).not.toContain("on a gone one");
    expect(log.lines.filter((line) => line === "on a live one")).toHaveLength(2);
  });
});
