import { once } from "node:events";
import { describe, expect, test } from "@jest/globals";
import { Channel, PushStream, RpcError, ServiceHost, Status, binding, memory } from "@zerobind/core";
import type { AuthorizationCall, MessageInit, ServiceHostOptions } from "@zerobind/core";
import { Flag, RecordType } from "../src/records.ts";
import { EchoRequest } from "./gen/test/v1/behavior.pb.ts";
import type { Item } from "./gen/test/v1/behavior.pb.ts";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { BehaviorService } from "./support/behavior-handler.ts";
import { failureOf } from "./support/failure.ts";
import { Gate, Guarded } from "./support/guarded.ts";
import { call, data, fragment, leastFragment, path, refusal, statusOf } from "./support/hostile.ts";
import { collect } from "./support/pair.ts";
import { RawPeer, batch } from "./support/raw-peer.ts";

/** A host whose decisions come when the test says so. */
async function waiting(
  host: Omit<ServiceHostOptions, "binding"> = {},
  options: Parameters<typeof Guarded.open>[0] = {},
) {
  const gate = new Gate<boolean>();
  const calls: AuthorizationCall[] = [];
  const authorize = (attempt: AuthorizationCall): Promise<boolean> => {
    calls.push(attempt);
    return gate.pass();
  };
  const guarded = await Guarded.open({ ...options, host: { authorize, ...host } });
  return Object.assign(guarded, { gate, calls });
}

/** Two turns of the event loop: what was to happen at once has happened. */
async function soon(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise(setImmediate);
}

