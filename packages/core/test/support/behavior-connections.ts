import { expect, test } from "@jest/globals";
import { Channel, ServiceHost, Status } from "@zerobind/core";
import { Behavior } from "../gen/test/v1/behavior.rpc.ts";
import { BehaviorService } from "./behavior-handler.ts";
import { failureOf } from "./failure.ts";
import { openPair } from "./pair.ts";
import type { TransportUnderTest } from "./pair.ts";

/** Connections: found, lost, drained, several, and either way round. */
export function connectionTests(under: TransportUnderTest): void {
  test("a client that starts first gets its answer when the server appears", async () => {
    const address = await freeAddress(under);
    await using channel = new Channel(address, { binding: under.binding });
    const reply = channel.client(Behavior).ping({ sequence: 7 }, { timeoutMs: 15_000 });
    await using host = new ServiceHost({ binding: under.binding }).serve(Behavior, new BehaviorService());
    await host.open(address);
    expect(await reply).toEqual({ sequence: 7 });
  });

  test("without a server a call ends UNAVAILABLE after the connect timeout, and says where", async () => {
    const address = await freeAddress(under);
    await using channel = new Channel(address, { binding: under.binding, connectTimeoutMs: 50 });
    const error = await failureOf(channel.client(Behavior).echo({}));
    expect(error.code).toBe(Status.UNAVAILABLE);
    expect(error.message).toContain(address);
    expect(await failureOf(channel.client(Behavior).echo({}, { waitForReady: true, timeoutMs: 100 }))).toMatchObject({
      code: Status.DEADLINE_EXCEEDED,
    });
  });

  test("a server that comes back on the same address is found again", async () => {
    const address = await freeAddress(under);
    await using channel = new Channel(address, { binding: under.binding });
    const client = channel.client(Behavior);
    for (let round = 0; round < 3; round++) {
      await using host = new ServiceHost({ binding: under.binding }).serve(Behavior, new BehaviorService());
      await host.open(address);
      expect(await client.ping({ sequence: round }, { waitForReady: true, timeoutMs: 15_000 })).toEqual({
        sequence: round,
      });
    }
  });

  test("a server that aborts ends its open calls UNAVAILABLE", async () => {
    await using pair = await openPair(under);
    const started = pair.service.next("started");
    const failure = failureOf(pair.client.echo({ delayMs: 60_000 }));
    await started;
    pair.host.abort();
    expect((await failure).code).toBe(Status.UNAVAILABLE);
  });

  test("a server that closes lets open calls finish", async () => {
    await using pair = await openPair(under);
    const started = pair.service.next("started");
    const reply = pair.client.echo({ text: "last", delayMs: 100 });
    await started;
    const closed = pair.host.close();
    expect((await reply).text).toBe("last");
    expect(await closed).toMatchObject({ kind: "closed" });
  });

  test("a channel that closes lets open calls finish, and refuses later ones", async () => {
    await using pair = await openPair(under);
    const reply = pair.client.echo({ text: "last", delayMs: 50 });
    await pair.channel.close();
    expect((await reply).text).toBe("last");
    expect(await failureOf(pair.client.echo({}))).toMatchObject({
      code: Status.UNAVAILABLE,
      message: expect.stringContaining("closed"),
    });
  });

  test("a channel that aborts ends its calls on both ends", async () => {
    await using pair = await openPair(under);
    const started = pair.service.next("started");
    const aborted = pair.service.next("aborted");
    const failure = failureOf(pair.client.echo({ delayMs: 60_000 }));
    await started;
    pair.channel.abort();
    expect((await failure).code).toBe(Status.CANCELLED);
    expect(await aborted).toMatchObject({ code: Status.CANCELLED });
  });

  test("several endpoints of one host serve the same contract", async () => {
    await using host = new ServiceHost({ binding: under.binding }).serve(Behavior, new BehaviorService());
    const addresses = await host.open(under.address(), under.address());
    for (const address of addresses) {
      await using channel = new Channel(address, { binding: under.binding });
      expect(await channel.client(Behavior).ping({ sequence: 1 })).toEqual({ sequence: 1 });
    }
  });

  test("one channel to several addresses uses them in turn", async () => {
    await using one = await openPair(under);
    await using other = await openPair(under);
    await using channel = new Channel([one.host.address, other.host.address], { binding: under.binding });
    const client = channel.client(Behavior);
    for (let round = 0; one.service.entered.size === 0 || other.service.entered.size === 0; round++) {
      expect(round).toBeLessThan(2000);
      await client.echo({});
    }
  });

  test("the client may bind and the server connect, whichever is first", async () => {
    for (const first of ["client", "server"]) {
      const address = await freeAddress(under);
      await using channel = new Channel(address, { binding: under.binding, attach: "bind" });
      await using host = new ServiceHost({ binding: under.binding }).serve(Behavior, new BehaviorService());
      if (first === "client") await channel.open();
      await host.open({ address, attach: "connect" });
      if (first === "server") await channel.open();
      expect(await channel.client(Behavior).ping({ sequence: 3 }, { timeoutMs: 15_000 })).toEqual({ sequence: 3 });
    }
  });
}

/** An address that nobody has bound, but that can be. */
async function freeAddress(under: TransportUnderTest): Promise<string> {
  await using host = new ServiceHost({ binding: under.binding }).serve(Behavior, new BehaviorService());
  await host.open(under.address());
  return host.address;
}
