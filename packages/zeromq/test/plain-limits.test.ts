import { expect, test } from "@jest/globals";
import { ServiceHost, Status, StatusMessage, binding } from "@zerobind/core";
import type { PlainRequest } from "@zerobind/core";
import { Dealer } from "zeromq";
import { Behavior } from "../../core/test/gen/test/v1/behavior.rpc.ts";
import { EchoRequest } from "../../core/test/gen/test/v1/behavior.pb.ts";
import { BehaviorService } from "../../core/test/support/behavior-handler.ts";
import { zeromq } from "../src/index.ts";
import { bind, End, raw, track } from "./support.ts";

const path = "test.v1.Behavior/Echo";

/** What became of each plain call of a DEALER, by the code of its status. */
async function outcomes(dealer: Dealer, count: number): Promise<Map<number, number>> {
  const codes = new Map<number, number>();
  for (let index = 0; index < count; index++) {
    const [, status] = await dealer.receive();
    const code = status!.length === 0 ? Status.OK : StatusMessage.decode(status!).code;
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  return codes;
}

test.each(["tcp://127.0.0.1:0", "ipc://*"])("a request whose caller goes is told so, over %s", async (address) => {
  const server = await bind(address);
  const dealer = raw(new Dealer());
  dealer.connect(server.address);
  await dealer.send(["", path, ""]);
  const request = await server.plain.next();
  const gone = new Promise<string>((resolve) => request.onGone(resolve));
  dealer.close();
  expect(await gone).toBe("the peer disconnected");
  expect(request.reply(Buffer.from("late"), undefined, undefined)).toBe(false);
});

test("a request that is answered is told nothing more", async () => {
  const server = await bind("tcp://127.0.0.1:0");
  const [dealer, other] = [raw(new Dealer()), raw(new Dealer())];
  for (const each of [dealer, other]) {
    each.connect(server.address);
    await each.send(["", path, ""]);
  }
  const [first, second] = [await server.plain.next(), await server.plain.next()];
  const told: string[] = [];
  first.onGone((reason) => told.push(reason));
  first.reply(Buffer.from("x"), undefined, undefined);
  const gone = new Promise<string>((resolve) => second.onGone(resolve));
  dealer.close();
  other.close();
  await gone;
  expect(told).toEqual([]);
});

test("the handler of a plain call is aborted when its caller goes", async () => {
  const service = new BehaviorService();
  const host = new ServiceHost({ binding: binding(zeromq()) });
  host.serve(Behavior, service);
  await host.open("tcp://127.0.0.1:0");
  track({ close: () => host.close() });
  const dealer = raw(new Dealer());
  dealer.connect(host.address);
  const [started, aborted] = [service.next("started"), service.next("aborted")];
  await dealer.send(["", path, EchoRequest.encode(EchoRequest.fromPartial({ delayMs: 60_000 })).finish()]);
  await started;
  dealer.close();
  expect(String(await aborted)).toContain("the peer disconnected");
});

test("a connection may have 1,000 plain requests open; more are refused, and the others live", async () => {
  const server = await bind("tcp://127.0.0.1:0");
  const dealer = raw(new Dealer({ sendHighWaterMark: 0 }));
  dealer.connect(server.address);
  for (let index = 0; index < 1010; index++) await dealer.send(["", path, ""]);
  expect(await outcomes(dealer, 10)).toEqual(new Map([[Status.RESOURCE_EXHAUSTED, 10]]));
  for (const request of server.plain.all) request.reply(Buffer.from("x"), undefined, undefined);
  expect(await outcomes(dealer, 1000)).toEqual(new Map([[Status.OK, 1000]]));
});

test("a peer that asks for large replies and does not read them gets no more than 256 MiB of them", async () => {
  const server = new End();
  server.acceptPlain = (request: PlainRequest) => {
    server.plain.push(request);
    request.reply(new Uint8Array(4 * 1024 * 1024), undefined, undefined);
  };
  await bind("tcp://127.0.0.1:0", { end: server });
  const dealer = raw(new Dealer({ sendHighWaterMark: 0, receiveHighWaterMark: 1 }));
  dealer.connect(server.address);
  for (let index = 0; index < 100; index++) await dealer.send(["", path, ""]);
  while (server.plain.all.length < 100) await server.plain.next();
  const codes = await outcomes(dealer, 100);
  // The network's buffers hold some MiB, which count no more once they are collected.
  expect(codes.get(Status.RESOURCE_EXHAUSTED)).toBeGreaterThan(20);
  expect(codes.get(Status.OK)).toBeGreaterThanOrEqual(63);
});
