import { describe, expect, test } from "@jest/globals";
import { Channel, PushStream, ServiceHost, Status, binding, memory } from "@zerobind/core";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { Observer } from "./gen/test/v1/callback.rpc.ts";
import { BehaviorService } from "./support/behavior-handler.ts";
import { failureOf } from "./support/failure.ts";

const stack = binding(memory());

describe("a source of requests is closed when its call ends before anything is taken", () => {
  const item = { value: 1n };

  test.each(["is cancelled already", "has no time", "finds its channel closed", "finds no connection"])(
    "the call %s",
    async (why) => {
      const host = new ServiceHost({ binding: stack }).serve(Behavior, new BehaviorService());
      await host.open("memory://*");
      const address = why === "finds no connection" ? "memory://nobody" : host.address;
      const channel = new Channel(address, { binding: stack, connectTimeoutMs: 20 });
      if (why === "finds its channel closed") await channel.close();
      const options = {
        ...(why === "is cancelled already" && { signal: AbortSignal.abort() }),
        ...(why === "has no time" && { timeoutMs: 0 }),
      };
      const pushed = new PushStream<typeof item>();
      await failureOf(channel.client(Behavior).sum(pushed, options));
      expect(pushed.left).toBe(true);
      expect(await failureOf(pushed.push(item))).toMatchObject({ code: Status.CANCELLED });

      let reason: unknown;
      const readable = new ReadableStream<typeof item>({
        cancel: (given) => {
          reason = ["cancelled", given];
        },
      });
      await failureOf(channel.client(Behavior).sum(readable, options));
      expect(reason).toEqual(["cancelled", undefined]);
      await channel.close();
      await host.close();
    },
  );
});

test("a call that waits because its channel may hold no more says so", async () => {
  const limits = { sessionWindowBytes: 65_536, maxHeldBytes: 1 };
  await using server = await openHost(limits);
  const client = server.channel.client(Behavior);
  await client.ping({});
  const data = new Uint8Array(1_000_000);
  const large = Promise.all(Array.from({ length: 20 }, () => client.echo({ data })));
  const error = await failureOf(client.ping({}, { timeoutMs: 1 }));
  expect(error).toMatchObject({
    code: Status.DEADLINE_EXCEEDED,
    message: expect.stringContaining("limit maxHeldBytes"),
  });
  await large;
});

async function openHost(limits: { readonly sessionWindowBytes: number; readonly maxHeldBytes: number }) {
  const host = new ServiceHost({ binding: stack }).serve(Behavior, new BehaviorService());
  await host.open("memory://*");
  const channel = new Channel(host.address, { binding: stack, limits });
  return {
    channel,
    async [Symbol.asyncDispose]() {
      await channel.close();
      await host.close();
    },
  };
}

test("calls of a channel that cannot make what answers its callbacks say why", async () => {
  await using server = await openHost({ sessionWindowBytes: 65_536, maxHeldBytes: 1_000_000 });
  class Broken {
    progress() {
      return {};
    }

    numbers() {
      return [];
    }

    hang() {
      return {};
    }

    hint() {
      // Never called.
    }
  }
  const channel = new Channel(server.channel.address, { binding: stack }).serve(Observer, Broken, {
    create: () => {
      throw new Error("no observer today");
    },
  });
  const error = await failureOf(channel.client(Behavior).ping({}));
  expect(error).toMatchObject({
    code: Status.UNAVAILABLE,
    message: expect.stringContaining("no observer today"),
  });
  await channel.closed;
});
