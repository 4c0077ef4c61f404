import { describe, expect, test } from "@jest/globals";
import { PushStream, RpcError, Status, statusName } from "@zerobind/core";
import type { MessageInit } from "@zerobind/core";
import { DataHeader } from "../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType } from "../src/records.ts";
import type { Item } from "./gen/test/v1/behavior.pb.ts";
import type { BehaviorClient } from "./gen/test/v1/behavior.rpc.ts";
import { HostileServer, data, unary } from "./support/hostile.ts";
import { collect } from "./support/pair.ts";
import { batch, welcome } from "./support/raw-peer.ts";
import type { RawRecord } from "./support/raw-peer.ts";
import { byName, stateTable } from "./support/state-table.ts";

/** A call in one of its states. */
interface Situation {
  readonly server: HostileServer;
  readonly id: number;
  readonly outcome: Promise<unknown>;
  readonly controller: AbortController;
  /** How an honest server would end it. */
  readonly ending: RawRecord[];
  /** Ends what the test itself keeps open. */
  readonly release: () => void;
  readonly streams: boolean;
}

type Options = { readonly signal: AbortSignal; readonly timeoutMs?: number };

const end = (callId: number, changes: Partial<RawRecord> = {}): RawRecord => ({
  type: RecordType.END,
  flags: unary,
  callId,
  ...changes,
});

