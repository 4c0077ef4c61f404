import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "@jest/globals";
import {
  Channel,
  PipelineSink,
  PipelineWorker,
  QueueDevice,
  RpcError,
  ServiceHost,
  Status,
  Ventilator,
  bearerToken,
  full,
  workers,
} from "zerobind";
import type { HandlerFailure, MessageInit, WorkerOptions } from "zerobind";
import type { Item } from "../../core/test/gen/test/v1/behavior.pb.ts";
import { FailReason } from "../../core/test/gen/test/v1/behavior.pb.ts";
import { Behavior } from "../../core/test/gen/test/v1/behavior.rpc.ts";
import type { BehaviorClient } from "../../core/test/gen/test/v1/behavior.rpc.ts";
import { Worker } from "../../core/test/gen/test/v1/callback.rpc.ts";
import { Imaging, Prices } from "../../core/test/gen/test/v1/patterns.rpc.ts";
import { folderWith } from "./support/protos.ts";

const fileOf = (name: string): URL => new URL(`./workers/${name}.mjs`, import.meta.url);

/** The module of Behavior, with the file that its threads are to write. */
function marking(mark: string): URL {
  const url = fileOf("behavior");
  url.searchParams.set("mark", mark);
  return url;
}

class Pair implements AsyncDisposable {
  readonly errors: string[] = [];
  readonly host = new ServiceHost({ onError: (error) => this.errors.push(String(error)) });
  readonly pool;
  channel!: Channel;
  client!: BehaviorClient;

