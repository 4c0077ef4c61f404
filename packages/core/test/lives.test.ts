import { describe, expect, test } from "@jest/globals";
import { Channel, Message, ServiceHost, Status, binding, memory } from "@zerobind/core";
import type { Interceptor, ServeOptions, SessionContext } from "@zerobind/core";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { Observer, Worker } from "./gen/test/v1/callback.rpc.ts";
import { BehaviorService } from "./support/behavior-handler.ts";
import { failureOf } from "./support/failure.ts";
import { collect } from "./support/pair.ts";

const stack = binding(memory());

/** A promise that is settled from outside. */
function gate() {
  let open!: () => void;
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { open, passed };
}

/** Some turns of the event loop, for what must not happen. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A host of a class that counts its disposals, and a channel to it. */
async function open(options: ServeOptions<BehaviorService>, interceptors: Interceptor[] = []) {
  const seen: string[] = [];
  const entered = gate();
  const release = gate();
  class Disposed extends BehaviorService {
    override async echo({ text, data }: Parameters<BehaviorService["echo"]>[0]) {
      entered.open();
      await release.passed;
      seen.push("left");
      return { text, data };
    }

    [Symbol.dispose]() {
      seen.push("disposed");
    }
  }
  const host = new ServiceHost({ binding: stack, interceptors, onError: () => undefined });
  host.serve(Behavior, Disposed, options);
  await host.open("memory://*");
  const channel = new Channel(host.address, { binding: stack });
  return {
    host,
    channel,
    client: channel.client(Behavior),
    seen,
    entered: entered.passed,
    release: () => release.open(),
    make: () => new Disposed(),
    async [Symbol.asyncDispose]() {
      channel.abort();
      await channel.closed;
      host.abort();
      await host.closed;
    },
  };
}

describe("an instance is disposed of once, when nobody uses it", () => {
  test("whose session ends while it is made", async () => {
    const asked = gate();
    const release = gate();
    await using server = await open({
      instancing: "session",
      create: async () => {
        asked.open();
        await release.passed;
        return server.make();
      },
    });
    const outcome = failureOf(server.client.ping({}));
    await asked.passed;
    server.channel.abort();
    await outcome;
    await turns();
    release.open();
    await turns();
    expect(server.seen).toEqual(["disposed"]);
  });

  test("whose session ends in the turn in which a call comes", async () => {
    await using server = await open({ instancing: "session" });
    await server.client.ping({});
    const outcome = failureOf(server.client.ping({}));
    await Promise.resolve();
    server.channel.abort();
    await outcome;
    await turns();
    expect(server.seen).toEqual(["disposed"]);
  });

  test("a single one whose host is aborted while a handler runs", async () => {
    await using server = await open({});
    const outcome = failureOf(server.client.echo({}, { retry: false }));
    await server.entered;
    server.host.abort();
    await server.host.closed;
    await outcome;
    server.release();
    await turns();
    expect(server.seen).toEqual(["left", "disposed"]);
  });
});

describe("a stream that an interceptor drops unread", () => {
  const dropping: Interceptor = (call, next) => {
    const result = next(call);
    return call.method.localName === "count" ? [] : result;
  };

  test("does not keep the next call of its session waiting", async () => {
    await using server = await open({ serialize: "session" }, [dropping]);
    expect(await collect(server.client.count({ count: 3 }))).toEqual([]);
    expect(await server.client.ping({}, { timeoutMs: 2_000 })).toEqual({ sequence: 0 });
  });

  test("makes no instance", async () => {
    let made = 0;
    const create = () => {
      made += 1;
      throw new Error("this would be an unhandled rejection");
    };
    await using server = await open({ instancing: "call", create }, [dropping]);
    expect(await collect(server.client.count({ count: 3 }))).toEqual([]);
    await turns();
    expect(made).toBe(0);
  });
});

test("a session that has ended is called back in vain at once, even if it never was before", async () => {
  let kept: SessionContext | undefined;
  const host = new ServiceHost({ binding: stack }).serve(Worker, {
    work: (_request, { session }) => {
      kept = session;
      return {};
    },
    read: () => ({}),
    hint: () => ({}),
    wait: () => ({}),
  });
  await host.open("memory://*");
  await using channel = new Channel(host.address, { binding: stack });
  await channel.client(Worker).work({});
  await channel.close();
  await host.close();
  const error = await failureOf(kept!.callback(Observer).progress({}, { timeoutMs: 2_000 }));
  expect(error).toMatchObject({ code: Status.UNAVAILABLE, message: expect.stringContaining("was not sent") });
});

describe("ends that disagree on whether a method is one-way", () => {
  const { options } = Behavior.methods.find(({ localName }) => localName === "notify")!;
  const contract = (oneWay: boolean): typeof Behavior => ({
    ...Behavior,
    methods: Behavior.methods.map((method) =>
      method.localName === "notify" ? { ...method, ...{ options: oneWay ? options! : {} } } : method,
    ),
  });

  async function openMixed(oneWayServer: boolean) {
    const host = new ServiceHost({ binding: stack, limits: { maxConcurrentCalls: 4 } });
    const service = new BehaviorService();
    host.serve(contract(oneWayServer), service);
    await host.open("memory://*");
    const channel = new Channel(host.address, { binding: stack, timeoutMs: 2_000 });
    return {
      service,
      channel,
      client: channel.client(contract(!oneWayServer)),
      async [Symbol.asyncDispose]() {
        await channel.close();
        await host.close();
      },
    };
  }

  test("only the caller: its room for calls comes back", async () => {
    await using pair = await openMixed(false);
    const notices: string[] = [];
    pair.service.events.on("notice", (text: string) => notices.push(text));
    for (let turn = 0; turn < 20; turn++) await pair.client.notify({ text: "news" });
    await pair.client.ping({});
    expect(notices).toHaveLength(20);
    expect(pair.channel.counters).toEqual({});
  });

  test("only the server: the caller gets its answer", async () => {
    await using pair = await openMixed(true);
    await expect(pair.client.notify({ text: "news" })).resolves.toEqual({});
  });
});

test("a reply channel takes one-way calls without end, and what it replies goes nowhere", async () => {
  const server = await stack.listen("memory://*", { limits: { maxConcurrentCalls: 4 } });
  await using channel = new Channel(server.address, { binding: stack, timeoutMs: 2_000 });
  const client = channel.client(Behavior);
  let answered = 0;
  const served = (async () => {
    for await (const context of server) {
      answered += 1;
      expect(await context.reply(new Message(new Uint8Array(), { path: context.request.path }))).toBe("sent");
    }
  })();
  for (let turn = 0; turn < 20; turn++) await client.notify({ text: "news" });
  await client.ping({});
  await channel.close();
  await server.close();
  await served;
  expect(answered).toBe(21);
  expect(channel.counters).toEqual({});
});
