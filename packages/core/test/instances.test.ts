import { EventEmitter, once } from "node:events";
import { describe, expect, test } from "@jest/globals";
import { Channel, ServiceHost, Status, binding, memory, partial } from "@zerobind/core";
import type { OperationContext, ServeOptions, TransportElement } from "@zerobind/core";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { BehaviorService } from "./support/behavior-handler.ts";
import { failureOf } from "./support/failure.ts";
import { collect } from "./support/pair.ts";

const stack = binding(memory());

/** Tells when one is made, used and disposed of. */
const lives = new EventEmitter();
let made = 0;
let gone = 0;

class Counting extends BehaviorService {
  readonly number = ++made;
  calls = 0;

  override ping() {
    return { sequence: this.number * 100 + ++this.calls };
  }

  async [Symbol.asyncDispose]() {
    gone += 1;
    lives.emit("gone", this.number);
  }
}

async function open(options: ServeOptions<Counting>) {
  made = gone = 0;
  const errors: unknown[] = [];
  const host = new ServiceHost({ binding: stack, onError: (error) => errors.push(error) });
  host.serve(Behavior, Counting, options);
  await host.open("memory://*");
  const connect = () => new Channel(host.address, { binding: stack });
  return { host, connect, errors, [Symbol.asyncDispose]: () => host[Symbol.asyncDispose]() };
}