describe("while nobody has decided", () => {
  test("what is streamed waits undecoded, and comes in its order, with what comes later", async () => {
    await using guarded = await waiting();
    const lines = new PushStream<{ number: number; text?: string }>();
    const replies = guarded.client.relay(lines);
    const numbers = collect(replies).then((all) => all.map(({ number }) => number));
    for (let number = 0; number < 200; number++) await lines.push({ number, text: "x".repeat(number) });
    await guarded.gate.visitors(1);
    await soon();
    expect(guarded.decoded).toEqual([]);
    guarded.gate.open(true);
    for (let number = 200; number < 300; number++) await lines.push({ number });
    lines.end();
    expect(await numbers).toEqual(Array.from({ length: 300 }, (_, number) => number));
    expect(guarded.decoded).toHaveLength(300);
  });

  test("a writer stops at the window, and goes on afterwards", async () => {
    await using guarded = await waiting({ limits: { streamWindowMessages: 10 } });
    let given = 0;
    const items = function* (): Generator<MessageInit<Item>> {
      for (; given < 100; given++) yield { value: 1n };
    };
    const sum = guarded.client.sum(items());
    await guarded.gate.visitors(1);
    await soon();
    expect(given).toBeGreaterThan(8);
    expect(given).toBeLessThan(13);
    guarded.gate.open(true);
    expect(await sum).toEqual({ total: 100n, count: 100 });
  });

  test("credit for replies is kept", async () => {
    await using guarded = await waiting({}, { channel: { limits: { streamWindowMessages: 4 } } });
    const values = collect(guarded.client.count({ count: 50 }));
    await guarded.gate.visitors(1);
    guarded.gate.open(true);
    expect(await values).toHaveLength(50);
  });

  test("large messages wait in all their pieces, and small ones beside them", async () => {
    await using guarded = await waiting();
    const bytes = new Uint8Array(3_000_000).fill(7);
    const large = guarded.client.echo({ data: bytes });
    const small = Array.from({ length: 20 }, (_, sequence) => guarded.client.ping({ sequence }));
    await guarded.gate.visitors(21);
    await soon();
    expect(guarded.decoded).toEqual([]);
    guarded.gate.open(true);
    expect(Buffer.compare((await large).data, bytes)).toBe(0);
    expect((await Promise.all(small)).map(({ sequence }) => sequence)).toEqual(Array.from(small.keys()));
  });

  test("what was kept is dropped when the answer is no", async () => {
    await using guarded = await waiting();
    const outcomes = [
      failureOf(guarded.client.sum(Array.from({ length: 50 }, () => ({ value: 1n })))),
      failureOf(guarded.client.echo({ data: new Uint8Array(2_000_000) })),
    ];
    await guarded.gate.visitors(2);
    await soon();
    guarded.gate.open(false);
    for (const outcome of outcomes) expect(await outcome).toMatchObject({ code: Status.UNAUTHENTICATED });
    expect(guarded.decoded).toEqual([]);
    expect(guarded.service.entered.size).toBe(0);
  });

  test("a caller may cancel: nobody decides any more, and nothing runs", async () => {
    await using guarded = await waiting();
    const controller = new AbortController();
    const outcome = failureOf(guarded.client.echo({ text: "x" }, { signal: controller.signal }));
    await guarded.gate.visitors(1);
    const aborted = once(guarded.calls[0]!.signal, "abort");
    controller.abort();
    expect(await outcome).toMatchObject({ code: Status.CANCELLED });
    await aborted;
    guarded.gate.open(true);
    await soon();
    expect(guarded.decoded).toEqual([]);
    expect(guarded.decisions).toEqual([]);
  });

  test("a decision that never comes ends with the deadline, and one that fails then is told nobody", async () => {
    let reject!: (error: Error) => void;
    const never = new Promise<never>((_resolve, fail) => (reject = fail));
    const calls: AuthorizationCall[] = [];
    const authorize = (attempt: AuthorizationCall): Promise<boolean> => (calls.push(attempt), never);
    await using guarded = await Guarded.open({ host: { authorize } });
    const outcome = failureOf(guarded.client.echo({ text: "x" }, { timeoutMs: 30 }));
    expect(await outcome).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    const { signal } = calls[0]!;
    if (!signal.aborted) await once(signal, "abort");
    expect(signal.reason).toMatchObject({ code: expect.any(Number) });
    reject(new Error("too late"));
    await soon();
    expect(guarded.failures).toEqual([]);
    expect(guarded.decoded).toEqual([]);
    // Nothing is left of it that a graceful close would wait for.
    const before = performance.now();
    await guarded.channel.close();
    await guarded.host.close();
    expect(performance.now() - before).toBeLessThan(2_000);
  });

  test("calls count as open ones", async () => {
    await using guarded = await waiting({ limits: { maxConcurrentCalls: 3 } });
    const replies = Array.from({ length: 9 }, (_, sequence) => guarded.client.ping({ sequence }));
    await guarded.gate.visitors(3);
    await soon();
    expect(guarded.gate.came).toBe(3);
    for (let came = 3; came <= 9; came += 3) {
      await guarded.gate.visitors(came);
      guarded.gate.open(true);
    }
    expect(await Promise.all(replies)).toHaveLength(9);
  });

  test("a host that closes waits for the decision, and for the call", async () => {
    await using guarded = await waiting();
    const reply = guarded.client.ping({ sequence: 7 });
    await guarded.gate.visitors(1);
    const closing = guarded.host.close();
    await soon();
    guarded.gate.open(true);
    expect(await reply).toEqual({ sequence: 7 });
    await closing;
  });

  test("a host that is aborted ends the call UNAVAILABLE", async () => {
    await using guarded = await waiting();
    const outcome = failureOf(guarded.client.ping({ sequence: 7 }));
    await guarded.gate.visitors(1);
    guarded.host.abort();
    expect(await outcome).toMatchObject({ code: Status.UNAVAILABLE });
    expect(guarded.calls[0]!.signal.aborted).toBe(true);
    guarded.gate.open(true);
    await soon();
    expect(guarded.decoded).toEqual([]);
  });

  test("a caller that vanishes leaves nothing behind", async () => {
    await using guarded = await waiting();
    const outcomes = [1, 2, 3].map(() => failureOf(guarded.client.sum([{ value: 1n }])));
    await guarded.gate.visitors(3);
    const aborted = once(guarded.calls[2]!.signal, "abort");
    guarded.channel.abort();
    await Promise.all(outcomes);
    await aborted;
    guarded.gate.open(true);
    await soon();
    expect(guarded.decoded).toEqual([]);
    await guarded.host.close();
  });

  test("a one-way call that has come is carried out, also when its caller has gone meanwhile", async () => {
    await using guarded = await waiting();
    const notice = guarded.service.next("notice");
    await guarded.client.notify({ text: "still here" });
    await guarded.gate.visitors(1);
    await guarded.channel.close();
    const closing = guarded.host.close();
    await soon();
    guarded.gate.open(true);
    expect(await notice).toBe("still here");
    await closing;
    expect(guarded.failures).toEqual([]);
  });

  test("one that decides may close the host, and no call begins", async () => {
    for (const later of [false, true]) {
      const host = new ServiceHost({
        binding: binding(memory()),
        drainTimeoutMs: 100,
        authorize: () => {
          host.abort();
          return later ? Promise.resolve(true) : true;
        },
      });
      const service = new BehaviorService();
      await host.serve(Behavior, service).open("memory://*");
      await using channel = new Channel(host.address, {
        binding: binding(memory()),
        retry: false,
        connectTimeoutMs: 50,
      });
      expect(await failureOf(channel.client(Behavior).echo({}))).toMatchObject({ code: Status.UNAVAILABLE });
      await host.closed;
      expect(service.entered.size).toBe(0);
    }
  });

  test("thousands of calls that come and go leave the host as it was", async () => {
    await using guarded = await waiting();
    for (let round = 0; round < 20; round++) {
      const controller = new AbortController();
      const { signal } = controller;
      const outcomes = Array.from({ length: 100 }, () => failureOf(guarded.client.sum([{ value: 1n }], { signal })));
      await guarded.gate.visitors((round + 1) * 100);
      controller.abort();
      await Promise.all(outcomes);
    }
    await guarded.channel.close();
    await guarded.host.close();
    guarded.gate.open(true);
    await soon();
    expect(guarded.decisions).toEqual([]);
  });
});

