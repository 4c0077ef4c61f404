import { expect } from "@jest/globals";
import { Channel, PushStream, binding, memory } from "@zerobind/core";
import type { ChannelOptions, MessageInit } from "@zerobind/core";
import { EndHeader, CallHeader, Refusal } from "../../src/gen/zerobind/v1/wire.pb.ts";
import type { Welcome } from "../../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType } from "../../src/records.ts";
import { PingReply } from "../gen/test/v1/behavior.pb.ts";
import type { Line } from "../gen/test/v1/behavior.pb.ts";
import { Behavior } from "../gen/test/v1/behavior.rpc.ts";
import type { BehaviorClient } from "../gen/test/v1/behavior.rpc.ts";
import { openPair } from "./pair.ts";
import type { Pair, PairOptions, TransportUnderTest } from "./pair.ts";
import { RawPeer, batch, welcome } from "./raw-peer.ts";
import type { RawRecord } from "./raw-peer.ts";

export const under: TransportUnderTest = { binding: binding(memory()), address: () => "memory://*" };
export const unary: number = Flag.END | Flag.MESSAGE;
/** Flags of a fragment that is not the last, and the least that it may have. */
export const fragment: number = Flag.MESSAGE | Flag.MORE;
export const leastFragment = new Uint8Array(4096);

/** The path of a method of Behavior. */
export function path(method: string): string {
  return `test.v1.Behavior/${method}`;
}

/** A CALL that is honest but for what a test changes. */
export function call(callId: number, to: string, changes: Partial<RawRecord> = {}): RawRecord {
  const meta = CallHeader.encode(CallHeader.fromPartial({ path: to })).finish();
  return { type: RecordType.CALL, flags: unary, callId, meta, ...changes };
}

/** A DATA record; the whole of a message unless the flags say otherwise. */
export function data(callId: number, flags: number = Flag.MESSAGE, body: Uint8Array = new Uint8Array()): RawRecord {
  return { type: RecordType.DATA, flags, callId, body };
}

/** What a host answered to a session. */
export async function refusal(peer: RawPeer): Promise<{ reason: number; message: string }> {
  const { aux, meta } = await peer.record(RecordType.REFUSE, ({ callId }) => callId === 0);
  return { reason: aux, message: Refusal.decode(meta).message };
}

/** How a host ended a call. */
export async function statusOf(peer: RawPeer, id: number): Promise<{ code: number; message: string }> {
  const { aux, meta } = await peer.record(RecordType.END, ({ callId }) => callId === id);
  return { code: aux, message: EndHeader.decode(meta).message };
}

/**
 * Runs against a host, on which a polite client has a stream open all the while: afterwards that very stream and calls
 * beside it must still work, and nothing may have been reported to the host.
 */
export async function againstHost(
  run: (peer: RawPeer, pair: Pair) => Promise<void>,
  options: PairOptions["host"] = {},
): Promise<void> {
  await using pair = await openPair(under, { host: options });
  const lines = new PushStream<MessageInit<Line>>();
  const replies = pair.client.relay(lines, { timeoutMs: Infinity });
  await lines.push({ number: 1 });
  expect((await replies.next()).value).toMatchObject({ number: 1 });
  await using peer = await RawPeer.open("connect", pair.host.address);
  await peer.until(() => peer.links > 0);
  await run(peer, pair);
  expect(await pair.client.ping({ sequence: 1 })).toEqual({ sequence: 1 });
  await lines.push({ number: 2 });
  expect((await replies.next()).value).toMatchObject({ number: 2 });
  lines.end();
  expect(await replies.next()).toMatchObject({ done: true });
  expect(pair.failures).toEqual([]);
}

/** A server that keeps to no rule, and a real channel to it, which tries nothing again unless its options say so. */
export class HostileServer implements AsyncDisposable {
  readonly peer: RawPeer;
  readonly channel: Channel;
  readonly client: BehaviorClient;
  /** What the channel's onTrouble was told. */
  readonly troubles: string[] = [];
  readonly tag: number = 77;
  #answered = 0;
  #welcomed = 0;

  private constructor(peer: RawPeer, options: Omit<ChannelOptions, "binding">) {
    this.peer = peer;
    const onTrouble = (problem: string): void => void this.troubles.push(problem);
    this.channel = new Channel(peer.address, {
      binding: under.binding,
      connectTimeoutMs: 2000,
      retry: false,
      onTrouble,
      ...options,
    });
    this.client = this.channel.client(Behavior);
  }

  static async open(options: Omit<ChannelOptions, "binding"> = {}): Promise<HostileServer> {
    return new HostileServer(await RawPeer.open("bind", "memory://*"), options);
  }

  /** Waits for HELLO and says WELCOME. */
  async greet(changes: MessageInit<Welcome> = {}): Promise<void> {
    await this.channel.open();
    await this.peer.record(RecordType.HELLO);
    this.#welcomed = this.#hellos;
    this.send(welcome(changes));
    await this.peer.until(() => this.channel.connected || this.#look());
  }

  send(...records: RawRecord[]): void {
    this.peer.send(batch(this.tag, ...records));
  }

  /** Starts a call and tells its id once its CALL is here. */
  async begun<T>(start: (client: BehaviorClient) => T): Promise<{ outcome: T; id: number }> {
    const before = this.peer.received.length;
    const outcome = start(this.client);
    if (outcome instanceof Promise) outcome.catch(() => undefined);
    const isNew = (index: number): boolean => index >= before;
    const { callId } = await this.peer.until(() =>
      this.peer.received.find(({ type }, index) => type === RecordType.CALL && isNew(index)),
    );
    return { outcome, id: callId };
  }

  /** Behaves from now on; a call must then be answered, on this connection or on another one. */
  async politely(): Promise<void> {
    let over = false;
    this.#answered = this.peer.received.length;
    const reply = this.client.ping({ sequence: 5 }, { waitForReady: true, timeoutMs: 5000 }).finally(() => {
      over = true;
      this.peer.poke();
    });
    reply.catch(() => undefined);
    await this.peer.until(() => {
      this.#answer();
      return over;
    });
    expect(await reply).toEqual({ sequence: 5 });
    expect(this.troubles.filter((problem) => problem.includes("internal error"))).toEqual([]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.channel.abort();
    await this.channel.closed;
    await this.peer[Symbol.asyncDispose]();
  }

  get #hellos(): number {
    return this.peer.received.filter(({ type }) => type === RecordType.HELLO).length;
  }

  #answer(): void {
    const { received } = this.peer;
    if (this.#hellos > this.#welcomed) {
      this.#welcomed = this.#hellos;
      this.send(welcome());
    }
    while (this.#answered < received.length) {
      const { type, callId } = received[this.#answered++]!;
      const body = PingReply.encode({ sequence: 5 }).finish();
      if (type === RecordType.CALL) this.send({ type: RecordType.END, flags: unary, callId, body });
    }
  }

  /** Nothing tells that a channel has become connected; it is looked at again a turn later. */
  #look(): false {
    setImmediate(() => this.peer.poke());
    return false;
  }
}