describe("a class as a handler", () => {
  test("single: one instance for all, made when the host opens and gone when it has closed", async () => {
    await using server = await open({});
    expect(made).toBe(1);
    await using one = server.connect();
    await using two = server.connect();
    expect(await one.client(Behavior).ping({})).toEqual({ sequence: 101 });
    expect(await two.client(Behavior).ping({})).toEqual({ sequence: 102 });
    await server.host.close();
    expect([made, gone]).toEqual([1, 1]);
  });

  test("session: one for each session, gone with it", async () => {
    await using server = await open({ instancing: "session" });
    expect(made).toBe(0);
    await using one = server.connect();
    await using two = server.connect();
    const clients = [one.client(Behavior), two.client(Behavior)] as const;
    expect(await Promise.all([clients[0].ping({}), clients[0].ping({}), clients[0].ping({})])).toEqual(
      [101, 102, 103].map((sequence) => ({ sequence })),
    );
    expect(await clients[1].ping({})).toEqual({ sequence: 201 });
    const left = once(lives, "gone");
    await one.close();
    expect(await left).toEqual([1]);
    expect(await clients[1].ping({})).toEqual({ sequence: 202 });
    expect([made, gone]).toEqual([2, 1]);
  });

  test("call: one for each call, gone when its handler is done, streams included", async () => {
    await using server = await open({ instancing: "call" });
    await using channel = server.connect();
    const client = channel.client(Behavior);
    expect(await client.ping({})).toEqual({ sequence: 101 });
    expect(await client.ping({})).toEqual({ sequence: 201 });
    expect(await collect(client.count({ count: 3 }))).toHaveLength(3);
    const left = once(lives, "gone");
    const stream = client.count({ count: 3, intervalMs: 60_000 });
    await stream.next();
    expect([made, gone]).toEqual([4, 3]);
    stream.cancel();
    await left;
    expect(gone).toBe(4);
  });

  test("create makes instances from the call, may wait, and its failure is the handler's", async () => {
    const seen: (string | undefined)[] = [];
    let fails = true;
    await using server = await open({
      instancing: "session",
      create: async (call: OperationContext | undefined) => {
        seen.push(call?.path);
        if (fails) throw new Error("no database");
        return new Counting();
      },
    });
    await using channel = server.connect();
    const client = channel.client(Behavior);
    const error = await failureOf(client.ping({}));
    expect(error).toMatchObject({ code: Status.UNKNOWN, message: expect.not.stringContaining("database") });
    expect(server.errors).toMatchObject([{ message: "no database" }]);
    fails = false;
    expect(await client.ping({})).toEqual({ sequence: 101 });
    expect(await client.ping({})).toEqual({ sequence: 102 });
    expect(seen).toEqual(["test.v1.Behavior/Ping", "test.v1.Behavior/Ping"]);
  });

  test("a single instance that cannot be made keeps the host from opening", async () => {
    const host = new ServiceHost({ binding: stack });
    host.serve(Behavior, Counting, {
      create: () => {
        throw new Error("no database");
      },
    });
    await expect(host.open("memory://*")).rejects.toThrow("no database");
    expect(host.state).toBe("closed");
  });

  test("a create or a disposal that hangs keeps nobody from closing", async () => {
    const never = (): Promise<never> => new Promise(() => undefined);
    const host = new ServiceHost({ binding: stack }).serve(Behavior, Counting, { create: never });
    const opening = host.open("memory://*");
    const outcome = expect(opening).rejects.toThrow("closed while an instance of a handler was being made");
    await host.close();
    await outcome;

    const channel = new Channel("memory://nowhere", { binding: stack });
    channel.serve(Behavior, Counting, { create: never });
    const call = failureOf(channel.client(Behavior).ping({}));
    channel.abort();
    await Promise.all([channel.closed, call]);

    await using server = await open({ create: () => Object.assign(new Counting(), { [Symbol.asyncDispose]: never }) });
    const closing = server.host.close();
    server.host.abort();
    await closing;
  });

  test("an instance that comes too late is disposed of", async () => {
    made = gone = 0;
    let create!: () => void;
    const host = new ServiceHost({ binding: stack });
    host.serve(Behavior, Counting, {
      create: () => new Promise((resolve) => (create = () => resolve(new Counting()))),
    });
    const outcome = expect(host.open("memory://*")).rejects.toThrow();
    await host.close();
    await outcome;
    const left = once(lives, "gone");
    create();
    await left;
    expect([made, gone]).toEqual([1, 1]);
  });

  test("what disposing throws is reported and harms nobody", async () => {
    await using server = await open({
      instancing: "call",
      create: () =>
        Object.assign(new Counting(), {
          async [Symbol.asyncDispose]() {
            throw new Error("cannot let go");
          },
        }),
    });
    await using channel = server.connect();
    expect(await channel.client(Behavior).ping({})).toEqual({ sequence: 101 });
    await server.host.close();
    expect(server.errors).toMatchObject([{ message: "cannot let go" }]);
  });

  test("is refused where it cannot be", () => {
    const host = new ServiceHost({ binding: stack });
    class WithArguments extends Counting {
      constructor(readonly: boolean) {
        super();
        this.calls = readonly ? 0 : 1;
      }
    }
    expect(() => host.serve(Behavior, WithArguments)).toThrow(/constructor of WithArguments takes arguments.*create/);
    class WithFields {
      ping = () => ({});
    }
    expect(() => host.serve(Behavior, WithFields as never)).toThrow(/has no method echo.*write methods/);
    expect(() => host.serve(Behavior, new Counting(), { instancing: "call" })).toThrow(/instancing is for classes/);
    expect(() => host.serve(Behavior, Counting, { instancing: "often" as never })).toThrow(
      'instancing must be "single" or "session" or "call", not "often"',
    );
    expect(() => host.serve(Behavior, Counting, { methods: { pong: {} } })).toThrow("has no method pong");
    expect(() => host.serve(Counting)).toThrow("Counting has no @service(contract)");
    expect(() => host.serve(undefined as never, {})).toThrow("must be a contract");
    expect(() => host.serve(Behavior, null as never)).toThrow("must be an object or a class, not null");
  });

  test("may leave methods out on purpose", async () => {
    class Some {
      ping() {
        return { sequence: 5 };
      }
    }
    await using host = new ServiceHost({ binding: stack }).serve(Behavior, partial(Behavior, Some));
    await host.open("memory://*");
    await using channel = new Channel(host.address, { binding: stack });
    expect(await channel.client(Behavior).ping({})).toEqual({ sequence: 5 });
    expect(await failureOf(channel.client(Behavior).echo({}))).toMatchObject({ code: Status.UNIMPLEMENTED });
  });

  test("a binding that lacks what methods need is refused at open, with the methods", async () => {
    const plain: TransportElement = { ...memory(), name: "single-request", lacks: ["streams", "sessions"] };
    const host = new ServiceHost({ binding: binding(plain) });
    host.serve(Behavior, Counting, { methods: { ping: { serialize: "session" } } });
    const channel = new Channel("memory://nowhere", { binding: binding(plain) });
    expect(() => channel.client(Behavior)).toThrow(
      /cannot carry test\.v1\.Behavior\/Count \(streams\), .*Relay \(streams\);/,
    );
    await expect(host.open("memory://*")).rejects.toThrow(
      /^memory:\/\/\*: the single-request transport cannot carry test\.v1\.Behavior\/Count \(streams\), .*Sum \(streams\), .*Relay \(streams\), test\.v1\.Behavior\/Ping \(sessions\)/,
    );
  });
});

