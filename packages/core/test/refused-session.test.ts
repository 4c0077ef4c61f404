import { expect, test } from "@jest/globals";
import { Channel, Status, binding, memory } from "@zerobind/core";
import { unauthenticatedBatch } from "../src/link-auth.ts";
import { RecordType } from "../src/records.ts";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { RawPeer, batch, welcome } from "./support/raw-peer.ts";

test("a server that refuses a channel takes nothing from the calls that wait for another", async () => {
  await using channel = new Channel("memory://*", { attach: "bind", binding: binding(memory()) });
  await channel.open();
  const client = channel.client(Behavior);
  await using busy = await RawPeer.open("connect", channel.address);
  await busy.until(() => busy.received.some(({ type }) => type === RecordType.HELLO));
  busy.send(batch(1, welcome({ maxConcurrentCalls: 1 })));
  const first = client.echo({ text: "1" }).catch(() => undefined);
  await busy.until(() => busy.received.some(({ type }) => type === RecordType.CALL));
  await using hostile = await RawPeer.open("connect", channel.address);
  await hostile.until(() => hostile.received.some(({ type }) => type === RecordType.HELLO));
  hostile.send(unauthenticatedBatch("go away"));
  await hostile.until(() => hostile.lost > 0);
  await expect(client.echo({ text: "2" }, { timeoutMs: 100 })).rejects.toMatchObject({
    code: Status.DEADLINE_EXCEEDED,
  });
  await channel.abort();
  await first;
});