  constructor(options: WorkerOptions, module: URL) {
    const onError = (error: unknown, failure: HandlerFailure): void => {
      this.errors.push(`${failure.path}: ${(error as Error).message}`);
      for (const tell of this.#listeners.splice(0)) tell();
    };
    this.pool = workers(Behavior, module, { threads: 2, onError, ...options });
    this.host.serve(Behavior, this.pool);
  }

  readonly #listeners: (() => void)[] = [];

  static async open(options: WorkerOptions = {}, module: URL = fileOf("behavior")): Promise<Pair> {
    const pair = new Pair(options, module);
    await pair.host.open("memory://*");
    pair.channel = new Channel(pair.host.address, { retry: false });
    pair.client = pair.channel.client(Behavior);
    return pair;
  }

  /** Resolves when an error is told. */
  error(): Promise<void> {
    return new Promise((resolve) => this.#listeners.push(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.channel.close();
    await this.host.close();
  }
}

async function failure(call: Promise<unknown>): Promise<RpcError> {
  const error: unknown = await call.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(RpcError);
  return error as RpcError;
}

test("calls of all kinds are carried out by a thread", async () => {
  await using pair = await Pair.open({ threads: 1 });
  const { client } = pair;
  const data = Uint8Array.from({ length: 300_000 }, (_, index) => index);
  const echo = await client.echo({ text: "käse", data });
  expect(echo.text).toBe("käse");
  expect(Buffer.compare(echo.data, data)).toBe(0);
  expect((await client.echo({ text: "thread" })).text).not.toBe("0");
  const numbers: bigint[] = [];
  for await (const { value } of client.count({ count: 2_000 })) numbers.push(value);
  expect(numbers).toEqual(Array.from({ length: 2_000 }, (_, index) => BigInt(index)));
  const items = Array.from({ length: 2_000 }, (_, index): MessageInit<Item> => ({ value: BigInt(index) }));
  expect(await client.sum(items)).toEqual({ total: 1_999_000n, count: 2_000 });
  const lines: number[] = [];
  for await (const line of client.relay([{ number: 1 }, { number: 2 }])) lines.push(line.number);
  expect(lines).toEqual([1, 2]);
  await client.notify({ text: "noted" });
  expect((await client.echo({ text: "notes" })).text).toContain("noted");
  expect(pair.errors).toEqual([]);
});

test("metadata, header, trailer and deadline are those of the call", async () => {
  await using pair = await Pair.open({ threads: 1 });
  const reply = await full((options) => pair.client.echo({ text: "blocks" }, options), { metadata: { key: "value" } });
  expect(reply.header.get("header-key")).toBe("value");
  expect([...(reply.trailer.get("trailer-bin") as Uint8Array)]).toEqual([1, 2]);
  expect((await pair.client.echo({ text: "deadline" }, { timeoutMs: 7_500 })).text).toBe("8");
});

test("who may not call is refused before a thread hears of it", async () => {
  const pool = workers(Behavior, fileOf("behavior"), { threads: 1 });
  await using host = new ServiceHost({
    authenticate: ({ metadata }) => (metadata.get("authorization") === "Bearer ada" ? "ada" : undefined),
  });
  host.serve(Behavior, pool, {
    authorize: "authenticated",
    methods: { echo: { authorize: ({ principal }) => principal === "ada" } },
  });
  await host.open("memory://*");
  await using channel = new Channel(host.address, { retry: false });
  const client = channel.client(Behavior);
  expect((await failure(client.echo({ text: "thread" }))).code).toBe(Status.UNAUTHENTICATED);
  expect((await failure(client.sum([]))).code).toBe(Status.UNAUTHENTICATED);
  expect((await client.echo({ text: "x" }, { callCredentials: bearerToken("ada") })).text).toBe("x");
});

test("errors are those of any handler", async () => {
  await using pair = await Pair.open({ threads: 1 });
  const known = await failure(pair.client.fail({ code: Status.NOT_FOUND, message: "no such thing ☺", reason: "gone" }));
  expect(known).toMatchObject({ code: Status.NOT_FOUND, message: "no such thing ☺" });
  expect(known.detail(FailReason)).toEqual({ reason: "gone" });
  const opaque = await failure(pair.client.fail({ message: "secret" }));
  expect(opaque.code).toBe(Status.UNKNOWN);
  expect(opaque.message).toMatch(/the handler of test\.v1\.Behavior\/Fail failed; .* error id [0-9a-f]+/);
  expect(pair.errors).toEqual(["test.v1.Behavior/Fail: secret"]);
  expect((await failure(pair.client.echo({ text: "nothing" }))).code).toBe(Status.UNKNOWN);
  expect(pair.errors[1]).toMatch(/the handler of test\.v1\.Behavior\/Echo must return a message, not undefined/);
  const told = pair.error();
  await pair.client.notify({ failWith: "a lost notice" });
  await told;
  expect(pair.errors).toContain("test.v1.Behavior/Notify: a lost notice");
});

test("work that keeps a thread busy is done in parallel, and the event loop is free meanwhile", async () => {
  await using pair = await Pair.open({ threads: 2 });
  let turns = 0;
  const ticking = setInterval(() => (turns += 1), 5);
  const replies = await Promise.all([1, 2, 3, 4].map(() => pair.client.echo({ text: "spin", delayMs: 100 })));
  clearInterval(ticking);
  expect(new Set(replies.map(({ text }) => text)).size).toBe(2);
  expect(turns).toBeGreaterThan(10);
});

test("calls beyond the threads and the line are refused at once", async () => {
  await using pair = await Pair.open({ threads: 1, maxQueuedCalls: 1 });
  const running = pair.client.echo({ text: "spin", delayMs: 200 });
  const waiting = pair.client.echo({ text: "waited" });
  const error = await failure(pair.client.echo({ text: "too many" }));
  expect(error.code).toBe(Status.RESOURCE_EXHAUSTED);
  expect(error.message).toMatch(/Echo: all threads are busy and 1 calls wait for them.*maxQueuedCalls/);
  expect((await waiting).text).toBe("waited");
  await running;
});

test("a call that waits in line ends with its deadline, and never runs", async () => {
  await using pair = await Pair.open({ threads: 1 });
  const running = pair.client.echo({ text: "spin", delayMs: 200 });
  expect((await failure(pair.client.echo({ text: "exit" }, { timeoutMs: 20 }))).code).toBe(Status.DEADLINE_EXCEEDED);
  await running;
  expect((await pair.client.echo({ text: "still there" })).text).toBe("still there");
  expect(pair.pool.counters).toEqual({});
});

test("cancellation reaches the handler in its thread, which is free for others then", async () => {
  await using pair = await Pair.open({ threads: 1 });
  const controller = new AbortController();
  const waiting = failure(pair.client.echo({ text: "wait" }, { signal: controller.signal }));
  setTimeout(() => controller.abort(), 30);
  expect((await waiting).code).toBe(Status.CANCELLED);
  expect((await pair.client.echo({ text: "aborted" })).text).toBe("1");
  for await (const { value } of pair.client.count({ count: 1_000_000 })) if (value === 10n) break;
  expect((await pair.client.echo({ text: "notes" })).text).toBe("count ended");
  expect(pair.pool.counters).toEqual({});
});

test("a thread may have several calls at once", async () => {
  await using pair = await Pair.open({ threads: 1, maxConcurrentCalls: 2 });
  const controller = new AbortController();
  const waiting = failure(pair.client.echo({ text: "wait" }, { signal: controller.signal }));
  expect((await pair.client.echo({ text: "beside" })).text).toBe("beside");
  controller.abort();
  await waiting;
});

test.each([
  ["exit", "exit code 3"],
  ["throw", "Error: boom"],
  ["memory", "reaching memory limit"],
])("a thread that ends by %s fails what it held, and is replaced", async (text, reason) => {
  await using pair = await Pair.open({ threads: 1, resourceLimits: { maxOldGenerationSizeMb: 24 } });
  const told = pair.error();
  const error = await failure(pair.client.echo({ text }));
  expect(error.code).toBe(Status.UNAVAILABLE);
  expect(error.message).toBe("test.v1.Behavior/Echo: the worker thread that held the call has ended");
  expect((await pair.client.echo({ text: "again" })).text).toBe("again");
  await told;
  expect(pair.errors[0]).toMatch(/test\.v1\.Behavior 1 has ended and is replaced: /);
  expect(pair.errors[0]).toContain(reason);
  expect(pair.pool.counters).toEqual({ "calls lost": 1, "threads ended": 1 });
});

test("what others hold does not suffer, and calls that wait are carried out by the next thread", async () => {
  await using pair = await Pair.open({ threads: 2 });
  const beside = pair.client.echo({ text: "spin", delayMs: 300 });
  const dying = failure(pair.client.echo({ text: "exit" }));
  const waiting = [1, 2, 3].map((number) => pair.client.echo({ text: String(number) }));
  expect((await dying).code).toBe(Status.UNAVAILABLE);
  expect((await Promise.all(waiting)).map(({ text }) => text)).toEqual(["1", "2", "3"]);
  expect((await beside).text).not.toBe("");
});

test("idempotent calls are given to another thread, three times at most", async () => {
  await using folder = await folderWith({});
  await using pair = await Pair.open({ threads: 2 }, marking(join(folder.path, "mark")));
  expect(await pair.client.ping({ sequence: 13 })).toEqual({ sequence: 13 });
  expect(pair.pool.counters).toMatchObject({ "calls lost": 1 });
  const error = await failure(pair.client.ping({ sequence: 666 }, { timeoutMs: 10_000 }));
  expect(error.code).toBe(Status.UNAVAILABLE);
  expect(pair.pool.counters).toMatchObject({ "calls lost": 4 });
});

test("a handler that never returns is ended some time after its deadline", async () => {
  await using pair = await Pair.open({ threads: 1, graceMs: 100 });
  const told = pair.error();
  expect((await failure(pair.client.echo({ text: "loop" }, { timeoutMs: 50 }))).code).toBe(Status.DEADLINE_EXCEEDED);
  expect((await pair.client.echo({ text: "next" })).text).toBe("next");
  await told;
  expect(pair.errors[0]).toContain("test.v1.Behavior/Echo went on for 100 ms after nobody waited for it any more");
  expect(pair.pool.counters).toEqual({ "threads ended": 1 });
});

test("a handler that is late, but not too late, keeps its thread; no other call waits behind it there", async () => {
  await using pair = await Pair.open({ threads: 2, graceMs: 5_000 });
  const first = (await pair.client.echo({ text: "thread" })).text;
  const late = failure(pair.client.echo({ text: "spin", delayMs: 400 }, { timeoutMs: 50 }));
  expect((await late).code).toBe(Status.DEADLINE_EXCEEDED);
  const startedMs = performance.now();
  await Promise.all([1, 2, 3].map(() => pair.client.echo({ text: "quick" })));
  expect(performance.now() - startedMs).toBeLessThan(250);
  expect(first).not.toBe("");
  expect(pair.pool.counters).toEqual({});
});

test("a thread opens no ZeroMQ socket, with which it could not end alone", async () => {
  await using pair = await Pair.open({ threads: 1 });
  expect((await failure(pair.client.echo({ text: "socket" }))).code).toBe(Status.UNKNOWN);
  expect(pair.errors[0]).toMatch(/no ZeroMQ socket is opened in the thread of a worker pool/);
});

test("close waits for what runs and what waits, disposes of handlers, and ends the threads", async () => {
  await using folder = await folderWith({});
  const mark = join(folder.path, "disposed");
  await using pair = await Pair.open({ threads: 2 }, marking(mark));
  const calls = Array.from({ length: 6 }, () => pair.client.echo({ text: "spin", delayMs: 50 }));
  await pair.client.echo({ text: "begun" });
  await pair.host.close();
  expect((await Promise.all(calls)).every(({ text }) => text !== "")).toBe(true);
  expect(pair.pool.state).toBe("closed");
  expect(existsSync(mark)).toBe(true);
});

test("without limits of time, close lets threads dispose of handlers", async () => {
  await using folder = await folderWith({});
  const mark = join(folder.path, "disposed");
  await using pair = await Pair.open({ threads: 1, graceMs: Infinity, drainTimeoutMs: 3e9 }, marking(mark));
  const call = pair.client.echo({ text: "spin", delayMs: 50 });
  await pair.client.echo({ text: "begun" });
  await pair.host.close();
  expect((await call).text).not.toBe("");
  expect(existsSync(mark)).toBe(true);
});

test("close does not wait for ever, nor does abort wait at all", async () => {
  await using pair = await Pair.open({ threads: 1, drainTimeoutMs: 50 });
  const hanging = failure(pair.client.echo({ text: "loop" }));
  const waiting = failure(pair.client.echo({ text: "waiting" }));
  await new Promise((resolve) => setTimeout(resolve, 20));
  await pair.pool.close();
  expect((await hanging).code).toBe(Status.UNAVAILABLE);
  expect((await waiting).code).toBe(Status.UNAVAILABLE);
  expect((await failure(pair.client.echo({}))).message).toMatch(/the pool of worker threads is closed/);

  await using other = await Pair.open({ threads: 1 });
  const cut = failure(other.client.echo({ text: "loop" }));
  await new Promise((resolve) => setTimeout(resolve, 20));
  other.pool.abort();
  expect((await cut).code).toBe(Status.UNAVAILABLE);
  await other.pool.closed;
});

test("a pool belongs to all hosts that serve it, or to whoever opened it", async () => {
  const pool = workers(Behavior, fileOf("behavior"), { threads: 1 });
  const hosts = [0, 1].map(() => new ServiceHost().serve(Behavior, pool));
  for (const host of hosts) await host.open("memory://*");
  await hosts[0]!.close();
  expect(pool.state).toBe("open");
  await hosts[1]!.close();
  expect(pool.state).toBe("closed");

  await using kept = workers(Behavior, fileURLToPath(fileOf("behavior")), { threads: 1 });
  await kept.open();
  const host = new ServiceHost().serve(Behavior, kept);
  await host.open("memory://*");
  await host.close();
  expect(kept.state).toBe("open");
});

test.each([
  ["a module that is not there", fileOf("none"), /workers\/none\.mjs cannot be loaded: .*Cannot find module/],
  [
    "a module without a handler",
    new URL("data:text/javascript,export const handlers = 1"),
    /cannot be loaded: TypeError: it exports no handler: write "export const handler = \{ … \}" for test\.v1\.Behavior/,
  ],
  [
    "a handler that lacks methods",
    fileOf("incomplete"),
    /incomplete\.mjs cannot be loaded: TypeError: its handler of test\.v1\.Behavior has no method count, sum, relay, fail, notify, ping/,
  ],
  [
    "a module that throws",
    new URL("data:text/javascript,throw new Error('not today')"),
    /cannot be loaded: Error: not today/,
  ],
  [
    "a module that ends its thread",
    new URL("data:text/javascript,process.exit(7)"),
    /cannot be loaded: its thread ended with exit code 7/,
  ],
  [
    "a module that takes too long",
    new URL("data:text/javascript,await new Promise((resolve) => setTimeout(resolve, 60_000))"),
    /cannot be loaded: it takes longer than 300 ms \(option startTimeoutMs\)/,
  ],
])("%s is told when the host opens", async (_name, module, expected) => {
  const startTimeoutMs = module.href.includes("60_000") ? 300 : 10_000;
  const pool = workers(Behavior, module, { threads: 2, startTimeoutMs });
  const host = new ServiceHost().serve(Behavior, pool);
  await expect(host.open("memory://*")).rejects.toThrow(expected);
  expect(host.state).toBe("closed");
  expect((await pool.closed).kind).toBe("failed");
});

test("jobs of pipelines can be carried out by threads, too", async () => {
  await using sink = new PipelineSink("memory://*");
  const results = new Map<number, string>();
  sink.serve(Imaging, {
    resize: ({ id, pixels, worker }) => void results.set(id, `${pixels} ${worker}`),
    forget: () => undefined,
  });
  await sink.open();
  await using ventilator = new Ventilator("memory://*");
  const images = ventilator.ventilator(Imaging);
  await ventilator.open();
  const pool = workers(Imaging, fileOf("imaging"), { threads: 2 });
  const worker = new PipelineWorker({ from: ventilator.address, to: sink.address, concurrency: 2 });
  await worker.serve(Imaging, pool).open();
  const batch = images.resize([
    { id: 7, width: 2, height: 3 },
    { id: 8, width: 4, height: 5 },
  ]);
  expect(await batch.finished).toMatchObject({ done: 2, failed: 0 });
  expect(results).toEqual(
    new Map([
      [7, `6 ${batch.id},0,1,false,true`],
      [8, `20 ${batch.id},1,1,false,true`],
    ]),
  );
  expect(pool.state).toBe("open");
  await worker.close();
  expect(pool.state).toBe("closed");
});

test("a host behind a queue device may have its calls carried out by threads", async () => {
  await using device = new QueueDevice({ frontend: "memory://*", backend: "memory://*" });
  await device.open();
  await using host = new ServiceHost().serve(Behavior, workers(Behavior, fileOf("behavior"), { threads: 2 }));
  await host.open({ address: device.addresses.backend[0]!, attach: "connect" });
  await using channel = new Channel(device.addresses.frontend[0]!);
  const client = channel.client(Behavior);
  const calls = Array.from({ length: 8 }, () => client.echo({ text: "spin", delayMs: 30 }, { waitForReady: true }));
  expect(new Set((await Promise.all(calls)).map(({ text }) => text)).size).toBe(2);
});

test("what cannot be is refused", () => {
  const make = (options: object, module: unknown = fileOf("behavior")): unknown =>
    workers(Behavior, module as URL, options);
  expect(() => make({ thread: 2 })).toThrow('there is no worker option "thread"; is threads meant?');
  expect(() => make({ threads: 0 })).toThrow("threads must be a whole number from 1 to 1024");
  expect(() => make({ threads: Infinity })).toThrow("threads must be a whole number from 1 to 1024");
  expect(() => workers(Prices as never, "a.js")).toThrow("Prices has neither calls nor jobs of a pipeline");
  expect(() => make({}, "http://example.com/a.js")).toThrow(/must be a file: URL, .* not "?http:/);
  expect(() => make({}, null)).toThrow(/must be a file: URL, .* not null/);
  expect(() => workers(undefined as never, "a.js")).toThrow("a contract is wanted");
  expect(() => workers(Worker, "a.js")).toThrow("threads cannot call back");
});
