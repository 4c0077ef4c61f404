import { describe, expect, test } from "@jest/globals";
import { Channel, Message, Metadata, RpcError, ServiceHost, Status, binding, memory } from "@zerobind/core";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { PingReply, PingRequest } from "./gen/test/v1/behavior.pb.ts";
import { BehaviorService } from "./support/behavior-handler.ts";
import { failureOf } from "./support/failure.ts";

const stack = binding(memory());
const text = (message: Message): string => new TextDecoder().decode(message.body);
const message = (body: string, headers?: Metadata): Message =>
  new Message(new TextEncoder().encode(body), { path: "any.Service/Any", ...(headers ? { headers } : {}) });

/** A reply channel and a request channel to it. */
async function openLevel() {
  const replies = await stack.listen("memory://*");
  const requests = stack.connect(replies.address);
  return {
    replies,
    requests,
    async [Symbol.asyncDispose]() {
      requests.abort();
      replies.abort();
      await replies.closed;
    },
  };
}

describe("reply channels", () => {
  test("receive requests as contexts, with path, headers and body, and answer them in any order", async () => {
    await using level = await openLevel();
    const first = level.requests.request(message("first", new Metadata({ who: "me" })));
    const second = level.requests.request(message("second"));
    const one = await level.replies.receiveRequest();
    const two = await level.replies.receiveRequest();
    expect(one?.request.path).toBe("any.Service/Any");
    expect(one?.request.headers.get("who")).toBe("me");
    expect(await two?.reply(message("reply to second"))).toBe("sent");
    expect(await one?.reply(message("reply to first", new Metadata({ done: "yes" })))).toBe("sent");
    const reply = await first;
    expect([text(reply), reply.headers.get("done"), text(await second)]).toEqual([
      "reply to first",
      "yes",
      "reply to second",
    ]);
  });

  test("a receive that times out loses no request", async () => {
    await using level = await openLevel();
    expect(await level.replies.tryReceiveRequest(5)).toEqual({ status: "timeout" });
    const reply = level.requests.request(message("late"));
    const result = await level.replies.tryReceiveRequest(5_000);
    expect(result.status).toBe("request");
    if (result.status === "request") await result.context.reply(message("in time"));
    expect(text(await reply)).toBe("in time");
  });

  test("receiving ends when the channel closes", async () => {
    await using level = await openLevel();
    const receiving = level.replies.tryReceiveRequest(Infinity);
    void level.replies.close();
    expect(await receiving).toEqual({ status: "closed" });
    expect(await level.replies.receiveRequest()).toBeUndefined();
  });

  test("a second reply rejects, a reply after cancellation is dropped", async () => {
    await using level = await openLevel();
    const reply = level.requests.request(message("x"));
    const context = await level.replies.receiveRequest();
    await context?.reply(message("y"));
    await reply;
    await expect(context?.reply(message("again"))).rejects.toThrow("answered once");

    const controller = new AbortController();
    const cancelled = failureOf(level.requests.request(message("x"), { signal: controller.signal }));
    const late = await level.replies.receiveRequest();
    const aborted = new Promise((resolve) => late?.signal.addEventListener("abort", resolve));
    controller.abort();
    await aborted;
    expect(late?.state).toBe("aborted");
    expect(await late?.reply(message("too late"))).toBe("dropped");
    expect((await cancelled).code).toBe(Status.CANCELLED);
  });

  test("disposing an unanswered context answers it at once", async () => {
    await using level = await openLevel();
    const failure = failureOf(level.requests.request(message("x")));
    {
      await using context = await level.replies.receiveRequest();
      expect(context?.state).toBe("open");
    }
    expect(await failure).toMatchObject({ code: Status.UNKNOWN, message: "the server did not answer the call" });
  });

  test("fail answers with a status; abort hides its reason", async () => {
    await using level = await openLevel();
    const failing = failureOf(level.requests.request(message("x")));
    await (await level.replies.receiveRequest())?.fail(new RpcError(Status.NOT_FOUND, "not here"));
    expect(await failing).toMatchObject({ code: Status.NOT_FOUND, message: "not here" });
    const aborting = failureOf(level.requests.request(message("x")));
    (await level.replies.receiveRequest())?.abort(new Error("secret"));
    const error = await aborting;
    expect(error.code).toBe(Status.UNKNOWN);
    expect(error.message).not.toContain("secret");
  });

  test("a queue that is full answers RESOURCE_EXHAUSTED", async () => {
    await using replies = await stack.listen("memory://*", { maxQueuedRequests: 2 });
    await using requests = stack.connect(replies.address);
    const waiting = [requests.request(message("1")), requests.request(message("2"))];
    expect(await failureOf(requests.request(message("3")))).toMatchObject({ code: Status.RESOURCE_EXHAUSTED });
    for (const reply of waiting) {
      await (await replies.receiveRequest())?.reply(message("ok"));
      expect(text(await reply)).toBe("ok");
    }
  });
});

describe("exchanges", () => {
  test("carry messages both ways until both have ended", async () => {
    await using level = await openLevel();
    const exchange = level.requests.exchange("any.Service/Talk");
    const serve = (async () => {
      const context = await level.replies.receiveRequest();
      await context!.send(message(`re: ${text(context!.request)}`));
      for await (const item of context!) await context!.send(message(`re: ${text(item)}`));
      await context!.reply(message("bye"));
    })();
    await exchange.send(message("one"));
    await exchange.send(message("two"));
    exchange.end();
    const got: string[] = [];
    for await (const item of exchange) got.push(text(item));
    await serve;
    expect(got).toEqual(["re: one", "re: two", "bye"]);
    await expect(exchange.send(message("three"))).rejects.toThrow();
  });

  test("end for the callee when the caller leaves", async () => {
    await using level = await openLevel();
    const exchange = level.requests.exchange("any.Service/Talk");
    await exchange.send(message("one"));
    const context = await level.replies.receiveRequest();
    const aborted = new Promise((resolve) => context!.signal.addEventListener("abort", resolve));
    exchange.cancel();
    await aborted;
    expect(context!.state).toBe("aborted");
  });
});

describe("levels meet", () => {
  test("a request channel calls a typed handler with bytes it has encoded itself", async () => {
    await using host = new ServiceHost({ binding: stack }).serve(Behavior, new BehaviorService());
    await host.open("memory://*");
    await using requests = stack.connect(host.address);
    const body = PingRequest.encode(PingRequest.fromPartial({ sequence: 5 })).finish();
    const reply = await requests.request(new Message(body, { path: "test.v1.Behavior/Ping" }));
    expect(PingReply.decode(reply.body)).toEqual({ sequence: 5 });
  });

  test("a typed client is answered by a reply channel", async () => {
    await using replies = await stack.listen("memory://*");
    await using channel = new Channel(replies.address, { binding: stack });
    const reply = channel.client(Behavior).ping({ sequence: 6 });
    const context = await replies.receiveRequest();
    expect(context?.request.path).toBe("test.v1.Behavior/Ping");
    const { sequence } = PingRequest.decode(context!.request.body);
    await context!.reply(new Message(PingReply.encode({ sequence: sequence + 1 }).finish()));
    expect(await reply).toEqual({ sequence: 7 });
  });

  test("paths that are none are refused at the call site", async () => {
    await using level = await openLevel();
    expect(() => level.requests.exchange("nonsense")).toThrow(/package\.Service\/Method/);
  });
});
