import { describe, expect, test } from "@jest/globals";
import { RpcError, ServiceHost, Status, partial, statusName } from "@zerobind/core";
import type { OperationContext } from "@zerobind/core";
import { Flag, RecordType, RefuseReason } from "../src/records.ts";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { call, data, path, under } from "./support/hostile.ts";
import { RawPeer, batch, hello } from "./support/raw-peer.ts";
import type { RawRecord } from "./support/raw-peer.ts";
import { byName, stateTable } from "./support/state-table.ts";

/** A handler that goes on until the test says how it ends. */
class Controlled {
  entered = 0;
  context: OperationContext | undefined;
  finish!: (error?: Error) => void;
  readonly #finished = new Promise<void>((resolve, reject) => {
    this.finish = (error) => (error ? reject(error) : resolve());
  });

  constructor() {
    this.#finished.catch(() => undefined);
  }

  enter(context: OperationContext): Promise<void> {
    this.entered += 1;
    this.context = context;
    return this.#finished;
  }
}

/** A call in one of its states, on a real host, and the peer that makes it. */
interface Situation {
  readonly host: ServiceHost;
  readonly peer: RawPeer;
  readonly tag: number;
  readonly handler: Controlled;
  readonly state: string;
}

const id = 1;

/** The records that bring a call into a state. */
const opening: Record<string, (aux: number) => RawRecord> = {
  gathering: (aux) => call(id, path("Echo"), { flags: 0, aux }),
  receiving: (aux) => call(id, path("Sum"), { flags: 0, aux }),
  running: (aux) => call(id, path("Echo"), { aux }),
  replying: (aux) => call(id, path("Count"), { aux }),
  ended: (aux) => call(id, path("Ping"), { aux }),
};

async function situation(state: string, deadlineMs: number): Promise<Situation> {
  const handler = new Controlled();
  const service = partial(Behavior, {
    async echo(_request, context) {
      await handler.enter(context);
      return {};
    },
    async sum(_requests, context) {
      await handler.enter(context);
      return {};
    },
    async *count(_request, context) {
      yield {};
      await handler.enter(context);
    },
    ping: () => ({}),
  });
  const host = new ServiceHost({ binding: under.binding, drainTimeoutMs: 10_000, onError: () => undefined });
  await host.serve(Behavior, service).open("memory://*");
  const peer = await RawPeer.open("connect", host.address);
  const tag = await peer.greet();
  peer.send(batch(tag, opening[state]!(deadlineMs)));
  if (state === "ended") await peer.record(RecordType.END);
  else if (state === "replying") await peer.record(RecordType.DATA);
  else if (state === "gathering") {
    peer.send(batch(tag, { type: RecordType.PING }));
    await peer.record(RecordType.PONG);
  } else await until(() => handler.entered === 1);
  return { host, peer, tag, handler, state };
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(setImmediate);
}

const deadlineMs = 30;

const events: Record<string, (at: Situation) => RawRecord[] | undefined> = {
  "DATA with a message": () => [data(id)],
  "DATA with END": () => [data(id, Flag.END)],
  CREDIT: () => [{ type: RecordType.CREDIT, callId: id, aux: 9, meta: new Uint8Array(4) }],
  CANCEL: () => [{ type: RecordType.CANCEL, callId: id, aux: 1 }],
  "a CALL with the same id": () => [call(id, path("Echo"), { flags: 0 })],
  "a malformed record": () => [{ type: 200 }],
  "HELLO again": ({ peer }) => {
    peer.send(batch(0, hello()));
  },
  "the deadline passes": () => undefined,
  "the connection is lost": ({ peer }) => {
    peer.hangUp();
  },
  "the host closes": ({ host }) => {
    void host.close();
  },
  "the host aborts": ({ host }) => {
    host.abort();
  },
  "the handler is done": ({ handler }) => {
    handler.finish();
  },
  "the handler throws NOT_FOUND": ({ handler }) => {
    handler.finish(new RpcError(Status.NOT_FOUND, "no"));
  },
  "the handler throws an Error": ({ handler }) => {
    handler.finish(new Error("secret"));
  },
};

/** How the peer sees the call: the name of its status, `malformed`, or nothing. */
function answerTo({ peer, state }: Situation): string | undefined {
  const ends = peer.received.filter(({ type, callId }) => type === RecordType.END && callId === id);
  const expected = state === "ended" ? 1 : 0;
  expect(ends.length).toBeLessThanOrEqual(expected + 1);
  if (ends.length > expected) return statusName(ends.at(-1)!.aux);
  const refused = peer.received.find(({ type, callId }) => type === RecordType.REFUSE && callId === 0);
  return refused?.aux === RefuseReason.MALFORMED ? "malformed" : undefined;
}

/** Sends what makes an open call end well, and waits for it. */
async function endWell(at: Situation, event: string): Promise<void> {
  const { peer, tag, handler, state } = at;
  // Another call has taken the id of the one that had ended.
  if (state === "gathering" || state === "ended") {
    const rest = event === "DATA with a message" ? data(id, Flag.END) : data(id, Flag.END | Flag.MESSAGE);
    peer.send(batch(tag, rest));
  }
  handler.finish();
  await peer.until(() => answerTo(at));
  expect(answerTo(at)).toBe("OK");
}

const cells = stateTable("callee").filter(({ expected }) => expected !== "impossible");
const handlings = byName(
  stateTable("callee").map(({ event }) => event),
  events,
);

describe("a call on the callee's side", () => {
  test.each(cells)("$state: $event: $expected", async ({ state, event, expected }) => {
    const at = await situation(state, event === "the deadline passes" ? deadlineMs : 0);
    const { host, peer, tag, handler } = at;
    const counter = (): number => host.counters["record of an ended call"] ?? 0;
    const before = counter();
    const records = handlings.get(event)!(at);
    if (records) peer.send(batch(tag, ...records));
    if (event === "the deadline passes") await new Promise((resolve) => setTimeout(resolve, 2 * deadlineMs));
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    const answer = answerTo(at);

    if (expected === "open") {
      expect(answer).toBeUndefined();
      await endWell(at, event);
    } else if (expected === "silent") {
      expect(answer).toBeUndefined();
      if (handler.context) expect(handler.context.signal.aborted).toBe(true);
    } else if (expected === "ignored" || expected === "counted") {
      expect(answer).toBeUndefined();
      expect(counter() - before).toBe(expected === "counted" ? 1 : 0);
    } else expect(answer).toBe(expected);

    // Whatever happened: what the handler says now is not sent, and it was entered once at most.
    if (expected !== "open") {
      const sent = peer.received.length;
      handler.finish();
      for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
      expect(peer.received.slice(sent).filter(({ callId }) => callId === id)).toEqual([]);
    }
    expect(handler.entered).toBeLessThanOrEqual(1);
    host.abort();
    await host.closed;
    await peer[Symbol.asyncDispose]();
  });
});
