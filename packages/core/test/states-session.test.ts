import { describe, expect, test } from "@jest/globals";
import { ServiceHost, Status, partial } from "@zerobind/core";
import { Flag, RecordType, RefuseReason } from "../src/records.ts";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { Observer, Worker } from "./gen/test/v1/callback.rpc.ts";
import { BehaviorService } from "./support/behavior-handler.ts";
import { HostileServer, call, data, path, under } from "./support/hostile.ts";
import { RawPeer, batch, hello, welcome } from "./support/raw-peer.ts";
import type { RawRecord, ReceivedRecord } from "./support/raw-peer.ts";
import { byName, stateTable } from "./support/state-table.ts";

async function turns(count = 10): Promise<void> {
  for (let left = count; left > 0; left--) await new Promise(setImmediate);
}

/** What is sent for an event: records, and the tag of their batch if it is not the session's; undefined: the link ends. */
type Sent = { readonly records: RawRecord[]; readonly tag?: number } | undefined;

const optional: Sent = { records: [{ type: 99, flags: Flag.OPTIONAL }] };
const unknown: Sent = { records: [{ type: 99 }] };
const ping: Sent = { records: [{ type: RecordType.PING, aux: 5 }] };

function total(counters: Readonly<Record<string, number>>): number {
  return Object.values(counters).reduce((sum, count) => sum + count, 0);
}

describe("the caller's end of a session", () => {
  const cells = stateTable("client session");
  const events: Record<string, Sent> = {
    WELCOME: { records: [welcome()] },
    "WELCOME without a tag": { records: [welcome()], tag: 0 },
    "a batch with another tag": { records: [{ type: RecordType.PONG }], tag: 4711 },
    "REFUSE of the session": { records: [{ type: RecordType.REFUSE, aux: RefuseReason.EXHAUSTED }] },
    GOAWAY: { records: [{ type: RecordType.GOAWAY }] },
    PING: ping,
    "a record of an unknown type": unknown,
    "an OPTIONAL record of an unknown type": optional,
    "CALL with an even id": { records: [call(2, path("Ping"))] },
    "CALL with an odd id": { records: [call(3, path("Ping"))] },
    "CANCEL of no callback": { records: [{ type: RecordType.CANCEL, callId: 4, aux: 1 }] },
    "CANCEL with an odd id": { records: [{ type: RecordType.CANCEL, callId: 5, aux: 1 }] },
    ACK: { records: [{ type: RecordType.ACK, aux: 9 }] },
    "an END of no call": { records: [{ type: RecordType.END, callId: 12_346 }] },
    "the connection is lost": undefined,
  };
  const handlings = byName(
    cells.map(({ event }) => event),
    events,
  );

  test.each(cells)("$state: $event: $expected", async ({ state, event, expected }) => {
    await using server = await HostileServer.open();
    const { peer, channel } = server;
    if (state === "greeting") {
      await channel.open();
      await peer.record(RecordType.HELLO);
    } else {
      await server.greet();
      await server.begun((client) => client.echo({}, { timeoutMs: 30_000 }));
      if (state === "draining") server.send({ type: RecordType.GOAWAY });
      await turns(3);
    }
    const before = total(channel.counters);
    // A session that goes away has a successor; what happens must be seen on the first link.
    const lost = peer.lost;
    const sent = handlings.get(event)!;
    if (sent) peer.sendOn(0, batch(sent.tag ?? server.tag, ...sent.records));
    else peer.hangUp(0);
    await turns();

    const refused = peer.received.some(({ type, aux }) => type === RecordType.REFUSE && aux === RefuseReason.MALFORMED);
    const hasPong = (): boolean => peer.received.some(({ type, aux }) => type === RecordType.PONG && aux === 5);
    // Nothing is served for callbacks.
    const hasEnd = peer.received.some(
      ({ type, callId, aux }) => type === RecordType.END && callId === 2 && aux === Status.UNIMPLEMENTED,
    );
    const answered = hasPong() || hasEnd;
    const counted = total(channel.counters) - before;
    const isOver = peer.lost > lost || !sent;
    const seen = { refused, answered, counted: refused || answered ? 0 : counted, isOver };
    const calm = { refused: false, answered: false, counted: 0, isOver: false };
    const expectations: Record<string, typeof seen> = {
      open: calm,
      draining: calm,
      ignored: calm,
      "answered once open": calm,
      answered: { ...calm, answered: true },
      counted: { ...calm, counted: 1 },
      over: { ...calm, isOver: true },
      malformed: { ...calm, refused: true, isOver: true },
    };
    expect(seen).toEqual(expectations[expected]);
    expect(channel.connected).toBe(
      state !== "greeting" ? !isOver && state !== "draining" && expected !== "draining" : expected === "open",
    );
    // Of the greeting, the server has said its part.
    if (expected !== "open") await server.politely();
    if (expected === "answered once open") expect(hasPong()).toBe(true);
  });
});

