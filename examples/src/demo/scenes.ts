import { deepEqual, ok, strictEqual } from "node:assert/strict";
import { once, EventEmitter } from "node:events";
import { RpcError, Status } from "zerobind";
import { BadRequest } from "zerobind/google";
import type { ChatLine } from "../gen/examples/greeter/v1/greeter.pb.ts";
import type { GreeterClient } from "../gen/examples/greeter/v1/greeter.rpc.ts";

/** One thing that calls can do. `play` tells what came back, and throws if that is not what should. */
export interface Scene {
  readonly title: string;
  readonly play: (greeter: GreeterClient) => Promise<string>;
}

export const scenes: readonly Scene[] = [
  { title: "unary call", play: unaryCall },
  { title: "server stream", play: serverStream },
  { title: "client stream", play: clientStream },
  { title: "bidirectional chat", play: chat },
  { title: "typed error", play: typedError },
  { title: "deadline", play: deadline },
  { title: "cancellation", play: cancellation },
];

async function unaryCall(greeter: GreeterClient): Promise<string> {
  const { text } = await greeter.sayHello({ name: "Ada" });
  strictEqual(text, "Hello, Ada");
  return text;
}

async function serverStream(greeter: GreeterClient): Promise<string> {
  const ticks: number[] = [];
  for await (const { n } of greeter.countdown({ from: 5, intervalMs: 20 })) ticks.push(n);
  deepEqual(ticks, [5, 4, 3, 2, 1, 0]);
  return ticks.join(" ");
}

async function clientStream(greeter: GreeterClient): Promise<string> {
  const { text } = await greeter.greetAll([{ name: "Ada" }, { name: "Grace" }, { name: "Edsger" }]);
  strictEqual(text, "Hello, Ada, Grace, Edsger");
  return text;
}

/** Says the next line only when the last one was answered: both directions of one call are open at once. */
async function chat(greeter: GreeterClient): Promise<string> {
  const answered = new EventEmitter();
  async function* lines(): AsyncGenerator<ChatLine> {
    for (const text of ["hello", "how are you", "goodbye"]) {
      const answer = once(answered, "answer");
      yield { author: "Ada", text };
      await answer;
    }
  }
  const heard: string[] = [];
  for await (const { text } of greeter.chat(lines())) {
    heard.push(text);
    answered.emit("answer");
  }
  deepEqual(heard, ["Ada said: hello", "Ada said: how are you", "Ada said: goodbye"]);
  return heard.join(" | ");
}

async function typedError(greeter: GreeterClient): Promise<string> {
  const error = await failureOf(greeter.sayHello({ name: "" }));
  strictEqual(error.code, Status.INVALID_ARGUMENT);
  const [violation] = error.detail(BadRequest)?.fieldViolations ?? [];
  deepEqual([violation?.field, violation?.description], ["name", "must not be empty"]);
  return `${error.codeName}: ${error.message} (${violation?.field} ${violation?.description})`;
}

async function deadline(greeter: GreeterClient): Promise<string> {
  const startMs = performance.now();
  const waiting = greeter.countdown({ from: 1, intervalMs: 60_000 }, { timeoutMs: 150 });
  deepEqual(await waiting.next(), { done: false, value: { n: 1 } });
  const error = await failureOf(waiting.next());
  const tookMs = Math.round(performance.now() - startMs);
  strictEqual(error.code, Status.DEADLINE_EXCEEDED);
  ok(tookMs >= 149 && tookMs < 2_000, `a deadline of 150 ms passed after ${tookMs} ms`);
  return `${error.codeName} after ${tookMs} ms`;
}

/** Cancelling ends one call, and nothing else. */
async function cancellation(greeter: GreeterClient): Promise<string> {
  const controller = new AbortController();
  const ticks: number[] = [];
  const counting = async (): Promise<void> => {
    for await (const { n } of greeter.countdown({ from: 1_000, intervalMs: 10 }, { signal: controller.signal })) {
      if (ticks.push(n) === 3) controller.abort();
    }
  };
  const error = await failureOf(counting());
  strictEqual(error.code, Status.CANCELLED);
  deepEqual(ticks, [1_000, 999, 998]);
  const { text } = await greeter.sayHello({ name: "again" });
  strictEqual(text, "Hello, again");
  return `${error.codeName} after ${ticks.length} of 1,001 ticks; the channel lives: ${text}`;
}

/** The status that a call ends with; a call that succeeds is a surprise. */
async function failureOf(call: Promise<unknown>): Promise<RpcError> {
  try {
    await call;
  } catch (error) {
    return RpcError.from(error);
  }
  throw new Error("the call should have failed, and did not");
}
