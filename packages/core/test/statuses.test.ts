import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "@jest/globals";
import { Channel, RpcError, Status, statusName } from "@zerobind/core";
import type { StatusCode } from "@zerobind/core";
import { Flag, RecordType } from "../src/records.ts";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { failureOf } from "./support/failure.ts";
import { HostileServer, call, data, path, statusOf, under } from "./support/hostile.ts";
import { collect, openPair } from "./support/pair.ts";
import type { Pair, PairOptions } from "./support/pair.ts";
import { RawPeer, batch } from "./support/raw-peer.ts";
import type { RawRecord } from "./support/raw-peer.ts";

/** Codes that only programs give: whoever sees one knows that a handler, and not the library, has chosen it. */
const neverGenerated = [
  "INVALID_ARGUMENT",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "DATA_LOSS",
];

interface Case {
  readonly name: string;
  readonly code: StatusCode;
  readonly options?: PairOptions;
  run(pair: Pair): Promise<unknown>;
}

/** Starts a call that takes a minute and waits until its handler runs. */
async function running(pair: Pair, options = {}): Promise<{ outcome: Promise<unknown> }> {
  const started = pair.service.next("started");
  const outcome = pair.client.echo({ delayMs: 60_000 }, options);
  outcome.catch(() => undefined);
  await started;
  return { outcome };
}

/** The cases of gRPC's document of status codes, each as its caller meets it. */
const cases: readonly Case[] = [
  {
    name: "the caller's program cancels while the call runs",
    code: Status.CANCELLED,
    async run(pair) {
      const controller = new AbortController();
      const { outcome } = await running(pair, { signal: controller.signal });
      controller.abort();
      return outcome;
    },
  },
  {
    name: "the signal was aborted before the call",
    code: Status.CANCELLED,
    run: (pair) => pair.client.echo({}, { signal: AbortSignal.abort() }),
  },
  {
    name: "the caller's program closes its channel",
    code: Status.CANCELLED,
    async run(pair) {
      const { outcome } = await running(pair);
      pair.channel.abort();
      return outcome;
    },
  },
  {
    name: "the deadline passes before the server answers",
    code: Status.DEADLINE_EXCEEDED,
    run: (pair) => pair.client.echo({ delayMs: 60_000 }, { timeoutMs: 30 }),
  },
  {
    name: "the deadline has passed before the call",
    code: Status.DEADLINE_EXCEEDED,
    run: (pair) => pair.client.echo({}, { timeoutMs: 0 }),
  },
  {
    name: "the deadline passes in the middle of a stream",
    code: Status.DEADLINE_EXCEEDED,
    run: (pair) => collect(pair.client.count({ count: 9, intervalMs: 60_000 }, { timeoutMs: 30 })),
  },
  {
    name: "the service is not there",
    code: Status.UNIMPLEMENTED,
    run: (pair) => pair.channel.client({ ...Behavior, typeName: "test.v1.Nowhere" }).ping({}),
  },
  {
    name: "the handler throws an error that is no RpcError",
    code: Status.UNKNOWN,
    run: (pair) => pair.client.fail({ message: "secret" }),
  },
  {
    name: "the request is over the server's limit",
    code: Status.RESOURCE_EXHAUSTED,
    options: { host: { limits: { maxMessageBytes: 100 } } },
    run: (pair) => pair.client.echo({ data: new Uint8Array(200) }),
  },
  {
    name: "the reply is over the caller's limit",
    code: Status.RESOURCE_EXHAUSTED,
    options: { channel: { limits: { maxMessageBytes: 100 } } },
    run: (pair) => pair.client.echo({ data: new Uint8Array(99), text: "x" }),
  },
  {
    name: "the metadata is over the server's limit",
    code: Status.RESOURCE_EXHAUSTED,
    options: { host: { limits: { maxMetadataBytes: 100 } } },
    run: (pair) => pair.client.echo({}, { metadata: { key: "x".repeat(200) } }),
  },
  {
    name: "too many calls wait in the channel",
    code: Status.RESOURCE_EXHAUSTED,
    async run() {
      const channel = new Channel("memory://nobody", { binding: under.binding, maxQueuedCalls: 1 });
      const client = channel.client(Behavior);
      const first = client.ping({});
      first.catch(() => undefined);
      try {
        return await client.ping({});
      } finally {
        channel.abort();
      }
    },
  },
  {
    name: "the request cannot be encoded",
    code: Status.INTERNAL,
    run: (pair) => pair.client.echo({ delayMs: -1 }),
  },
  {
    name: "no server is there",
    code: Status.UNAVAILABLE,
    async run() {
      await using channel = new Channel("memory://nobody", { binding: under.binding, connectTimeoutMs: 20 });
      return await channel.client(Behavior).ping({});
    },
  },
  {
    name: "no server is there until the deadline of a call that waits for one",
    code: Status.DEADLINE_EXCEEDED,
    async run() {
      await using channel = new Channel("memory://nobody", { binding: under.binding, connectTimeoutMs: 20 });
      return await channel.client(Behavior).ping({}, { waitForReady: true, timeoutMs: 60 });
    },
  },
  {
    name: "the server shuts down and does not wait for the call",
    code: Status.UNAVAILABLE,
    async run(pair) {
      const { outcome } = await running(pair);
      pair.host.abort();
      return outcome;
    },
  },
  {
    name: "the server shuts down and the call outlasts the time that it gives",
    code: Status.UNAVAILABLE,
    options: { host: { drainTimeoutMs: 20 } },
    async run(pair) {
      const { outcome } = await running(pair);
      await pair.host.close();
      return outcome;
    },
  },
  {
    name: "the channel is closed already",
    code: Status.UNAVAILABLE,
    async run(pair) {
      await pair.channel.close();
      return pair.client.ping({});
    },
  },
];