describe("serialize", () => {
  /** Tells how many of its calls run at once. */
  class Overlapping extends BehaviorService {
    running = 0;
    most = 0;
    readonly order: string[] = [];

    override async echo({ text }: { text: string }) {
      this.most = Math.max(this.most, ++this.running);
      await new Promise(setImmediate);
      this.order.push(text);
      this.running -= 1;
      return { text, data: new Uint8Array() };
    }

    override async *count({ count }: { count: number }) {
      for (let value = 0; value < count; value++) {
        yield { value: BigInt((await this.echo({ text: `item ${value}` })).text.length) };
      }
    }
  }

  async function run(serialize: ServeOptions["serialize"]) {
    const service = new Overlapping();
    await using host = new ServiceHost({ binding: stack }).serve(Behavior, service, { serialize });
    await host.open("memory://*");
    const channels = [1, 2].map(() => new Channel(host.address, { binding: stack }));
    const clients = channels.map((channel) => channel.client(Behavior));
    await Promise.all(
      Array.from({ length: 20 }, (_, index) => clients[index % 2]!.echo({ text: String(index) })).concat(
        clients.map(async (client) => ({
          text: String((await collect(client.count({ count: 3 }))).length),
          data: new Uint8Array(),
        })),
      ),
    );
    await Promise.all(channels.map((channel) => channel.close()));
    return service;
  }

  test("none lets all run at once", async () => {
    expect((await run("none")).most).toBeGreaterThan(2);
  });

  test("instance lets one run at a time, streams as a whole", async () => {
    const { most, order } = await run("instance");
    expect(most).toBe(1);
    const items = order.map((text, index) => [text, index] as const).filter(([text]) => text.startsWith("item"));
    expect(items.map(([text]) => text)).toEqual(["item 0", "item 1", "item 2", "item 0", "item 1", "item 2"]);
  });

  test("session lets one of each session run at a time, in the order in which they came", async () => {
    const { most, order } = await run("session");
    expect(most).toBe(2);
    const even = order.filter((text) => Number(text) % 2 === 0).map(Number);
    expect(even).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
  });

  test("a call that ends while it waits does not run and holds nobody up", async () => {
    const service = new BehaviorService();
    await using host = new ServiceHost({ binding: stack }).serve(Behavior, service, { serialize: "instance" });
    await host.open("memory://*");
    await using channel = new Channel(host.address, { binding: stack });
    const client = channel.client(Behavior);
    const controller = new AbortController();
    const started = service.next("started");
    const first = failureOf(client.echo({ text: "first", delayMs: 60_000 }, { signal: controller.signal }));
    await started;
    const late = Array.from({ length: 200 }, () => failureOf(client.echo({ text: "late" }, { timeoutMs: 20 })));
    for (const error of await Promise.all(late)) expect(error.code).toBe(Status.DEADLINE_EXCEEDED);
    const next = client.ping({ sequence: 3 });
    controller.abort();
    await first;
    expect(await next).toEqual({ sequence: 3 });
    expect(service.entered.get("echo")).toBe(1);
  });
});
