import { describe, expect, test } from "@jest/globals";
import { Channel, RpcError, ServiceHost, binding } from "@zerobind/core";
import { CallHeader, DataHeader, EndHeader } from "../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType } from "../src/records.ts";
import { EchoRequest } from "./gen/test/v1/behavior.pb.ts";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import type { BehaviorClient } from "./gen/test/v1/behavior.rpc.ts";
import { BehaviorService } from "./support/behavior-handler.ts";
import { DirectTransport, endOfTurn } from "./support/direct-transport.ts";
import type { DirectLink } from "./support/direct-transport.ts";
import { call, data, path, unary } from "./support/hostile.ts";
import { mutated, seeded } from "./support/mutations.ts";
import { batch, hello, recordsOf, welcome } from "./support/raw-peer.ts";
import type { RawRecord } from "./support/raw-peer.ts";

const rounds = 50_000;
/** They take some seconds each; machines that are busy may need more. */
const patienceMs = 90_000;
/** After so many mutations the event loop has a turn, and a polite call must be answered. */
const politeEvery = 500;
const politeMs = 2000;

const text = (key: string, value: string) => ({ key, value: { $case: "text" as const, value } });
const four = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
const small = Uint8Array.of(8, 3);

/** What an honest client says in a session: each batch, with its attachments. */
function clientSays(tag: number): Uint8Array[][] {
  const metadata = [text("echo-header", "ü"), { key: "x-bin", value: { $case: "binary" as const, value: small } }];
  const meta = CallHeader.encode(CallHeader.fromPartial({ path: path("Echo"), methodNumber: 2, metadata })).finish();
  const body = EchoRequest.encode(EchoRequest.fromPartial({ text: "hello", data: small, delayMs: 1 })).finish();
  const number = CallHeader.encode(CallHeader.fromPartial({ path: path("Ping"), methodNumber: 1 })).finish();
  return [
    [batch(tag, call(1, "", { meta: number, body: small }), call(3, "", { meta: Uint8Array.of(8, 1) }))],
    [batch(tag, call(5, "", { meta, body, aux: 5000 }), call(7, path("Count"), { body: Uint8Array.of(8, 200, 1) }))],
    [
      batch(
        tag,
        call(9, path("Sum"), { flags: 0 }),
        data(9, Flag.MESSAGE, small),
        data(9, Flag.MESSAGE | Flag.END, small),
      ),
    ],
    [
      batch(tag, call(11, path("Relay"), { flags: 0 }), data(11, Flag.MESSAGE | Flag.ATTACHED), data(11, Flag.END)),
      new Uint8Array(300),
    ],
    [
      batch(
        tag,
        call(13, path("Echo"), { flags: Flag.MESSAGE | Flag.MORE, body: body.subarray(0, 4) }),
        data(13, Flag.MESSAGE | Flag.MORE, body.subarray(4, 6)),
        data(13, unary, body.subarray(6)),
      ),
    ],
    [
      batch(
        tag,
        { type: RecordType.CREDIT, callId: 7, aux: 100, meta: four(50) },
        { type: RecordType.CREDIT, aux: 99 },
      ),
    ],
    [
      batch(tag, call(15, path("Echo"), { body: Uint8Array.of(0x18, 100) }), {
        type: RecordType.CANCEL,
        callId: 15,
        aux: 1,
      }),
    ],
    [
      batch(
        tag,
        { type: RecordType.PING, aux: 7 },
        { type: RecordType.PONG, aux: 7 },
        { type: 99, flags: Flag.OPTIONAL },
      ),
    ],
    [
      batch(
        tag,
        call(17, path("Notify"), { flags: unary | Flag.ONEWAY }),
        call(19, path("Fail"), { body: Uint8Array.of(8, 5) }),
      ),
    ],
    [batch(0, hello())],
  ];
}