describe("a hostile caller whose call waits", () => {
  async function against(
    run: (peer: RawPeer, tag: number, gate: Gate<boolean>) => Promise<void>,
    host: Omit<ServiceHostOptions, "binding"> = {},
  ): Promise<void> {
    await using guarded = await waiting(host);
    await using peer = await RawPeer.open("connect", guarded.host.address);
    const tag = await peer.greet();
    await run(peer, tag, guarded.gate);
    guarded.gate.open(true);
    const { came } = guarded.gate;
    const polite = guarded.client.ping({ sequence: 1 });
    await guarded.gate.visitors(came + 1);
    guarded.gate.open(true);
    expect(await polite).toEqual({ sequence: 1 });
    expect(guarded.failures).toEqual([]);
  }

  test("that streams more messages than it was granted ends the call", async () => {
    await against(
      async (peer, tag) => {
        peer.send(batch(tag, call(1, path("Sum"), { flags: 0 }), ...Array.from({ length: 6 }, () => data(1))));
        expect(await statusOf(peer, 1)).toMatchObject({
          code: Status.INTERNAL,
          message: expect.stringContaining("granted"),
        });
      },
      { limits: { streamWindowMessages: 5 } },
    );
  });

  test("that streams more bytes than it was granted ends the call", async () => {
    const limits = { streamWindowBytes: 10_000, maxMessageBytes: 10_000 };
    await against(
      async (peer, tag) => {
        const large = data(1, Flag.MESSAGE, new Uint8Array(9_000));
        peer.send(batch(tag, call(1, path("Sum"), { flags: 0 }), large, large, large));
        expect((await statusOf(peer, 1)).code).toBe(Status.INTERNAL);
      },
      { limits },
    );
  });

  test("that says more after its end, or more than one request, ends the call", async () => {
    await against(async (peer, tag) => {
      peer.send(batch(tag, call(1, path("Sum"), { flags: Flag.END }), data(1)));
      expect((await statusOf(peer, 1)).code).toBe(Status.INTERNAL);
      peer.send(batch(tag, call(3, path("Echo"), { flags: Flag.MESSAGE }), data(3)));
      expect((await statusOf(peer, 3)).code).toBe(Status.INTERNAL);
    });
  });

  test("that fills the memory with many calls gets RESOURCE_EXHAUSTED for those beyond", async () => {
    const limits = { maxHeldBytes: 100_000 };
    await against(
      async (peer, tag) => {
        const body = EchoRequest.encode(EchoRequest.fromPartial({ data: new Uint8Array(40_000) })).finish();
        for (const id of [1, 3, 5]) peer.send(batch(tag, call(id, path("Echo"), { body })));
        expect(await statusOf(peer, 5)).toMatchObject({
          code: Status.RESOURCE_EXHAUSTED,
          message: expect.stringContaining("limit maxHeldBytes"),
        });
        // What is over makes room.
        peer.send(batch(tag, { type: RecordType.CANCEL, callId: 1, aux: 1 }, call(7, path("Echo"), { body })));
        peer.send(batch(tag, { type: RecordType.PING }));
        await peer.record(RecordType.PONG);
        expect(peer.received.filter(({ callId }) => callId === 7)).toEqual([]);
      },
      { limits },
    );
  });

  test("that sends records which say nothing has nothing kept", async () => {
    await against(async (peer, tag, gate) => {
      peer.send(batch(tag, call(1, path("Sum"), { flags: 0 })));
      for (let turn = 0; turn < 100; turn++) peer.send(batch(tag, ...Array.from({ length: 500 }, () => data(1, 0))));
      const meta = Uint8Array.of(255, 255, 255, 255);
      const grants = Array.from({ length: 500 }, () => ({ type: RecordType.CREDIT, callId: 1, aux: 0xffffffff, meta }));
      peer.send(batch(tag, ...grants, data(1, Flag.END)));
      peer.send(batch(tag, { type: RecordType.PING }));
      await peer.record(RecordType.PONG);
      gate.open(true);
      expect((await statusOf(peer, 1)).code).toBe(Status.OK);
    });
  });

  test.each([
    ["fragments that are too small", data(1, fragment, new Uint8Array(10))],
    ["CREDIT without a count", { type: RecordType.CREDIT, callId: 1, aux: 5 }],
    ["the same id once more", call(1, path("Sum"), { flags: 0 })],
  ])("that sends %s loses its session", async (_what, record) => {
    await against(async (peer, tag) => {
      peer.send(batch(tag, call(1, path("Sum"), { flags: 0 }), record));
      expect((await refusal(peer)).message).toContain("malformed");
    });
  });

  test("that stops in the middle of a message, or sends none, ends as any other", async () => {
    await against(async (peer, tag, gate) => {
      peer.send(batch(tag, call(1, path("Echo"), { flags: fragment, body: leastFragment }), data(1, Flag.END)));
      peer.send(batch(tag, call(3, path("Echo"), { flags: Flag.END })));
      await gate.visitors(2);
      gate.open(true);
      expect([(await statusOf(peer, 1)).code, (await statusOf(peer, 3)).code]).toEqual([
        Status.INTERNAL,
        Status.UNIMPLEMENTED,
      ]);
    });
  });
});

test("throttles are asked when it is decided, and refuse as they do", async () => {
  await using guarded = await waiting({ maxConcurrentCalls: 1, maxQueuedCalls: 0 });
  const outcomes = [1, 2, 3].map((sequence) =>
    guarded.client.echo({ text: String(sequence), delayMs: 20 }).then(
      () => Status.OK,
      (error: unknown) => RpcError.from(error).code,
    ),
  );
  await guarded.gate.visitors(3);
  guarded.gate.open(true);
  expect((await Promise.all(outcomes)).toSorted()).toEqual([
    Status.OK,
    Status.RESOURCE_EXHAUSTED,
    Status.RESOURCE_EXHAUSTED,
  ]);
  expect(guarded.host.counters).toEqual({ "refused call": 2 });
});
