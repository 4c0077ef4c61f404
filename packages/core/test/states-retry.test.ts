import { describe, expect, test } from "@jest/globals";
import { RpcError, Status, statusName } from "@zerobind/core";
import type { RetryPolicy } from "@zerobind/core";
import { DataHeader } from "../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType } from "../src/records.ts";
import { HostileServer, unary } from "./support/hostile.ts";
import type { RawRecord } from "./support/raw-peer.ts";
import { byName, stateTable } from "./support/state-table.ts";

/** A call in one of its states. */
interface Situation {
  readonly server: HostileServer;
  readonly id: number;
  readonly outcome: Promise<unknown>;
  readonly controller: AbortController;
}

const endless = 60_000;

const ending = (callId: number, aux: number): RawRecord => ({
  type: RecordType.END,
  flags: aux === 0 ? unary : Flag.END,
  callId,
  aux,
});

const deadlineMs = 60;

/** What is special about the call that an event meets. */
const changes: Readonly<Record<string, { readonly retry?: RetryPolicy; readonly timeoutMs?: number }>> = {
  "END with UNAVAILABLE, less than a pause before the deadline": { timeoutMs: 30_000 },
  "END with UNAVAILABLE, the last attempt": { retry: { maxAttempts: 1 } },
  "the pause is over": { retry: { initialBackoffMs: 1 } },
  "its deadline passes": { timeoutMs: deadlineMs },
};

async function situation(state: string, event: string): Promise<Situation> {
  const server = await HostileServer.open({ drainTimeoutMs: 10_000, connectTimeoutMs: 10_000 });
  await server.greet();
  const controller = new AbortController();
  const { retry, timeoutMs = Infinity } = changes[event] ?? {};
  const codes = [Status.UNAVAILABLE, Status.RESOURCE_EXHAUSTED];
  const policy = { codes, initialBackoffMs: endless, maxBackoffMs: endless, ...retry };
  const { outcome, id } = await server.begun((client) =>
    client.echo({}, { signal: controller.signal, timeoutMs, retry: policy }),
  );
  if (state === "answered") {
    const header = [{ key: "a", value: { $case: "text" as const, value: "b" } }];
    server.send({ type: RecordType.DATA, callId: id, meta: DataHeader.encode({ header }).finish() });
  } else if (state === "pausing") server.send(ending(id, Status.UNAVAILABLE));
  if (event !== "the pause is over") await turns();
  return { server, id, outcome, controller };
}

const events: Record<string, (at: Situation) => RawRecord[] | undefined | Promise<unknown>> = {
  "END, OK, with what is missing": ({ id }) => [ending(id, Status.OK)],
  "END with NOT_FOUND": ({ id }) => [ending(id, Status.NOT_FOUND)],
  "END with UNAVAILABLE": ({ id }) => [ending(id, Status.UNAVAILABLE)],
  "END with UNAVAILABLE, less than a pause before the deadline": ({ id }) => [ending(id, Status.UNAVAILABLE)],
  "END with UNAVAILABLE, the last attempt": ({ id }) => [ending(id, Status.UNAVAILABLE)],
  "REFUSE with RESOURCE_EXHAUSTED": ({ id: callId }) => [
    { type: RecordType.REFUSE, callId, aux: Status.RESOURCE_EXHAUSTED },
  ],
  "REFUSE with UNAVAILABLE": ({ id: callId }) => [{ type: RecordType.REFUSE, callId, aux: Status.UNAVAILABLE }],
  "the connection is lost": ({ server }) => {
    server.peer.hangUp();
  },
  "a malformed record": () => [{ type: 200 }],
  "the pause is over": ({ server, id }) => server.peer.record(RecordType.CALL, ({ callId }) => callId !== id),
  "its signal aborts": ({ controller }) => {
    controller.abort();
  },
  "its deadline passes": ({ outcome }) => outcome.catch(() => undefined),
  "the channel closes": ({ server }) => {
    void server.channel.close();
  },
  "the channel aborts": ({ server }) => {
    server.channel.abort();
  },
};

async function turns(count = 10): Promise<void> {
  for (let left = count; left > 0; left--) await new Promise(setImmediate);
}

/** How a call stands: the name of its status, or `open` when all that was sent before has been read. */
async function standing({ outcome }: Situation): Promise<string> {
  let ended = "open";
  outcome.then(
    () => (ended = "OK"),
    (error: unknown) => (ended = error instanceof RpcError ? statusName(error.code) : String(error)),
  );
  await turns();
  return ended;
}

const cells = stateTable("retried").filter(({ expected }) => expected !== "impossible");
const handlings = byName(
  stateTable("retried").map(({ event }) => event),
  events,
);

describe("a call that has a policy of retries", () => {
  test.each(cells)("$state: $event: $expected", async ({ state, event, expected }) => {
    const at = await situation(state, event);
    await using server = at.server;
    const { peer, channel } = server;
    const before = channel.counters["late reply"] ?? 0;
    const happens = handlings.get(event)!(at);
    if (Array.isArray(happens)) server.send(...happens);
    else await happens;
    const stands = await standing(at);
    const sent = (type: number): number => peer.received.filter((record) => record.type === type).length;

    if (["counted", "ignored", "pausing"].includes(expected)) {
      expect([stands, sent(RecordType.CALL), sent(RecordType.CANCEL)]).toEqual(["open", 1, 0]);
      expect((channel.counters["late reply"] ?? 0) - before).toBe(expected === "counted" ? 1 : 0);
      // It pauses, so that it ends at once with its channel.
      void channel.close();
      await expect(at.outcome).rejects.toThrow(/not tried again: the channel is closing/);
      expect(sent(RecordType.CALL)).toBe(1);
    } else if (expected === "sent again") {
      const again = await peer.record(RecordType.CALL, ({ callId }) => callId !== at.id);
      server.send(ending(again.callId, Status.OK));
      await at.outcome;
      expect([sent(RecordType.CALL), sent(RecordType.CANCEL)]).toEqual([2, 0]);
    } else if (expected === "open") {
      expect(stands).toBe("open");
      server.send(ending(at.id, Status.OK));
      await at.outcome;
    } else {
      expect([stands, sent(RecordType.CALL)]).toEqual([expected, 1]);
      const endedHere = /signal|deadline passes|aborts/.test(event) && state !== "pausing";
      expect(sent(RecordType.CANCEL)).toBe(endedHere ? 1 : 0);
    }
  });
});