describe("the server's end of a session", () => {
  const cells = stateTable("server session");
  const events: Record<string, Sent> = {
    HELLO: { records: [hello()], tag: 0 },
    "HELLO twice in a batch": { records: [hello(), hello()], tag: 0 },
    "HELLO with another version": { records: [hello({ minVersion: 9, maxVersion: 9 })], tag: 0 },
    "HELLO with another encoding": { records: [hello({ encoding: "json" })], tag: 0 },
    "a batch with another tag": { records: [{ type: RecordType.PONG }], tag: 4711 },
    "CALL with an odd id": { records: [call(7, path("Ping"))] },
    "CALL with an even id": { records: [call(8, path("Ping"))] },
    "DATA of no call": { records: [data(12_345)] },
    "CANCEL of no call": { records: [{ type: RecordType.CANCEL, callId: 12_345, aux: 1 }] },
    "END of no callback": { records: [{ type: RecordType.END, callId: 12_346 }] },
    "REFUSE of no callback": { records: [{ type: RecordType.REFUSE, callId: 12_346, aux: Status.UNAVAILABLE }] },
    ACK: { records: [{ type: RecordType.ACK, aux: 9 }] },
    "REFUSE of the session": { records: [{ type: RecordType.REFUSE, aux: RefuseReason.MALFORMED }] },
    PING: ping,
    WELCOME: { records: [welcome()] },
    "a record of an unknown type": unknown,
    "an OPTIONAL record of an unknown type": optional,
    "the connection is lost": undefined,
  };
  const handlings = byName(
    cells.map(({ event }) => event),
    events,
  );

  test.each(cells)("$state: $event: $expected", async ({ state, event, expected }) => {
    const host = new ServiceHost({ binding: under.binding, drainTimeoutMs: 10_000 });
    const caller = partial(Worker, { wait: (_request, context) => context.callback(Observer).hang({}) });
    await host.serve(Behavior, new BehaviorService()).serve(Worker, caller).open("memory://*");
    const peer = await RawPeer.open("connect", host.address);
    await peer.until(() => peer.links > 0);
    const tag = state === "new" ? 0 : await peer.greet();
    if (state === "calling back") {
      peer.send(batch(tag, call(1, "test.v1.Worker/Wait")));
      expect((await peer.record(RecordType.CALL)).callId & 1).toBe(0);
    } else if (state === "draining") {
      // A call keeps the session.
      peer.send(batch(tag, call(1, path("Sum"), { flags: 0 })));
      await turns(3);
      void host.close();
      await peer.record(RecordType.GOAWAY);
    }
    const from = peer.received.length;
    const before = total(host.counters);
    const sent = handlings.get(event)!;
    if (sent) peer.send(batch(sent.tag ?? tag, ...sent.records));
    else peer.hangUp();
    await turns();
    const answers = peer.received.slice(from);
    const seen = answers.map((record) => inWords(record, tag)).join(", ");
    const isOver = peer.lost > 0 || !sent;

    const [word, ending] = expected.split(", ");
    const overAs = ["malformed", "VERSION", "MISMATCH", "DRAINING", "over"];
    expect(isOver).toBe(ending === "over" || overAs.includes(word!));
    const words: Record<string, string> = { malformed: "MALFORMED", over: "", ignored: "", counted: "" };
    expect(seen).toBe(words[word!] ?? word);
    if (word === "counted") expect(total(host.counters) - before).toBe(1);
    host.abort();
    await host.closed;
    await peer[Symbol.asyncDispose]();
  });

  test.each<[string, Partial<RawRecord>, number]>([
    ["refuses for a while", { type: RecordType.REFUSE, aux: Status.UNAVAILABLE }, Status.UNAVAILABLE],
    ["refuses", { type: RecordType.REFUSE, aux: Status.RESOURCE_EXHAUSTED }, Status.RESOURCE_EXHAUSTED],
    ["ends NOT_FOUND", { type: RecordType.END, flags: Flag.END, aux: Status.NOT_FOUND }, Status.NOT_FOUND],
    ["ends well", { type: RecordType.END, flags: Flag.END | Flag.MESSAGE }, Status.OK],
  ])("a call back that the client %s ends once, and is never sent again", async (_name, answer, status) => {
    const caller = partial(Worker, { wait: (_request, context) => context.callback(Observer).hang({}) });
    await using host = new ServiceHost({ binding: under.binding }).serve(Worker, caller);
    await host.open("memory://*");
    await using peer = await RawPeer.open("connect", host.address);
    const tag = await peer.greet();
    peer.send(batch(tag, call(1, "test.v1.Worker/Wait")));
    const { callId } = await peer.record(RecordType.CALL);
    const record = { type: RecordType.END, ...answer, callId };
    const before = total(host.counters);
    peer.send(batch(tag, record, record));
    expect((await peer.record(RecordType.END, (each) => each.callId === 1)).aux).toBe(status);
    await turns();
    expect(peer.received.filter(({ type }) => type === RecordType.CALL)).toHaveLength(1);
    // The second answer found no call.
    expect(total(host.counters) - before).toBe(1);
  });

  /** An answer of the host, in the words of the table. */
  function inWords({ type, aux, callId, tag }: ReceivedRecord, sessionTag: number): string {
    if (type === RecordType.WELCOME) return tag !== sessionTag && sessionTag !== 0 ? "serving anew" : "serving";
    if (type === RecordType.END || type === RecordType.PONG) return "answered";
    if (type === RecordType.REFUSE && callId !== 0) return "refused";
    const reason = Object.entries(RefuseReason).find(([, number]) => number === aux);
    return type === RecordType.REFUSE && reason ? reason[0] : `record of type ${type}`;
  }
});