describe("a status that the library generates, as the caller sees it", () => {
  test.each(cases)("$name", async ({ code, options, run }) => {
    await using pair = await openPair(under, options);
    const error = await failureOf(run(pair));
    expect([statusName(error.code), error.message]).toEqual([statusName(code), expect.stringMatching(/\S+ \S+/)]);
  });

  test.each<[string, (id: number) => RawRecord[], StatusCode]>([
    ["the connection breaks after the request was sent", () => [], Status.UNAVAILABLE],
    [
      "the reply cannot be decoded",
      (id) => [{ ...data(id), type: RecordType.END, flags: Flag.END | Flag.MESSAGE, body: Uint8Array.of(255) }],
      Status.INTERNAL,
    ],
    ["there are two replies", (id) => [data(id), data(id)], Status.UNIMPLEMENTED],
    ["there is no reply", (callId) => [{ type: RecordType.END, flags: Flag.END, callId }], Status.UNIMPLEMENTED],
    ["the status is none", (callId) => [{ type: RecordType.END, flags: Flag.END, callId, aux: 99 }], Status.UNKNOWN],
    [
      "the server refuses the call for want of something",
      (callId) => [{ type: RecordType.REFUSE, callId, aux: 8 }],
      Status.RESOURCE_EXHAUSTED,
    ],
  ])("%s", async (_name, records, code) => {
    await using server = await HostileServer.open();
    await server.greet();
    const { id, outcome } = await server.begun((client) => client.echo({}));
    const answer = records(id);
    if (answer.length > 0) server.send(...answer);
    else server.peer.hangUp();
    expect(statusName((await failureOf(outcome)).code)).toBe(statusName(code));
  });
});

