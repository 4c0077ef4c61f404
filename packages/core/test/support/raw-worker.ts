import type { MessageInit } from "@zerobind/core";
import { Ready } from "../../src/gen/zerobind/v1/wire.pb.ts";
import type { Welcome } from "../../src/gen/zerobind/v1/wire.pb.ts";
import { RecordType } from "../../src/records.ts";
import { RawPeer, batch, welcome } from "./raw-peer.ts";
import type { RawRecord, ReceivedRecord } from "./raw-peer.ts";

/** A worker behind a device that speaks records and keeps to no rule. */
export class RawWorker implements AsyncDisposable {
  readonly peer: RawPeer;
  readonly tag = 99;
  #seen = 0;

  private constructor(peer: RawPeer) {
    this.peer = peer;
  }

  /** Connects to a device and joins it. */
  static async join(
    backend: string,
    changes: MessageInit<Welcome> = {},
    services = ["test.v1.Behavior"],
  ): Promise<RawWorker> {
    const worker = new RawWorker(await RawPeer.open("connect", backend));
    await worker.peer.until(() => worker.peer.links > 0);
    const meta = Ready.encode(Ready.fromPartial({ maxVersion: 1, minVersion: 1, services })).finish();
    worker.peer.send(batch(0, { type: RecordType.READY, meta }));
    await worker.peer.record(RecordType.HELLO);
    worker.send(welcome(changes));
    return worker;
  }

  send(...records: RawRecord[]): void {
    this.peer.send(batch(this.tag, ...records));
  }

  /** The next CALL that comes. */
  async call(): Promise<ReceivedRecord> {
    const index = await this.peer.until(() => {
      const found = this.peer.received.findIndex(({ type }, at) => at >= this.#seen && type === RecordType.CALL);
      return found < 0 ? undefined : { found };
    });
    this.#seen = index.found + 1;
    return this.peer.received[index.found]!;
  }

  /** Dies without a word. */
  die(): void {
    this.peer.hangUp();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.peer[Symbol.asyncDispose]();
  }
}