/** What an honest server says to four calls: ping, count, sum and relay. */
function serverSays(tag: number, [ping = 0, count = 0, sum = 0, relay = 0]: readonly number[]): Uint8Array[][] {
  const end = (callId: number, changes: Partial<RawRecord> = {}): RawRecord => ({
    type: RecordType.END,
    flags: Flag.END,
    callId,
    ...changes,
  });
  const header = DataHeader.encode(DataHeader.fromPartial({ header: [text("a", "b"), text("a", "ü")] })).finish();
  const status = { message: "no", details: [{ typeUrl: "type.googleapis.com/test.v1.FailReason", value: small }] };
  const trailer = [{ key: "t-bin", value: { $case: "binary" as const, value: small } }];
  const meta = EndHeader.encode(EndHeader.fromPartial({ ...status, trailer })).finish();
  return [
    [batch(tag, { ...data(count, Flag.MESSAGE, small), meta: header }, data(count, Flag.MESSAGE, small))],
    [batch(tag, { type: RecordType.CREDIT, callId: sum, aux: 100, meta: four(9) }, { type: RecordType.PING, aux: 3 })],
    [
      batch(tag, data(relay, Flag.MESSAGE | Flag.ATTACHED), data(relay, Flag.MESSAGE | Flag.MORE, small)),
      new Uint8Array(200),
    ],
    [batch(tag, data(relay, Flag.MESSAGE, small), end(count))],
    [batch(tag, end(ping, { flags: unary, body: small, meta: header }), { type: 99, flags: Flag.OPTIONAL })],
    [batch(tag, { type: RecordType.CREDIT, aux: 5000 }, end(sum, { aux: 5, meta }))],
    [batch(tag, { type: RecordType.REFUSE, callId: relay, aux: 8, meta }, end(relay))],
    [batch(tag, { type: RecordType.GOAWAY, aux: ping })],
    [batch(tag, welcome())],
  ];
}

/** A conversation for a session of another tag, whose call ids begin at another number; written once, copied often. */
function readdressed(says: readonly Uint8Array[][], tag: number, firstId: number): Uint8Array[][] {
  return says.map(([template, ...attachments]) => {
    const frame = template!.slice();
    const view = new DataView(frame.buffer);
    if (view.getUint32(4, true) !== 0) view.setUint32(4, tag, true);
    for (let at = 8; at + 16 <= frame.length; at += 16 + view.getUint32(at, true)) {
      const id = view.getUint32(at + 8, true);
      if (id !== 0) view.setUint32(at + 8, id - 1 + firstId, true);
    }
    return [frame, ...attachments];
  });
}

/** Feeds one mutated message of a conversation to a link; the body of attachments is left as it is, their number not. */
function feed(link: DirectLink, says: readonly Uint8Array[][], index: number, random: ReturnType<typeof seeded>): void {
  const [frame, ...attachments] = says[index % says.length]!;
  const other = says[random(says.length)]![0]!;
  if (random(20) === 0) attachments.push(new Uint8Array(random(50)));
  if (random(20) === 0) attachments.shift();
  link.receive(mutated(frame!, other, random), ...attachments);
}

/** Unhandled rejections and exceptions while something runs. */
async function strayErrors(run: () => Promise<void>): Promise<unknown[]> {
  const errors: unknown[] = [];
  const note = (error: unknown): void => void errors.push(error);
  process.on("unhandledRejection", note).on("uncaughtException", note);
  try {
    await run();
    await new Promise(setImmediate);
  } finally {
    process.off("unhandledRejection", note).off("uncaughtException", note);
  }
  return errors;
}

