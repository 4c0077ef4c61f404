import { describe, expect, test } from "@jest/globals";
import { Channel, RpcError, ServiceHost, binding } from "@zerobind/core";
import { RecordType } from "../src/records.ts";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import type { BehaviorClient } from "./gen/test/v1/behavior.rpc.ts";
import { BehaviorService } from "./support/behavior-handler.ts";
import { DirectTransport, endOfTurn } from "./support/direct-transport.ts";
import type { DirectLink } from "./support/direct-transport.ts";
import { call, path, unary } from "./support/hostile.ts";
import { mutated, seeded } from "./support/mutations.ts";
import { batch, hello, recordsOf, welcome } from "./support/raw-peer.ts";
import { clientSays, readdressed, serverSays, small } from "./support/conversations.ts";

const rounds = 50_000;
/** They take some seconds each; machines that are busy may need more. */
const patienceMs = 90_000;
/** After so many mutations the event loop has a turn, and a polite call must be answered. */
const politeEvery = 500;
const politeMs = 2000;

/** Feeds one mutated message of a conversation to a link; the body of attachments is left as it is, their number not. */
function feed(link: DirectLink, says: readonly Uint8Array[][], index: number, random: ReturnType<typeof seeded>): void {
  const [frame, ...attachments] = says[index % says.length]!;
  const other = says[random(says.length)]![0]!;
  if (random(20) === 0) attachments.push(new Uint8Array(random(50)));
  if (random(20) === 0) attachments.shift();
  link.receive(mutated(frame!, other, random), ...attachments);
}

/** Unhandled rejections and exceptions while something runs. Errors have few lines of stack, which take time to find. */
async function strayErrors(run: () => Promise<void>): Promise<unknown[]> {
  const errors: unknown[] = [];
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 3;
  const note = (error: unknown): void => void errors.push(error);
  process.on("unhandledRejection", note).on("uncaughtException", note);
  try {
    await run();
    await new Promise(setImmediate);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
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
