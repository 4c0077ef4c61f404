import { memory } from "@zerobind/core";
import type { Attachment, Link, LinkReceiver, MessageInit } from "@zerobind/core";
import { CallHeader, Hello, Welcome } from "../../src/gen/zerobind/v1/wire.pb.ts";
import { BatchWriter } from "../../src/batch-writer.ts";
import { BatchReader, Flag, RecordType, longMeta, recordHeaderBytes } from "../../src/records.ts";
import { rawType } from "../../src/message.ts";

/** A record as a test writes and reads it. */
export interface RawRecord {
  readonly type: number;
  readonly flags?: number;
  readonly callId?: number;
  readonly aux?: number;
  readonly meta?: Uint8Array;
  readonly body?: Uint8Array;
}

/** A record that came, with the tag of its batch. */
export interface ReceivedRecord extends Required<RawRecord> {
  readonly tag: number;
}

/** One batch of records as a frame. */
export function batch(tag: number, ...records: RawRecord[]): Uint8Array {
  return batchOf(tag, records);
}

/** The same for more records than a function can have arguments. */
export function batchOf(tag: number, records: readonly RawRecord[]): Uint8Array {
  const writer = BatchWriter.take();
  for (const { type, flags = 0, callId = 0, aux = 0, meta = new Uint8Array(), body = new Uint8Array() } of records) {
    const start = writer.skip(recordHeaderBytes);
    writer.raw(meta).raw(body);
    writer.recordHeader(start, type, flags, Math.min(meta.length, longMeta), callId, aux);
  }
  const frame = writer.batch(records.length, tag);
  writer.release();
  return frame;
}

/** HELLO as an honest client says it, with what a test wants to be different. */
export function hello(changes: MessageInit<Hello> = {}): RawRecord {
  const init = { maxVersion: 1, minVersion: 1, sessionId: new Uint8Array(16), encoding: "protobuf", ...changes };
  return { type: RecordType.HELLO, meta: Hello.encode(Hello.fromPartial(init)).finish() };
}

/** WELCOME as an honest server says it, with what a test wants to be different. */
export function welcome(changes: MessageInit<Welcome> = {}): RawRecord {
  const init = { version: 1, maxConcurrentCalls: 1000, ...changes };
  return { type: RecordType.WELCOME, meta: Welcome.encode(Welcome.fromPartial(init)).finish() };
}

/** The records of a message that one of our ends has sent. */
export function recordsOf(frames: readonly Uint8Array[]): ReceivedRecord[] {
  const records: ReceivedRecord[] = [];
  const reader = new BatchReader(frames);
  while (reader.next()) {
    const { type, flags, callId, aux, tag } = reader;
    records.push({ tag, type, flags, callId, aux, meta: reader.meta(rawType), body: reader.bodyView() });
  }
  return records;
}

/** A unary CALL, with what a test wants to be different. */
export function rawCall(callId: number, path: string, changes: Partial<RawRecord> = {}): RawRecord {
  return {
    type: RecordType.CALL,
    flags: Flag.END | Flag.MESSAGE,
    callId,
    meta: CallHeader.encode(CallHeader.fromPartial({ path })).finish(),
    ...changes,
  };
}

/** What happened to a raw peer so far. */
interface PeerState {
  readonly links: Link[];
  readonly received: ReceivedRecord[];
  lost: number;
  /** The session for which all that comes is granted anew; 0: nothing is. */
  granting: number;
  changed: () => void;
}

function watchLink(state: PeerState): LinkReceiver {
  return {
    receive(frames) {
      for (const record of recordsOf(frames)) state.received.push(record);
      const aux = frames.reduce((sum, { byteLength }) => sum + byteLength, 0);
      if (state.granting !== 0) state.links.at(-1)!.send([batch(state.granting, { type: RecordType.CREDIT, aux })]);
      state.changed();
    },
    lost() {
      state.lost += 1;
      state.changed();
    },
  };
}

/** A peer that speaks records and keeps to no rule; either side of a connection over the memory transport. */
export class RawPeer implements AsyncDisposable {
  readonly address: string;
  readonly #attachment: Attachment;
  readonly #state: PeerState;

  private constructor(attachment: Attachment, state: PeerState) {
    this.address = attachment.address;
    this.#attachment = attachment;
    this.#state = state;
  }

  static async open(mode: "bind" | "connect", address: string): Promise<RawPeer> {
    const state: PeerState = { links: [], received: [], lost: 0, granting: 0, changed: () => undefined };
    const listener = {
      accept(link: Link) {
        state.links.push(link);
        queueMicrotask(() => state.changed());
        return watchLink(state);
      },
      trouble: () => undefined,
    };
    return new RawPeer(await memory().attach(address, { mode, maxFrameBytes: 1 << 20 }, listener), state);
  }

  get received(): readonly ReceivedRecord[] {
    return this.#state.received;
  }

  /** Connections that the other end has closed. */
  get lost(): number {
    return this.#state.lost;
  }

  /** Connections that there have been. */
  get links(): number {
    return this.#state.links.length;
  }

  /** Ends a link, counted from the first; the newest unless it is said which. */
  hangUp(index = -1): void {
    this.#state.links.at(index)!.close();
  }

  /** Sends frames on a link, counted from the first. */
  sendOn(index: number, ...frames: Uint8Array[]): void {
    this.#state.links.at(index)!.send(frames);
  }

  /** From now on grants anew whatever comes, as soon as it comes. */
  grantAll(tag: number): void {
    this.#state.granting = tag;
  }

  /** Makes whoever waits look again. */
  poke(): void {
    this.#state.changed();
  }

  /** Sends frames on the newest link. */
  send(...frames: Uint8Array[]): void {
    this.#state.links.at(-1)!.send(frames);
  }

  /** Waits until something holds, looking whenever anything happens. */
  async until<T>(find: () => T | undefined | false): Promise<T> {
    for (;;) {
      const found = find();
      if (found !== undefined && found !== false) return found;
      await new Promise<void>((resolve) => (this.#state.changed = resolve));
    }
  }

  /** The first record of a type that comes, now or earlier. */
  record(type: number, matches: (record: ReceivedRecord) => boolean = () => true): Promise<ReceivedRecord> {
    return this.until(() => this.received.find((record) => record.type === type && matches(record)));
  }

  /** Waits for a link, says HELLO, and resolves with the tag of WELCOME. */
  async greet(changes: MessageInit<Hello> = {}): Promise<number> {
    await this.until(() => this.#state.links.length > 0);
    this.send(batch(0, hello(changes)));
    return (await this.record(RecordType.WELCOME)).tag;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#attachment.close(0);
  }
}