async function situation(state: string, timeoutMs: number | undefined): Promise<Situation> {
  const server = await HostileServer.open({ drainTimeoutMs: 10_000, connectTimeoutMs: 10_000 });
  const controller = new AbortController();
  const options: Options = { signal: controller.signal, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  const base = { server, controller, release: () => undefined, streams: false };
  if (state === "waiting") {
    const outcome = server.client.echo({}, options);
    outcome.catch(() => undefined);
    await server.peer.record(RecordType.HELLO);
    return { ...base, outcome, id: 1, ending: [] };
  }
  await server.greet();
  if (state === "sending") {
    const source = new PushStream<MessageInit<Item>>();
    const { outcome, id } = await server.begun((client) => client.sum(source, options));
    return { ...base, outcome, id, ending: [end(id)], release: () => source.end() };
  }
  if (state === "reading") {
    const { outcome, id } = await begunStream(server, options);
    server.send(data(id));
    return { ...base, outcome, id, ending: [end(id, { flags: Flag.END })], streams: true };
  }
  const { outcome, id } = await server.begun((client: BehaviorClient) => client.echo({}, options));
  if (state === "ended") {
    server.send(end(id));
    await outcome;
  }
  return { ...base, outcome, id, ending: [end(id)] };
}

async function begunStream(
  server: HostileServer,
  options: Options,
): Promise<{ outcome: Promise<unknown>; id: number }> {
  return await server.begun((client) => collect(client.count({}, options)));
}

/** Events, as records of the server or as what happens on this end. */
const events: Record<string, (at: Situation) => RawRecord[] | undefined | Promise<void>> = {
  "DATA with a header": ({ id }) => {
    const header = [{ key: "a", value: { $case: "text" as const, value: "b" } }];
    return [{ type: RecordType.DATA, callId: id, meta: DataHeader.encode({ header }).finish() }];
  },
  "DATA with a message": ({ id }) => [data(id)],
  "END, OK, with what is missing": ({ id, streams }) => [end(id, { flags: streams ? Flag.END : unary })],
  "END with NOT_FOUND": ({ id }) => [end(id, { flags: Flag.END, aux: Status.NOT_FOUND })],
  CREDIT: ({ id }) => [{ type: RecordType.CREDIT, callId: id, aux: 5, meta: new Uint8Array(4).fill(1) }],
  "REFUSE with RESOURCE_EXHAUSTED": ({ id }) => [
    { type: RecordType.REFUSE, callId: id, aux: Status.RESOURCE_EXHAUSTED },
  ],
  "REFUSE with UNAVAILABLE": ({ id }) => [{ type: RecordType.REFUSE, callId: id, aux: Status.UNAVAILABLE }],
  GOAWAY: () => [{ type: RecordType.GOAWAY }],
  "the connection is lost": ({ server }) => {
    server.peer.hangUp();
  },
  "a malformed record": () => [{ type: 200 }],
  "its signal aborts": ({ controller }) => {
    controller.abort();
  },
  "its deadline passes": () => undefined,
  "the channel closes": ({ server }) => {
    void server.channel.close();
  },
  "the channel aborts": ({ server }) => {
    server.channel.abort();
  },
};

/** How a call stands: the name of its status, or `open` when all that was sent before has been read. */
async function standing({ server, outcome }: Situation): Promise<string> {
  let ended: string | undefined;
  outcome.then(
    () => (ended = "OK"),
    (error: unknown) => (ended = error instanceof RpcError ? statusName(error.code) : String(error)),
  );
  for (let turn = 0; turn < 10 && ended === undefined; turn++) await new Promise(setImmediate);
  expect(server.troubles.filter((trouble) => trouble.includes("internal error"))).toEqual([]);
  return ended ?? "open";
}

const cells = stateTable("caller");
const handlings = byName(
  cells.map(({ event }) => event),
  events,
);
const deadlineMs = 40;

describe("a call on the caller's side", () => {
  test.each(cells)("$state: $event: $expected", async ({ state, event, expected }) => {
    const passes = event === "its deadline passes";
    const at = await situation(state, passes ? deadlineMs : undefined);
    await using server = at.server;
    const before = server.channel.counters["late reply"] ?? 0;
    const records = handlings.get(event)!(at);
    if (Array.isArray(records)) server.peer.send(batch(server.tag, ...records));
    if (passes)
      await Promise.race([at.outcome, new Promise((resolve) => setTimeout(resolve, 3 * deadlineMs))]).catch(
        () => undefined,
      );
    const stands = await standing(at);
    const cancels = (): number =>
      server.peer.received.filter(({ type, callId }) => type === RecordType.CANCEL && callId === at.id).length;

    if (expected === "counted" || expected === "ignored") {
      expect(stands).toBe(state === "waiting" ? "open" : "OK");
      expect((server.channel.counters["late reply"] ?? 0) - before).toBe(expected === "counted" ? 1 : 0);
      expect(cancels()).toBe(0);
    } else if (expected === "sent again") {
      expect(stands).toBe("open");
      const again = await server.peer.record(RecordType.CALL, ({ callId }) => callId !== at.id);
      server.send(end(again.callId));
      expect(await at.outcome).toMatchObject(state === "sending" ? { count: 0 } : { text: "" });
    } else {
      expect(stands).toBe(expected);
      const endedHere = /signal|deadline|aborts/.test(event) && state !== "waiting";
      if (endedHere) await server.peer.record(RecordType.CANCEL, ({ callId }) => callId === at.id);
      expect(cancels()).toBe(endedHere ? 1 : 0);
    }
    // A call that waits is sent as soon as a session is there; one that is open can still end well.
    if (stands === "open" && expected === "open") await endWell(at, event);
    at.release();
  });
});

async function endWell(at: Situation, event: string): Promise<void> {
  const { server, ending, outcome } = at;
  if (ending.length > 0) {
    // Of a method with one reply, one has come.
    const [last] = ending as [RawRecord];
    const isThere = event === "DATA with a message" && !at.streams;
    server.send(isThere ? { ...last, flags: Flag.END } : last);
  } else {
    const isSameSession = event === "the channel closes";
    if (!isSameSession)
      await server.peer.until(
        () => server.peer.links > 1 && server.peer.received.filter(({ type }) => type === RecordType.HELLO).length > 1,
      );
    server.send(welcome());
    const { callId } = await server.peer.record(RecordType.CALL);
    server.send(end(callId));
  }
  await outcome;
}
