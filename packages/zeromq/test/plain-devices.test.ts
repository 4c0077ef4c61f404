import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { Channel, QueueDevice, binding } from "@zerobind/core";
import { plainWorkers, zeromq } from "@zerobind/zeromq";
import { Reply, Request } from "zeromq";
import { unary } from "./plain-support.ts";
import { pythonPeer, withPython } from "./python.ts";
import { raw, track } from "./support.ts";

const stack = binding(zeromq({ reconnectMinMs: 20, reconnectMaxMs: 100 }));

async function plainDevice(): Promise<QueueDevice> {
  const device = new QueueDevice({
    frontend: "tcp://127.0.0.1:*",
    backend: "tcp://127.0.0.1:*",
    plainBackend: "tcp://127.0.0.1:*",
    binding: stack,
    plainBinding: binding(plainWorkers()),
  });
  await device.open();
  return track(device);
}

/** A REP that connects, echoes, and notes what it was asked. */
function worker(address: string, pauseMs = 0): { readonly socket: Reply; readonly seen: number[] } {
  const socket = raw(new Reply());
  socket.connect(address);
  const seen: number[] = [];
  void (async () => {
    try {
      for await (const [, body] of socket) {
        seen.push(performance.now());
        if (pauseMs > 0) await delay(pauseMs);
        await socket.send([Buffer.alloc(0), body!]);
      }
    } catch {
      // It was closed.
    }
  })();
  return { socket, seen };
}

test("plain REP workers behind a queue device serve channels and REQ sockets, and those who come before them", async () => {
  const device = await plainDevice();
  const [frontend, plainBackend] = [device.addresses.frontend[0]!, device.addresses.plainBackend[0]!];
  const client = track(new Channel(frontend, { binding: stack })).client(unary);
  const early = client.echo({ text: "early" });
  const req = raw(new Request());
  req.connect(frontend);
  await req.send(["test.v1.Behavior/Echo", Buffer.from("\n\x01A")]);
  await delay(50);
  const workers = [worker(plainBackend, 20), worker(plainBackend, 20)];
  expect(await early).toMatchObject({ text: "early" });
  expect((await req.receive()).map((frame) => frame.toString())).toEqual(["", "\n\x01A"]);
  const many = Array.from({ length: 20 }, (_, index) => client.echo({ text: `n${index}` }));
  const replies = await Promise.all(many);
  expect(replies.map(({ text }) => text)).toEqual(replies.map((_, index) => `n${index}`));
  expect(workers.map(({ seen }) => seen.length).every((count) => count >= 8)).toBe(true);
});

test("a plain worker that leaves takes one call with it, and one whose call was cancelled is left in peace", async () => {
  const device = await plainDevice();
  const client = track(new Channel(device.addresses.frontend[0]!, { binding: stack })).client(unary);
  const [plainBackend] = device.addresses.plainBackend;
  const slow = worker(plainBackend!, 400);
  await expect(client.echo({ text: "x" }, { timeoutMs: 200 })).rejects.toMatchObject({ code: 4 });
  const waiting = client.echo({ text: "waiting" });
  expect(await waiting).toMatchObject({ text: "waiting" });
  expect(slow.seen[1]! - slow.seen[0]!).toBeGreaterThan(350);
  const held = client.echo({ text: "held" });
  while (slow.seen.length < 3) await delay(5);
  slow.socket.close();
  await expect(held).rejects.toMatchObject({ code: 14 });
  worker(plainBackend!);
  expect(await client.echo({ text: "next" })).toMatchObject({ text: "next" });
});

withPython("two REQ and two REP in Python through a queue device take the time of one call", async () => {
  const device = await plainDevice();
  const [frontend, plainBackend] = [device.addresses.frontend[0]!, device.addresses.plainBackend[0]!];
  const rep = `
socket = context.socket(zmq.REP)
socket.connect("${plainBackend}")
while True:
    method, body = socket.recv_multipart()
    time.sleep(0.5)
    socket.send_multipart([b"", body])
`;
  const req = `
socket = context.socket(zmq.REQ)
socket.connect("${frontend}")
for number in (1, 2):
    started = time.time()
    socket.send_multipart([b"a.B/C", b"%d" % number])
    assert socket.recv_multipart() == [b"", b"%d" % number]
    say(time.time() - started)
`;
  pythonPeer(rep);
  pythonPeer(rep);
  const clients = [pythonPeer(req), pythonPeer(req)];
  // The first call also takes the time that Python needs to start.
  await Promise.all(clients.map((client) => client.line()));
  const seconds = await Promise.all(clients.map(async (client) => Number(await client.line())));
  expect(Math.max(...seconds)).toBeLessThan(0.9);
});
