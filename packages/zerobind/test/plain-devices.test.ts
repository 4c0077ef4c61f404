import { spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, test } from "@jest/globals";
import { Channel, QueueDevice } from "zerobind";
import { Pull, Push, Reply, Request } from "zeromq";
import { readGreeter } from "./support/greeter.ts";
import { startHere } from "./support/cli.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const python = "/usr/bin/python3";
const withPython = spawnSync(python, ["-c", "import zmq"]).status === 0 ? test : test.skip;

function pythonPeer(script: string): AsyncIterator<string> {
  const child = spawn(python, ["-c", `import sys, time, zmq\ncontext = zmq.Context.instance()\n${script}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  closing.push(() => child.kill("SIGKILL"));
  return createInterface({ input: child.stdout })[Symbol.asyncIterator]();
}

async function plainDevice(): Promise<QueueDevice> {
  const device = new QueueDevice({
    frontend: "tcp://127.0.0.1:*",
    backend: "tcp://127.0.0.1:*",
    plainBackend: "tcp://127.0.0.1:*",
  });
  await device.open();
  closing.push(() => device.close());
  return device;
}

/** A REP that connects, echoes, and notes what it was asked. */
function worker(address: string, pauseMs = 0): { readonly socket: Reply; readonly seen: number[] } {
  const socket = new Reply({ linger: 0 });
  socket.connect(address);
  closing.push(() => socket.close());
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
  const channel = new Channel(frontend);
  closing.push(() => channel.close());
  const greeter = channel.client(await readGreeter());
  // An echo of HelloRequest { name } is HelloReply { text }: both are field 1.
  const early = greeter["sayHello"]!({ name: "early" });
  const req = new Request({ linger: 0 });
  req.connect(frontend);
  closing.push(() => req.close());
  await req.send(["examples.greeter.v1.Greeter/SayHello", Buffer.from("\n\x01A")]);
  await delay(50);
  const workers = [worker(plainBackend, 20), worker(plainBackend, 20)];
  expect(await early).toMatchObject({ text: "early" });
  expect((await req.receive()).map((frame) => frame.toString())).toEqual(["", "\n\x01A"]);
  const many = Array.from({ length: 20 }, (_, index) => greeter["sayHello"]!({ name: `n${index}` }));
  const replies = await Promise.all(many);
  expect(replies.map((reply) => (reply as { text: string }).text)).toEqual(replies.map((_, index) => `n${index}`));
  expect(workers.map(({ seen }) => seen.length).every((count) => count >= 8)).toBe(true);
});

test("a plain worker that leaves takes one call with it, and one whose call was cancelled is left in peace", async () => {
  const device = await plainDevice();
  const channel = new Channel(device.addresses.frontend[0]!);
  closing.push(() => channel.close());
  const greeter = channel.client(await readGreeter());
  const [plainBackend] = device.addresses.plainBackend;
  const slow = worker(plainBackend!, 400);
  await expect(greeter["sayHello"]!({ name: "x" }, { timeoutMs: 200 })).rejects.toMatchObject({ code: 4 });
  const waiting = greeter["sayHello"]!({ name: "waiting" });
  expect(await waiting).toMatchObject({ text: "waiting" });
  expect(slow.seen[1]! - slow.seen[0]!).toBeGreaterThan(350);
  const held = greeter["sayHello"]!({ name: "held" });
  while (slow.seen.length < 3) await delay(5);
  slow.socket.close();
  await expect(held).rejects.toMatchObject({ code: 14 });
  worker(plainBackend!);
  expect(await greeter["sayHello"]!({ name: "next" })).toMatchObject({ text: "next" });
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
    print(time.time() - started, flush=True)
`;
  pythonPeer(rep);
  pythonPeer(rep);
  const clients = [pythonPeer(req), pythonPeer(req)];
  // The first call also takes the time that Python needs to start.
  await Promise.all(clients.map((client) => client.next()));
  const seconds = await Promise.all(clients.map(async (client) => Number((await client.next()).value)));
  expect(Math.max(...seconds)).toBeLessThan(0.9);
});

test("zerobind device streamer hands work on until Ctrl-C, and wrong command lines are told of", async () => {
  const anywhere = ["--frontend", "tcp://127.0.0.1:*", "--backend", "tcp://127.0.0.1:*"];
  const running = startHere(["device", "streamer", ...anywhere, "--high-water-mark", "5"]);
  const [front, back] = [await running.line(), await running.line()];
  expect(front).toMatch(/^listening frontend tcp:\/\/127\.0\.0\.1:\d+$/);
  const push = new Push({ linger: 0 });
  const pull = new Pull({ linger: 0 });
  closing.push(
    () => push.close(),
    () => pull.close(),
  );
  push.connect(front!.split(" ")[2]!);
  pull.connect(back!.split(" ")[2]!);
  await push.send("job");
  expect((await pull.receive()).toString()).toBe("job");
  running.interrupt();
  expect(await running.outcome).toMatchObject({ status: 0, stderr: "" });

  const forwarder = startHere(["device", "forwarder", ...anywhere]);
  expect(await forwarder.line()).toMatch(/^listening frontend/);
  forwarder.interrupt();
  expect(await forwarder.outcome).toMatchObject({ status: 0 });
  const wrong = await startHere(["device", "forwarder", "-f", "tcp://*:5", "-b", "tcp://127.0.0.1:*"]).outcome;
  expect(wrong).toMatchObject({ status: 64 });
  expect(wrong.stderr).toContain("say --insecure");
});
