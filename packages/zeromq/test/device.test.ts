import { expect, test } from "@jest/globals";
import { Channel, QueueDevice, ServiceHost, binding } from "@zerobind/core";
import { zeromq } from "@zerobind/zeromq";
import { Request } from "zeromq";
import { PingReply, PingRequest, EchoReply, EchoRequest } from "../../core/test/gen/test/v1/behavior.pb.ts";
import { Behavior } from "../../core/test/gen/test/v1/behavior.rpc.ts";
import { BehaviorService } from "../../core/test/support/behavior-handler.ts";
import { StatusMessage, PlainHeader } from "@zerobind/core";
import { raw, track } from "./support.ts";

const stack = binding(zeromq({ reconnectMinMs: 20, reconnectMaxMs: 200 }));

async function openDevice(options: Partial<ConstructorParameters<typeof QueueDevice>[0]> = {}) {
  const device = new QueueDevice({
    frontend: "tcp://127.0.0.1:*",
    backend: "tcp://127.0.0.1:*",
    binding: stack,
    ...options,
  });
  await device.open();
  track({ close: () => (device.abort(), device.closed) });
  const [frontend = "", backend = ""] = [device.addresses.frontend[0], device.addresses.backend[0]];
  return { device, frontend, backend };
}

async function worker(backend: string, service = new BehaviorService()) {
  const host = new ServiceHost({ binding: stack, onError: () => undefined });
  host.serve(Behavior, service);
  await host.open({ address: backend, attach: "connect" });
  track({ close: () => (host.abort(), host.closed) });
  return host;
}

function client(frontend: string) {
  const channel = new Channel(frontend, { binding: stack });
  track({ close: () => (channel.abort(), channel.closed) });
  return channel.client(Behavior);
}

function req(frontend: string): Request {
  const socket = raw(new Request({ receiveTimeout: 5_000 }));
  socket.connect(frontend);
  return socket;
}

async function ask(socket: Request, method: string, body: Uint8Array, header?: Uint8Array): Promise<Buffer[]> {
  await socket.send([`test.v1.Behavior/${method}`, body, ...(header ? [header] : [])]);
  return await socket.receive();
}

test("a worker that drains is let go as soon as it has answered", async () => {
  const { frontend, backend, device } = await openDevice();
  const service = new BehaviorService();
  const host = await worker(backend, service);
  const reply = client(frontend).echo({ text: "x", delayMs: 100 });
  await service.next("started");
  const startedMs = performance.now();
  await host.close();
  expect((await reply).text).toBe("x");
  expect(performance.now() - startedMs).toBeLessThan(2_000);
  expect(device.status.workers).toBe(0);
});

test("plain clients get their answers, and wait for a worker as others do", async () => {
  const { frontend, backend, device } = await openDevice();
  const asked = ask(req(frontend), "Ping", PingRequest.encode({ sequence: 5 }).finish());
  const metadata = [{ key: "echo-header", value: { $case: "text" as const, value: "h" } }];
  const header = PlainHeader.encode(PlainHeader.fromPartial({ metadata })).finish();
  const echoed = ask(
    req(frontend),
    "Echo",
    EchoRequest.encode(EchoRequest.fromPartial({ text: "plain" })).finish(),
    header,
  );
  while (device.status.held < 2) await new Promise((resolve) => setImmediate(resolve));
  await worker(backend);
  const [status, body] = await asked;
  expect([status!.length, PingReply.decode(body!)]).toEqual([0, { sequence: 5 }]);
  const [, reply, blocks] = await echoed;
  expect(EchoReply.decode(reply!).text).toBe("plain");
  expect(PlainHeader.decode(blocks!).metadata).toEqual(metadata);
  expect(device.status).toMatchObject({ running: 0, held: 0 });
});

test("plain clients are told what went wrong", async () => {
  const { frontend, backend } = await openDevice();
  const late = PlainHeader.encode(PlainHeader.fromPartial({ timeoutMs: 100 })).finish();
  const codeOf = ([status]: Buffer[]): unknown => StatusMessage.decode(status!);
  expect(codeOf(await ask(req(frontend), "Ping", new Uint8Array(), late))).toMatchObject({
    code: 4,
    message: expect.stringMatching(/no worker for test\.v1\.Behavior\/Ping was there/),
  });
  await worker(backend);
  expect(codeOf(await ask(req(frontend), "Fail", Uint8Array.of(8, 10)))).toMatchObject({ code: 10 });
  expect(codeOf(await ask(req(frontend), "Count", Uint8Array.of(8, 10)))).toMatchObject({
    code: 12,
    message: expect.stringMatching(/answers with a stream/),
  });
  const slow = EchoRequest.encode(EchoRequest.fromPartial({ delayMs: 60_000 })).finish();
  expect(codeOf(await ask(req(frontend), "Echo", slow, late))).toMatchObject({ code: 4 });
  const [status] = await ask(req(frontend), "Ping", new Uint8Array());
  expect(status).toHaveLength(0);
});

test("a plain client that goes takes its call along", async () => {
  const { frontend, backend } = await openDevice();
  const service = new BehaviorService();
  await worker(backend, service);
  const socket = req(frontend);
  await socket.send([
    "test.v1.Behavior/Echo",
    EchoRequest.encode(EchoRequest.fromPartial({ delayMs: 60_000 })).finish(),
  ]);
  await service.next("started");
  const aborted = service.next("aborted");
  socket.close();
  await aborted;
});

test("a device that was restarted is found again by both sides", async () => {
  const first = await openDevice();
  await worker(first.backend);
  const calls = client(first.frontend);
  expect(await calls.ping({ sequence: 1 })).toEqual({ sequence: 1 });
  first.device.abort();
  await first.device.closed;
  const waiting = calls.ping({ sequence: 2 }, { waitForReady: true, timeoutMs: 10_000 });
  await openDevice({ frontend: first.frontend, backend: first.backend });
  expect(await waiting).toEqual({ sequence: 2 });
});

test("a device and its workers may be in one process, over inproc", async () => {
  const { frontend } = await openDevice({ backend: "inproc://device-workers" });
  await worker("inproc://device-workers");
  expect(await client(frontend).ping({ sequence: 3 })).toEqual({ sequence: 3 });
});

test("addresses beyond the machine need insecure", () => {
  const make = (options: object) => () =>
    new QueueDevice({ frontend: "tcp://127.0.0.1:*", backend: "tcp://0.0.0.0:*", binding: stack, ...options });
  expect(make({})).toThrow(/insecure: true/);
});
