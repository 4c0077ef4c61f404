import { describe, expect, test } from "@jest/globals";
import { Channel, QueueDevice, ServiceHost, Status } from "@zerobind/core";
import { Behavior } from "../gen/test/v1/behavior.rpc.ts";
import { Observer, Worker } from "../gen/test/v1/callback.rpc.ts";
import { BehaviorService } from "../support/behavior-handler.ts";
import { DeviceUnderTest, stack } from "../support/device.ts";
import { failureOf } from "../support/failure.ts";
import { collect } from "../support/pair.ts";

/** A handler whose echo waits until it is let go. */
class Waiting extends BehaviorService {
  readonly order: string[] = [];
  #release: (() => void)[] = [];

  override async echo({ text, data }: { text: string; data: Uint8Array }) {
    this.order.push(text);
    await new Promise<void>((resolve) => this.#release.push(resolve));
    return { text, data };
  }

  releaseAll(): void {
    for (const release of this.#release.splice(0)) release();
  }
}

describe("calls that wait", () => {
  test("are answered when a worker comes", async () => {
    await using under = await DeviceUnderTest.open();
    const client = under.client();
    const replies = Promise.all([client.ping({ sequence: 1 }), collect(client.count({ count: 3 }))]);
    await under.until(() => under.device.status.held === 2);
    expect(under.device.status).toEqual({ clients: 1, workers: 0, freeCredit: 0, running: 0, held: 2 });
    await under.worker();
    expect(await replies).toEqual([{ sequence: 1 }, [{ value: 0n }, { value: 1n }, { value: 2n }]]);
    expect(under.device.status).toMatchObject({ workers: 1, freeCredit: 1000, running: 0, held: 0 });
    expect(under.changes).toMatchObject([{ change: "joined", services: ["test.v1.Behavior"], credit: 1000 }]);
  });

  test("with their streams of requests", async () => {
    await using under = await DeviceUnderTest.open();
    const client = under.client();
    const items = Array.from({ length: 3000 }, (_, value) => ({ value: BigInt(value) }));
    const sum = client.sum(items);
    await under.until(() => under.device.status.held === 1);
    await under.worker();
    expect(await sum).toEqual({ total: 4498500n, count: 3000 });
  });

  test("end at their deadline, and the error tells why", async () => {
    await using under = await DeviceUnderTest.open();
    const client = under.client();
    const error = await failureOf(client.echo({}, { timeoutMs: 200 }));
    expect(error.code).toBe(Status.DEADLINE_EXCEEDED);
    expect(error.message).toMatch(/no worker for test\.v1\.Behavior\/Echo was there/);
    expect(under.device.status.held).toBe(0);
    await under.worker();
    const nowhere = client.channel.client({ ...Behavior, typeName: "test.v1.Nowhere" });
    expect((await failureOf(nowhere.echo({}, { timeoutMs: 200 }))).message).toMatch(
      /no worker for test\.v1\.Nowhere\/Echo was there, only 1 that serve other services/,
    );
  });

  test("and are cancelled reach no worker", async () => {
    await using under = await DeviceUnderTest.open();
    const client = under.client();
    const abort = new AbortController();
    const call = failureOf(client.echo({ text: "cancelled" }, { signal: abort.signal }));
    const other = client.echo({ text: "kept" });
    await under.until(() => under.device.status.held === 2);
    abort.abort();
    expect((await call).code).toBe(Status.CANCELLED);
    const { service } = await under.worker();
    expect((await other).text).toBe("kept");
    expect(service.entered.get("echo")).toBe(1);
  });

  test("of a client that goes are dropped", async () => {
    await using under = await DeviceUnderTest.open();
    const client = under.client();
    const call = failureOf(client.echo({ text: "lost" }));
    await under.until(() => under.device.status.held === 1);
    client.channel.abort();
    await call;
    await under.until(() => under.device.status.held === 0);
    expect(under.device.status.clients).toBe(0);
  });

  test("beyond the bound are answered RESOURCE_EXHAUSTED at once", async () => {
    await using under = await DeviceUnderTest.open({ maxQueuedCalls: 2 });
    const client = under.client();
    const kept = [client.ping({ sequence: 1 }), client.ping({ sequence: 2 })];
    const error = await failureOf(client.ping({ sequence: 3 }));
    expect(error.code).toBe(Status.RESOURCE_EXHAUSTED);
    expect(error.message).toMatch(
      /as many calls wait for a worker as the device allows \(its option maxQueuedCalls, 2\): no worker/,
    );
    await under.worker();
    expect(await Promise.all(kept)).toEqual([{ sequence: 1 }, { sequence: 2 }]);
  });

  test("are bounded in bytes, too, with their streams", async () => {
    await using under = await DeviceUnderTest.open({ maxQueuedBytes: 100_000 });
    const client = under.client();
    expect((await failureOf(client.echo({ data: new Uint8Array(100_000) }))).message).toMatch(/maxQueuedBytes, 100000/);
    const lines = Array.from({ length: 200 }, (_, number) => ({ number, data: new Uint8Array(1000) }));
    const relayed = failureOf(collect(client.relay(lines)));
    expect((await relayed).message).toMatch(/maxQueuedBytes/);
    const fits = client.echo({ data: new Uint8Array(90_000) });
    await under.until(() => under.device.status.held === 1);
    await under.worker();
    expect((await fits).data.byteLength).toBe(90_000);
  });

  test("get their turns fairly over the clients, in order within each", async () => {
    await using under = await DeviceUnderTest.open();
    const [busy, quiet] = [under.client(), under.client()];
    await Promise.all([busy.channel.open(), quiet.channel.open()]);
    const calls = Array.from({ length: 20 }, (_, index) => busy.echo({ text: `busy ${index}` }));
    await under.until(() => under.device.status.held === 20);
    calls.push(quiet.echo({ text: "quiet 0" }), quiet.echo({ text: "quiet 1" }));
    await under.until(() => under.device.status.held === 22);
    const service = new Waiting();
    await under.worker({ limits: { maxConcurrentCalls: 1 } }, service);
    for (let done = 1; done <= 22; done++) {
      await under.until(() => service.order.length === done);
      service.releaseAll();
    }
    await Promise.all(calls);
    expect(service.order.slice(0, 5)).toEqual(["busy 0", "quiet 0", "busy 1", "quiet 1", "busy 2"]);
    expect(service.order.at(-1)).toBe("busy 19");
  });

  test("are one-way calls, too, and outlive their client", async () => {
    await using under = await DeviceUnderTest.open();
    const client = under.client();
    await client.notify({ text: "first" });
    await under.until(() => under.device.status.held === 1);
    client.channel.abort();
    await client.channel.closed;
    await under.until(() => under.device.status.clients === 0);
    const service = new BehaviorService();
    const notice = service.next("notice");
    await under.worker({}, service);
    expect(await notice).toBe("first");
  });
});

describe("workers", () => {
  test("get calls by how many they have, whatever their speed", async () => {
    await using under = await DeviceUnderTest.open();
    const slow = new Waiting();
    await under.worker({}, slow);
    const client = under.client();
    const waiting = client.echo({ text: "waits" });
    await under.until(() => slow.order.length === 1);
    const { service } = await under.worker();
    for (let round = 0; round < 20; round++) await client.echo({});
    expect([slow.order.length, service.entered.get("echo")]).toEqual([1, 20]);
    slow.releaseAll();
    await waiting;
  });

  test("have never more calls than they take", async () => {
    await using under = await DeviceUnderTest.open();
    const services = [new Waiting(), new Waiting(), new Waiting()];
    for (const service of services) await under.worker({ limits: { maxConcurrentCalls: 2 } }, service);
    const client = under.client();
    const calls = Array.from({ length: 10 }, (_, index) => client.echo({ text: `${index}` }));
    await under.until(() => under.device.status.held === 4);
    await under.until(() => services.every(({ order }) => order.length === 2));
    expect(under.device.status).toMatchObject({ freeCredit: 0, running: 6 });
    while (under.device.status.running > 0) {
      for (const service of services) service.releaseAll();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(calls);
  });

  test("get only calls of the services that they serve", async () => {
    await using under = await DeviceUnderTest.open();
    const other = { ...Behavior, typeName: "test.v1.Other" };
    const service = new BehaviorService();
    const host = new ServiceHost({ binding: stack }).serve(other, service);
    await host.open({ address: under.backend, attach: "connect" });
    const { service: main } = await under.worker();
    await under.workers(2);
    const client = under.client();
    for (let round = 0; round < 5; round++) {
      await client.echo({});
      await client.channel.client(other).echo({});
    }
    expect([main.entered.get("echo"), service.entered.get("echo")]).toEqual([5, 5]);
    await host.close();
  });

  test("that are lost fail what they held, and nothing else", async () => {
    await using under = await DeviceUnderTest.open();
    const lost = await under.worker({}, new Waiting());
    const client = under.client();
    const held = [client.echo({ text: "a" }), client.echo({ text: "b" })].map(failureOf);
    await under.until(() => lost.service.order.length === 2);
    const streaming = failureOf(collect(client.count({ count: 2, intervalMs: 60_000 })));
    await lost.service.next("started");
    await under.worker();
    lost.host.abort();
    // The host tells its clients that it closes; only a host that is killed says nothing.
    for (const error of await Promise.all([...held, streaming])) expect(error.code).toBe(Status.UNAVAILABLE);
    expect((await client.echo({ text: "c" })).text).toBe("c");
    expect(under.changes.map(({ change }) => change)).toEqual(["joined", "joined", "left"]);
  });

  test("that drain get no more calls, and lose none", async () => {
    await using under = await DeviceUnderTest.open();
    const draining = await under.worker({}, new Waiting());
    const client = under.client();
    const first = client.echo({ text: "first" });
    await under.until(() => draining.service.order.length === 1);
    const closed = draining.host.close();
    await under.workers(0);
    const { service } = await under.worker();
    for (let round = 0; round < 5; round++) expect((await client.echo({ text: "x" })).text).toBe("x");
    draining.service.releaseAll();
    expect((await first).text).toBe("first");
    await closed;
    expect(service.entered.get("echo")).toBe(5);
    expect(under.device.status).toMatchObject({ workers: 1, running: 0 });
  });

  test("come and go under calls, and no call is lost while they drain", async () => {
    await using under = await DeviceUnderTest.open();
    const client = under.client();
    let running = true;
    let calls = 0;
    const caller = async (): Promise<void> => {
      while (running) {
        expect((await client.echo({ text: `${++calls}` })).text).toBeDefined();
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    let current = await under.worker();
    const callers = Array.from({ length: 20 }, caller);
    for (let round = 0; round < 10; round++) {
      const next = round % 3 === 0 ? undefined : await under.worker();
      await current.host.close();
      current = next ?? (await under.worker());
    }
    running = false;
    await Promise.all(callers);
    expect(calls).toBeGreaterThan(100);
  });

  test("cannot call back, and are told why", async () => {
    await using under = await DeviceUnderTest.open();
    let refusal: unknown;
    const host = new ServiceHost({ binding: stack }).serve(Worker, {
      work: async ({ sequence }, context) => {
        refusal = await failureOf(context.callback(Observer).progress({ sequence }, { retry: false }));
        return { sequence };
      },
      read: unused,
      hint: unused,
      wait: unused,
    });
    await host.open({ address: under.backend, attach: "connect" });
    const client = under.client().channel.client(Worker);
    expect(await client.work({ sequence: 3 })).toEqual({ sequence: 3 });
    expect(refusal).toMatchObject({
      code: Status.UNIMPLEMENTED,
      message: expect.stringMatching(/"test\.v1\.Observer\/Progress" cannot pass a queue device/),
    });
    expect(under.device.counters).toEqual({ "refused callback": 1 });
    await host.close();
  });
});

describe("a device", () => {
  test("that closes lets calls end, refuses the rest, and is found again", async () => {
    const under = await DeviceUnderTest.open({ frontend: "memory://front-again", backend: "memory://back-again" });
    await using _ = under;
    const service = new Waiting();
    await under.worker({}, service);
    const client = under.client();
    const running = client.echo({ text: "running" });
    const nowhere = client.channel.client({ ...Behavior, typeName: "test.v1.Nowhere" });
    const waiting = nowhere.ping({ sequence: 9 }, { waitForReady: true, timeoutMs: 10_000 });
    await under.until(() => service.order.length === 1 && under.device.status.held === 1);
    const closed = under.device.close();
    const later = client.ping({ sequence: 3 }, { waitForReady: true, timeoutMs: 10_000 });
    service.releaseAll();
    expect((await running).text).toBe("running");
    expect(await closed).toMatchObject({ kind: "closed" });
    await using again = await DeviceUnderTest.open({
      frontend: "memory://front-again",
      backend: "memory://back-again",
    });
    expect(await later).toEqual({ sequence: 3 });
    const host = new ServiceHost({ binding: stack }).serve(
      { ...Behavior, typeName: "test.v1.Nowhere" },
      new BehaviorService(),
    );
    await host.open({ address: again.backend, attach: "connect" });
    // It was refused unseen, and sent again by its client.
    expect(await waiting).toEqual({ sequence: 9 });
    await host.close();
  });

  test("that is aborted ends all calls at once", async () => {
    await using under = await DeviceUnderTest.open();
    const service = new Waiting();
    await under.worker({}, service);
    const client = under.client();
    const call = failureOf(client.echo({}));
    await under.until(() => service.order.length === 1);
    under.device.abort();
    expect((await call).code).toBe(Status.UNAVAILABLE);
    expect(await under.device.closed).toMatchObject({ kind: "aborted" });
  });

  test("may stand before another one, whichever of them binds", async () => {
    await using behind = await DeviceUnderTest.open();
    await behind.worker();
    const connecting = new QueueDevice({
      frontend: "memory://*",
      backend: { address: behind.frontend, attach: "connect" },
      binding: stack,
    });
    await connecting.open();
    await using before = await DeviceUnderTest.open();
    const joining = new QueueDevice({
      frontend: { address: before.backend, attach: "connect" },
      backend: { address: connecting.addresses.frontend[0]!, attach: "connect" },
      binding: stack,
    });
    await joining.open();
    const client = before.client();
    expect((await client.echo({ text: "through three" })).text).toBe("through three");
    const data = new Uint8Array(3 << 20).fill(7);
    expect(Buffer.compare((await client.echo({ data })).data, data)).toBe(0);
    expect(await collect(client.count({ count: 3000 }))).toHaveLength(3000);
    const items = Array.from({ length: 3000 }, () => ({ value: 1n }));
    expect(await client.sum(items)).toEqual({ total: 3000n, count: 3000 });
    const error = await failureOf(client.fail({ code: Status.ABORTED, message: "as it was" }));
    expect(error).toMatchObject({ code: Status.ABORTED, message: "as it was" });
    await Promise.all([joining.close(), connecting.close()]);
  });

  test("connects to hosts that bind, and to channels that bind", async () => {
    const host = new ServiceHost({ binding: stack }).serve(Behavior, new BehaviorService());
    await host.open("memory://*");
    const channel = new Channel("memory://channel-that-binds", { binding: stack, attach: "bind" });
    await channel.open();
    await using under = await DeviceUnderTest.open({
      frontend: { address: "memory://channel-that-binds", attach: "connect" },
      backend: { address: host.address, attach: "connect" },
    });
    expect(await channel.client(Behavior).ping({ sequence: 4 })).toEqual({ sequence: 4 });
    expect(under.changes).toMatchObject([{ change: "joined", services: undefined }]);
    channel.abort();
    await channel.closed;
    await host.close();
  });

  test("rejects what it cannot be", async () => {
    const make = (options: object) => () =>
      new QueueDevice({ frontend: "memory://a", backend: "memory://b", binding: stack, ...options });
    expect(make({ frontend: undefined })).toThrow(/a queue device needs frontend/);
    expect(make({ backend: [] })).toThrow(/a queue device needs backend/);
    expect(make({ backend: { adress: "memory://b" } })).toThrow(/backend must be an address or/);
    expect(make({ frontend: { address: "memory://b", mode: "bind" } })).toThrow(/an object with "mode"/);
    expect(make({ frontend: { address: "memory://b", attach: "both" } })).toThrow(/attach must be "bind" or "connect"/);
    expect(make({ frontend: "tcp://127.0.0.1:5555" })).toThrow(/is no address of the memory transport/);
    expect(make({ maxQueued: 1 })).toThrow(/there is no queue device option "maxQueued"; is maxQueuedCalls meant/);
    expect(make({ plainBackend: "memory://c" })).toThrow(/plainBackend needs plainBinding/);
    expect(make({ limits: { maxMessageBytes: -1 } })).toThrow(/limit maxMessageBytes/);
    await using under = await DeviceUnderTest.open();
    const second = new QueueDevice({ frontend: "memory://*", backend: under.backend, binding: stack });
    await expect(second.open()).rejects.toThrow(/is in use/);
    expect(second.state).toBe("closed");
  });
});

function unused(): never {
  throw new Error("it is not called");
}