describe("a status that the library generates, as the server sends it", () => {
  const ping = path("Ping");

  test.each<[string, RawRecord[], StatusCode]>([
    ["the method is not there", [call(1, path("Nothing"))], Status.UNIMPLEMENTED],
    ["the request cannot be decoded", [call(1, ping, { body: Uint8Array.of(255) })], Status.INTERNAL],
    ["there is no request", [call(1, ping, { flags: Flag.END })], Status.UNIMPLEMENTED],
    ["there are two requests", [call(1, ping, { flags: Flag.MESSAGE }), data(1)], Status.UNIMPLEMENTED],
    ["the request is over the limit", [call(1, ping, { body: new Uint8Array(2000) })], Status.RESOURCE_EXHAUSTED],
    [
      "the caller sends beyond its window",
      [call(1, path("Relay"), { flags: 0 }), ...Array.from({ length: 40 }, () => data(1))],
      Status.INTERNAL,
    ],
    ["too many calls are open", [3, 5, 1].map((id) => call(id, path("Sum"), { flags: 0 })), Status.RESOURCE_EXHAUSTED],
  ])("%s", async (_name, records, code) => {
    const limits = { maxMessageBytes: 1000, streamWindowMessages: 4, maxConcurrentCalls: 2 };
    await using pair = await openPair(under, { host: { limits } });
    await using peer = await RawPeer.open("connect", pair.host.address);
    const tag = await peer.greet();
    peer.send(batch(tag, ...records));
    expect(statusName((await statusOf(peer, 1)).code)).toBe(statusName(code));
  });

  test("a call that crosses the server's farewell is refused UNAVAILABLE", async () => {
    await using pair = await openPair(under, { host: { drainTimeoutMs: 10_000 } });
    await using peer = await RawPeer.open("connect", pair.host.address);
    const tag = await peer.greet();
    peer.send(batch(tag, call(1, path("Sum"), { flags: 0 })));
    await pair.service.next("started");
    const closed = pair.host.close();
    await peer.record(RecordType.GOAWAY);
    peer.send(batch(tag, call(3, ping)));
    const { aux } = await peer.record(RecordType.REFUSE, ({ callId }) => callId === 3);
    expect(statusName(aux)).toBe("UNAVAILABLE");
    peer.send(batch(tag, data(1, Flag.END)));
    expect(statusName((await statusOf(peer, 1)).code)).toBe("OK");
    pair.host.abort();
    await closed;
  });

  test("a deadline that passes is not answered: the caller has its own clock", async () => {
    await using pair = await openPair(under);
    await using peer = await RawPeer.open("connect", pair.host.address);
    const tag = await peer.greet();
    peer.send(batch(tag, call(1, path("Sum"), { flags: 0, aux: 20 })));
    await pair.service.next("started");
    expect(await pair.service.next("aborted")).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    peer.send(batch(tag, { type: RecordType.PING }));
    await peer.record(RecordType.PONG);
    expect(peer.received.filter(({ callId }) => callId === 1)).toEqual([]);
  });
});

describe("the codes that only programs give", () => {
  test("come from a handler as they are", async () => {
    await using pair = await openPair(under);
    for (const name of neverGenerated) {
      const code = Status[name as keyof typeof Status];
      expect(await failureOf(pair.client.fail({ code, message: "mine" }))).toMatchObject({ code, message: "mine" });
    }
  });

  test("are generated nowhere in the sources", () => {
    const packages = fileURLToPath(new URL("../../", import.meta.url));
    const sources = readdirSync(packages, { recursive: true, encoding: "utf8" }).filter(
      (file) => /^[^/\\]+[/\\]src[/\\].*\.ts$/.test(file) && !/[/\\](gen|node_modules)[/\\]/.test(file),
    );
    const generated = new RegExp(`\\bStatus\\.(${neverGenerated.join("|")})\\b|new RpcError\\(\\s*\\d`);
    const found = sources.flatMap((file) =>
      readFileSync(join(packages, file), "utf8")
        .split("\n")
        .flatMap((line, index) =>
          generated.test(line.replace(/^\s*(\*|\/\/).*/, "")) ? [`${file}:${index + 1}`] : [],
        ),
    );
    expect(sources.length).toBeGreaterThan(60);
    expect(found).toEqual([]);
    // What would be found if it were there.
    expect(generated.test("new RpcError(Status.ABORTED")).toBe(true);
  });

  test("and OK is no error", () => {
    expect(() => new RpcError(Status.OK, "")).toThrow(TypeError);
  });
});
