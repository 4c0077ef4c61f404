import { describe, expect, test } from "@jest/globals";
import { PushStream, RpcError, Status } from "@zerobind/core";
import type { MessageInit } from "@zerobind/core";
import { Flag, RecordType } from "../src/records.ts";
import type { Line } from "./gen/test/v1/behavior.pb.ts";
import { failureOf } from "./support/failure.ts";
import { HostileServer, data } from "./support/hostile.ts";
import type { RawRecord } from "./support/raw-peer.ts";

const window = 4;

/** A relay under way between a real caller and a server of the test, with small windows both ways. */
async function relaying(run: (at: Relay) => Promise<void>): Promise<void> {
  await using server = await HostileServer.open({ limits: { streamWindowMessages: window } });
  await server.greet({ limits: { streamWindowMessages: window } });
  const source = new PushStream<MessageInit<Line>>();
  const { id, outcome: replies } = await server.begun((client) => client.relay(source));
  const sent = (): number =>
    server.peer.received.filter(({ type, flags }) => type === RecordType.DATA && (flags & Flag.MESSAGE) !== 0).length;
  await run({ server, source, id, replies, sent });
  replies.cancel();
  await server.politely();
}

interface Relay {
  readonly server: HostileServer;
  readonly source: PushStream<MessageInit<Line>>;
  readonly id: number;
  readonly replies: AsyncIterableIterator<Line>;
  /** Messages that the caller has sent. */
  sent(): number;
}

const end = (callId: number, changes: Partial<RawRecord> = {}): RawRecord => ({
  type: RecordType.END,
  flags: Flag.END,
  callId,
  ...changes,
});

function credit(callId: number, messages: number): RawRecord {
  const meta = new Uint8Array(Uint32Array.of(messages).buffer);
  return { type: RecordType.CREDIT, callId, aux: 1000, meta };
}

async function turns(count = 5): Promise<void> {
  for (let left = count; left > 0; left--) await new Promise(setImmediate);
}

describe("the sender of a stream", () => {
  test("ready: sends; full: waits; CREDIT: goes on by as much; the end comes last", async () => {
    await relaying(async ({ server, source, id, sent }) => {
      const pushed = Array.from({ length: 10 }, (_, number) => source.push({ number }));
      source.end();
      await turns();
      expect(sent()).toBe(window);
      server.send(credit(id, 0));
      await turns();
      expect(sent()).toBe(window);
      server.send(credit(id, 2));
      await turns();
      expect(sent()).toBe(window + 2);
      server.send(credit(id, 100));
      await Promise.all(pushed);
      const last = await server.peer.record(RecordType.DATA, ({ flags }) => (flags & Flag.END) !== 0);
      expect(server.peer.received.at(-1)).toBe(last);
      expect(sent()).toBe(10);
    });
  });

  test("full: its source is closed when the call ends, and what it had not sent is not sent", async () => {
    await relaying(async ({ server, source, id, replies, sent }) => {
      const pushed = Array.from({ length: 10 }, (_, number) => source.push({ number }));
      await turns();
      server.send(end(id), credit(id, 100));
      await expect(pushed.at(-1)).rejects.toMatchObject({ code: Status.CANCELLED });
      expect(source.left).toBe(true);
      expect(await replies.next()).toMatchObject({ done: true });
      await turns();
      expect(sent()).toBe(window);
    });
  });

  test("ready: a source that throws ends the call, with CANCEL to the server and its error to the reader", async () => {
    await relaying(async ({ server, source, id, replies }) => {
      source.fail(new RpcError(Status.DATA_LOSS, "broken"));
      expect(await failureOf(replies.next())).toMatchObject({ code: Status.DATA_LOSS });
      await server.peer.record(RecordType.CANCEL, ({ callId }) => callId === id);
    });
  });
});

describe("the receiver of a stream", () => {
  test("flowing: half a window taken is granted anew", async () => {
    await relaying(async ({ server, id, replies }) => {
      server.send(...Array.from({ length: window }, () => data(id)));
      await replies.next();
      await turns();
      expect(server.peer.received.some(({ type }) => type === RecordType.CREDIT)).toBe(false);
      await replies.next();
      const { meta } = await server.peer.record(RecordType.CREDIT, ({ callId }) => callId === id);
      expect(meta[0]).toBe(window / 2);
    });
  });

  test("flowing: beyond the window the call ends INTERNAL, and what was buffered is dropped", async () => {
    await relaying(async ({ server, id, replies }) => {
      server.send(...Array.from({ length: window + 1 }, () => data(id)));
      await server.peer.record(RecordType.CANCEL);
      expect(await failureOf(replies.next())).toMatchObject({ code: Status.INTERNAL });
      expect(await replies.next()).toMatchObject({ done: true });
    });
  });

  test("ended: what is buffered is read, then the end; what comes still is counted", async () => {
    await relaying(async ({ server, id, replies }) => {
      server.send(data(id), data(id), end(id), data(id));
      await turns();
      expect([(await replies.next()).done, (await replies.next()).done, (await replies.next()).done]).toEqual([
        false,
        false,
        true,
      ]);
      expect(server.channel.counters["late reply"]).toBe(1);
    });
  });

  test("ended: an error of the peer comes after what is buffered, once", async () => {
    await relaying(async ({ server, id, replies }) => {
      server.send(data(id), end(id, { aux: Status.ABORTED }));
      await turns();
      expect((await replies.next()).done).toBe(false);
      expect(await failureOf(replies.next())).toMatchObject({ code: Status.ABORTED });
      expect(await replies.next()).toMatchObject({ done: true });
    });
  });

  test("left: CANCEL goes out, and nothing more comes", async () => {
    await relaying(async ({ server, id, replies }) => {
      server.send(data(id), data(id));
      await turns();
      await replies.return!();
      await server.peer.record(RecordType.CANCEL, ({ callId }) => callId === id);
      expect(await replies.next()).toMatchObject({ done: true });
    });
  });

  test("failed here: the error comes at once", async () => {
    await relaying(async ({ server, id, replies }) => {
      server.send(data(id), data(id), data(id, Flag.MESSAGE, Uint8Array.of(255)));
      await server.peer.record(RecordType.CANCEL);
      expect(await failureOf(replies.next())).toMatchObject({ code: Status.INTERNAL });
    });
  });
});
