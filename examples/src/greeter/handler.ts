import { setTimeout } from "node:timers/promises";
import { RpcError, Status, errorDetail } from "zerobind";
import type { MessageInit, OperationContext } from "zerobind";
import { BadRequest } from "zerobind/google";
import type {
  ChatLine,
  CountdownRequest,
  HelloReply,
  HelloRequest,
  Tick,
} from "../gen/examples/greeter/v1/greeter.pb.ts";
import type { GreeterHandler } from "../gen/examples/greeter/v1/greeter.rpc.ts";

/** Implements the greeter: one method for each of the four kinds of call. */
export class GreeterService implements GreeterHandler {
  sayHello({ name }: HelloRequest): MessageInit<HelloReply> {
    return { text: `Hello, ${checked(name)}` };
  }

  /** When the caller cancels, leaves or is lost, the pause ends by the signal, and with it the stream. */
  async *countdown(
    { from, intervalMs }: CountdownRequest,
    { signal }: OperationContext,
  ): AsyncGenerator<MessageInit<Tick>> {
    for (let n = from; n >= 0; n--) {
      yield { n };
      if (n > 0 && intervalMs > 0) await setTimeout(Math.min(intervalMs, 0x7fffffff), undefined, { signal });
    }
  }

  async greetAll(requests: AsyncIterable<HelloRequest>): Promise<MessageInit<HelloReply>> {
    const names: string[] = [];
    for await (const { name } of requests) names.push(checked(name));
    return { text: `Hello, ${names.join(", ")}` };
  }

  async *chat(lines: AsyncIterable<ChatLine>): AsyncGenerator<MessageInit<ChatLine>> {
    for await (const { author, text } of lines) yield { author: "greeter", text: `${author} said: ${text}` };
  }
}

/** The name, if it is one; else the call ends with a status, and a detail that says which field is wrong. */
function checked(name: string): string {
  if (name !== "") return name;
  const violation = { field: "name", description: "must not be empty" };
  throw new RpcError(Status.INVALID_ARGUMENT, "there is nobody to greet", {
    details: [errorDetail(BadRequest, { fieldViolations: [violation] })],
  });
}