describe("a hundred thousand mutated messages", () => {
  test(
    "fifty thousand of a client: the host serves others all the while",
    async () => {
      const transport = new DirectTransport();
      const defects: unknown[] = [];
      const onError = (error: unknown): void => void defects.push(error);
      await using host = new ServiceHost({ binding: binding(transport.element), onError, drainTimeoutMs: 100 });
      const service = new BehaviorService();
      host.serve(Behavior, service);
      await host.open("direct://host");
      const greeted = async (): Promise<[DirectLink, number]> => {
        const link = transport.connect();
        link.receive(batch(0, hello()));
        await endOfTurn();
        return [link, recordsOf(link.sent[0]!)[0]!.tag];
      };
      const [polite, politeTag] = await greeted();
      const random = seeded(1);
      const template = clientSays(1);
      let sessions = 0;
      const stray = await strayErrors(async () => {
        let link: DirectLink | undefined;
        let says: Uint8Array[][] = [];
        for (let round = 0; round < rounds; round++) {
          if (!link || link.closed) {
            sessions += 1;
            const [next, tag] = await greeted();
            link = next;
            says = readdressed(template, tag, 1);
          }
          feed(link, says, round, random);
          if (random(5) === 0) link.receive(...says[random(says.length - 1)]!.map((frame) => frame.slice()));
          if (round % politeEvery !== 0) continue;
          const startedMs = performance.now();
          polite.receive(batch(politeTag, call(2 * round + 1, path("Ping"), { body: small })));
          while (!polite.take().some(({ type, aux }) => type === RecordType.END && aux === 0)) {
            await new Promise(setImmediate);
            expect(performance.now() - startedMs).toBeLessThan(politeMs);
          }
        }
        link?.lose();
      });
      expect(stray).toEqual([]);
      // Handlers fail when they are told to by the request; nothing else may be reported.
      expect(defects.filter((error) => !isOfHandler(error))).toEqual([]);
      expect(sessions).toBeGreaterThan(1000);
      expect(polite.closed).toBe(false);
    },
    patienceMs,
  );

  test(
    "fifty thousand of a server: every call of the channel ends once, and new ones are answered",
    async () => {
      const transport = new DirectTransport();
      const troubles: string[] = [];
      const channel = new Channel("direct://server", {
        binding: binding(transport.element),
        onTrouble: (text) => troubles.push(text),
      });
      await channel.open();
      const client = channel.client(Behavior);
      const random = seeded(2);
      const template = serverSays(1, [1, 3, 5, 7]);
      let [begun, ended] = [0, 0];
      const strange: unknown[] = [];
      const tag = 77;
      const settled = (outcome: Promise<unknown>): void => {
        begun += 1;
        outcome.then(
          () => (ended += 1),
          (error: unknown) => {
            ended += 1;
            if (!(error instanceof RpcError)) strange.push(error);
          },
        );
      };
      const fresh = async (): Promise<[DirectLink, Uint8Array[][]]> => {
        const link = transport.connect();
        link.receive(batch(tag, welcome()));
        startCalls(client, settled);
        await endOfTurn();
        const first = link.take().find(({ type }) => type === RecordType.CALL)!;
        return [link, readdressed(template, tag, first.callId)];
      };
      const stray = await strayErrors(async () => {
        let link: DirectLink | undefined;
        let says: Uint8Array[][] = [];
        for (let round = 0; round < rounds; round++) {
          // A session that says nothing more of use gives way, too.
          if (!link || link.closed || link.retired || round % 20 === 0) {
            link?.lose();
            [link, says] = await fresh();
          }
          feed(link, says, round, random);
          if (random(10) === 0) link.receive(...says[random(says.length - 2)]!.map((frame) => frame.slice()));
          if (round % politeEvery !== 0) continue;
          link.lose();
          await new Promise(setImmediate);
          const polite = transport.connect();
          polite.receive(batch(tag, welcome()));
          const reply = client.ping({}, { timeoutMs: politeMs });
          await endOfTurn();
          const callId = polite.take().findLast(({ type }) => type === RecordType.CALL)!.callId;
          polite.receive(batch(tag, { type: RecordType.END, flags: unary, callId, body: small }));
          expect(await reply).toEqual({ sequence: 3 });
          polite.lose();
        }
        link?.lose();
        channel.abort();
        await channel.closed;
      });
      expect(stray).toEqual([]);
      expect(troubles.filter((trouble) => trouble.includes("internal error"))).toEqual([]);
      expect(strange).toEqual([]);
      expect(ended).toBe(begun);
      expect(begun).toBeGreaterThan(5000);
    },
    patienceMs,
  );
});

/** What `BehaviorService` throws by itself: as its request says, or since its call is over. */
function isOfHandler(error: unknown): boolean {
  const { name, stack = "" } = error as Error;
  return name === "AbortError" || stack.includes("behavior-handler.ts");
}

/** Ping, count, sum and relay, in this order. */
function startCalls(client: BehaviorClient, settled: (outcome: Promise<unknown>) => void): void {
  settled(client.ping({ sequence: 1 }));
  settled(drained(client.count({ count: 9 })));
  settled(client.sum(waiting()));
  settled(drained(client.relay(waiting())));
}

async function drained(stream: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _item of stream) count += 1;
  return count;
}

/** A source that never has anything, and lets go when it is closed. */
function waiting(): AsyncIterableIterator<never> {
  return {
    next: () => new Promise(() => undefined),
    return: () => Promise.resolve({ done: true, value: undefined }),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
