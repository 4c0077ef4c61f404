import { EventEmitter, once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { RpcError, Status, fault } from "@zerobind/core";
import type { OperationContext, StatusCode } from "@zerobind/core";
import { FailReason } from "../gen/test/v1/behavior.pb.ts";
import type { BehaviorHandler } from "../gen/test/v1/behavior.rpc.ts";

/** The handler that all suites call; it tells what it sees, so that tests can await events on the server. */
export class BehaviorService implements BehaviorHandler {
  /** Emits `notice` with the text, and `started`, `aborted` with the name of the method. */
  readonly events: EventEmitter = new EventEmitter();
  /** Calls that handlers were entered for, by method. */
  readonly entered = new Map<string, number>();

  /** Resolves with the next event of a kind. */
  async next(event: string): Promise<unknown> {
    const [value] = (await once(this.events, event)) as unknown[];
    return value;
  }

  async echo({ text, data, delayMs }: Parameters<BehaviorHandler["echo"]>[0], context: OperationContext) {
    this.#enter("echo", context);
    for (const [key, value] of context.metadata) {
      if (key === "echo-header") context.setHeader({ "echo-header": value });
      if (key === "echo-trailer-bin") context.setTrailer({ "echo-trailer-bin": value });
    }
    try {
      if (delayMs > 0) await delay(delayMs, undefined, { signal: context.signal });
      return { text, data };
    } finally {
      this.events.emit("left", "echo");
    }
  }

  async *count({ count, intervalMs, failAfter }: Parameters<BehaviorHandler["count"]>[0], context: OperationContext) {
    this.#enter("count", context);
    try {
      for (let value = 0; value < count; value++) {
        if (failAfter > 0 && value === failAfter) throw new RpcError(Status.INTERNAL, `failed after ${failAfter}`);
        if (intervalMs > 0 && value > 0) await delay(intervalMs, undefined, { signal: context.signal });
        yield { value: BigInt(value) };
      }
    } finally {
      this.events.emit("left", "count");
    }
  }

  async sum(requests: Parameters<BehaviorHandler["sum"]>[0], context: OperationContext) {
    this.#enter("sum", context);
    let total = 0n;
    let count = 0;
    for await (const { value } of requests) {
      // A negative number asks for an answer before all requests are there.
      if (value < 0n) break;
      total += value;
      count += 1;
    }
    return { total, count };
  }

  async *relay(requests: Parameters<BehaviorHandler["relay"]>[0], context: OperationContext) {
    this.#enter("relay", context);
    for await (const line of requests) yield line;
  }

  fail({ code, message, reason }: Parameters<BehaviorHandler["fail"]>[0]): never {
    if (code === 0) throw new Error(message);
    if (reason !== "") throw fault(code as StatusCode, FailReason, { reason }, message);
    throw new RpcError(code as StatusCode, message);
  }

  notify({ text, failWith }: Parameters<BehaviorHandler["notify"]>[0]): void {
    if (failWith !== "") throw new Error(failWith);
    this.events.emit("notice", text);
  }

  ping({ sequence }: Parameters<BehaviorHandler["ping"]>[0]) {
    return { sequence };
  }

  #enter(method: string, context: OperationContext): void {
    this.entered.set(method, (this.entered.get(method) ?? 0) + 1);
    this.events.emit("started", method);
    context.signal.addEventListener("abort", () => this.events.emit("aborted", context.signal.reason));
  }
}
