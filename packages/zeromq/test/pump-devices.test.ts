import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { ForwarderDevice, StreamerDevice } from "@zerobind/zeromq";
import { Dealer, Publisher, Pull, Push, Subscriber, XSubscriber } from "zeromq";
import { pythonPeer, withPython } from "./python.ts";
import { raw, track } from "./support.ts";

const anywhere = { frontend: "tcp://127.0.0.1:*", backend: "tcp://127.0.0.1:*" };

async function forwarder(options: Partial<ConstructorParameters<typeof ForwarderDevice>[0]> = {}) {
  const device = track(new ForwarderDevice({ ...anywhere, ...options }));
  await device.open();
  return device;
}

async function streamer(options: Partial<ConstructorParameters<typeof StreamerDevice>[0]> = {}) {
  const device = track(new StreamerDevice({ ...anywhere, ...options }));
  await device.open();
  return device;
}

/** A publisher that repeats itself, since nothing tells it when somebody listens. */
function subscribed(socket: Subscriber, publish: () => Promise<unknown>): Promise<void> {
  return (async () => {
    let isOver = false;
    const pump = (async () => {
      while (!isOver) {
        await publish();
        await delay(5);
      }
    })();
    await socket.receive();
    isOver = true;
    await pump;
  })();
}

function publisher(address: string): Publisher {
  const socket = raw(new Publisher({ sendHighWaterMark: 0 }));
  socket.connect(address);
  return socket;
}

function subscriber(address: string, ...topics: string[]): Subscriber {
  const socket = raw(new Subscriber({ receiveHighWaterMark: 0 }));
  socket.connect(address);
  for (const topic of topics) socket.subscribe(topic);
  return socket;
}

test("a forwarder takes from many publishers what many subscribers want, in order", async () => {
  const device = await forwarder();
  const { frontend, backend } = device.addresses;
  const [pubA, pubB] = [publisher(frontend[0]!), publisher(frontend[0]!)];
  const [all, onlyB] = [subscriber(backend[0]!, "sync", "a", "b"), subscriber(backend[0]!, "sync", "b")];
  for (const [pub, sub] of [
    [pubA, all],
    [pubB, onlyB],
  ] as const)
    await subscribed(sub, () => pub.send(["sync", ""]));
  for (let index = 0; index < 100; index++) {
    await pubA.send(["a", `${index}`]);
    await pubB.send(["b", `${index}`]);
  }
  const seen: string[] = [];
  while (seen.length < 200) {
    const [topic, text] = await all.receive();
    if (topic!.toString() !== "sync") seen.push(`${topic!.toString()}${text!.toString()}`);
  }
  for (const topic of ["a", "b"])
    expect(seen.filter((each) => each.startsWith(topic))).toEqual(
      Array.from({ length: 100 }, (_, index) => `${topic}${index}`),
    );
  let next = 0;
  while (next < 100) {
    const [topic, text] = await onlyB.receive();
    if (topic!.toString() !== "sync") expect([topic!.toString(), text!.toString()]).toEqual(["b", `${next++}`]);
  }
  expect(device.counters).toMatchObject({ topics: 3, dropped: 0 });
  expect(device.counters.forwarded).toBeGreaterThanOrEqual(200);
  onlyB.close();
  all.unsubscribe("a");
  while (device.counters.topics !== 2) await delay(5);
});

test("5,000 topics of one subscriber get through a forwarder, also when it is started later", async () => {
  const device = await forwarder();
  const [frontend, backend] = [device.addresses.frontend[0]!, device.addresses.backend[0]!];
  await device.close();
  const socket = raw(new Subscriber({ receiveHighWaterMark: 0, reconnectInterval: 20 }));
  // Without it the subscriber itself drops those beyond 1,000.
  (socket as unknown as { setInt32Option(option: number, value: number): void }).setInt32Option(23, 0);
  socket.connect(backend);
  const topics = Array.from({ length: 5_000 }, (_, index) => `t${String(index).padStart(4, "0")}`);
  socket.subscribe(...topics);
  const pub = raw(new Publisher({ sendHighWaterMark: 0, reconnectInterval: 20 }));
  pub.connect(frontend);
  // All are published in one burst, which is more than a subscriber is otherwise kept.
  const again = await forwarder({ frontend, backend, highWaterMark: 10_000 });
  while (again.counters.topics < 5_000) await delay(10);
  await subscribed(socket, () => pub.send([topics.at(-1)!, "sync"]));
  for (const topic of topics) await pub.send([topic, "x"]);
  const seen = new Set<string>();
  while (seen.size < 5_000) {
    const [topic, text] = await socket.receive();
    if (text!.toString() === "x") seen.add(topic!.toString());
  }
  expect(seen.size).toBe(5_000);
});

test("a slow subscriber of a forwarder misses some, and the others none", async () => {
  const device = await forwarder({ highWaterMark: 100 });
  const { frontend, backend } = device.addresses;
  const pub = publisher(frontend[0]!);
  const quick = subscriber(backend[0]!, "e", "sync");
  const slow = raw(new Subscriber({ receiveHighWaterMark: 1 }));
  slow.connect(backend[0]!);
  slow.subscribe("e", "sync");
  await subscribed(slow, () => pub.send(["sync", ""]));
  await subscribed(quick, () => pub.send(["sync", ""]));
  const count = 400;
  const payload = Buffer.alloc(100_000);
  let seen = 0;
  const reading = (async () => {
    while (seen < count) if ((await quick.receive())[0]!.toString() === "e") seen += 1;
  })();
  for (let index = 0; index < count; index++) {
    await pub.send(["e", payload]);
    await delay(1);
  }
  await reading;
  expect(seen).toBe(count);
  let missed = count;
  slow.receiveTimeout = 300;
  try {
    for (;;) if ((await slow.receive())[0]!.toString() === "e") missed -= 1;
  } catch {
    // It has read all that there was.
  }
  expect(missed).toBeGreaterThan(0);
});

test("sides may connect, in any order", async () => {
  const pub = raw(new Publisher());
  await pub.bind("tcp://127.0.0.1:*");
  const sub = raw(new Subscriber());
  await sub.bind("tcp://127.0.0.1:*");
  sub.subscribe("");
  const frontend = { address: pub.lastEndpoint!, attach: "connect" } as const;
  const backend = { address: sub.lastEndpoint!, attach: "connect" } as const;
  await forwarder({ frontend, backend });
  await subscribed(sub, () => pub.send("x"));
  const push = raw(new Push());
  await push.bind("tcp://127.0.0.1:*");
  const pull = raw(new Pull());
  await pull.bind("tcp://127.0.0.1:*");
  await streamer({
    frontend: { address: push.lastEndpoint!, attach: "connect" },
    backend: { address: pull.lastEndpoint!, attach: "connect" },
  });
  await push.send("y");
  expect((await pull.receive()).toString()).toBe("y");
});

test("a streamer loses nothing between four producers and three workers, of which one is slow", async () => {
  const device = await streamer();
  const { frontend, backend } = device.addresses;
  const workers = [0, 0, 20].map((pauseMs) => {
    const socket = raw(new Pull({ receiveHighWaterMark: 10 }));
    socket.connect(backend[0]!);
    const seen: string[] = [];
    void (async () => {
      try {
        for await (const [text] of socket) {
          seen.push(text!.toString());
          if (pauseMs > 0) await delay(pauseMs);
        }
      } catch {
        // It was closed.
      }
    })();
    return seen;
  });
  const each = 100;
  // Large ones, since the system's own buffers hold many small ones.
  const payload = Buffer.alloc(100_000);
  await Promise.all(
    ["a", "b", "c", "d"].map(async (name) => {
      const socket = raw(new Push({ sendHighWaterMark: 10 }));
      socket.connect(frontend[0]!);
      for (let index = 0; index < each; index++) await socket.send([`${name}${index}`, payload]);
    }),
  );
  while (device.counters.forwarded < 4 * each) await delay(5);
  while (workers.reduce((sum, { length }) => sum + length, 0) < 4 * each) await delay(5);
  expect(new Set(workers.flat()).size).toBe(4 * each);
  expect(workers[2]!.length).toBeLessThan(workers[0]!.length);
});

test("a streamer without workers makes producers wait, and keeps little", async () => {
  const device = await streamer({ highWaterMark: 2 });
  const { frontend, backend } = device.addresses;
  const push = raw(new Push({ sendHighWaterMark: 1, sendTimeout: -1 }));
  push.connect(frontend[0]!);
  let sent = 0;
  const payload = Buffer.alloc(1_000_000);
  const sending = (async () => {
    for (; sent < 60; sent++) await push.send([`${sent}`, payload]);
  })();
  let before = -1;
  while (before !== sent) {
    before = sent;
    await delay(100);
  }
  expect(sent).toBeLessThan(50);
  expect(device.counters).toEqual({ forwarded: 0, waiting: 1, dropped: 0 });
  const pull = raw(new Pull());
  pull.connect(backend[0]!);
  const seen: number[] = [];
  while (seen.length < 60) seen.push(Number((await pull.receive())[0]!.toString()));
  await sending;
  expect(seen).toEqual(Array.from({ length: 60 }, (_, index) => index));
});

test("a streamer that is closed hands on what has come, unless it is aborted", async () => {
  const device = await streamer();
  const { frontend, backend } = device.addresses;
  const push = raw(new Push());
  push.connect(frontend[0]!);
  for (let index = 0; index < 50; index++) await push.send(`${index}`);
  while (device.counters.waiting === 0) await delay(5);
  const pull = raw(new Pull());
  pull.connect(backend[0]!);
  const closing = device.close();
  for (let index = 0; index < 50; index++) expect((await pull.receive()).toString()).toBe(`${index}`);
  expect(await closing).toMatchObject({ kind: "closed" });

  const other = await streamer();
  const stuck = raw(new Push());
  stuck.connect(other.addresses.frontend[0]!);
  await stuck.send("x");
  while (other.counters.waiting === 0) await delay(5);
  const closed = other.close();
  other.abort();
  const started = performance.now();
  await closed;
  expect(performance.now() - started).toBeLessThan(1_000);
  expect(other.counters).toEqual({ forwarded: 0, waiting: 0, dropped: 1 });
});

test("addresses and options that cannot be are refused; peers of another kind are told of", async () => {
  expect(() => new ForwarderDevice({ frontend: "tcp://127.0.0.1:*" } as never)).toThrow("a forwarder needs backend");
  expect(() => new StreamerDevice({ ...anywhere, highWaterMark: 0 })).toThrow("whole number from 1");
  expect(() => new StreamerDevice({ ...anywhere, frontend: "tcp://*:5" })).toThrow("insecure: true");
  expect(() => new ForwarderDevice(undefined as never)).toThrow("forwarder options must be an object, not undefined");
  expect(() => new ForwarderDevice({ ...anywhere, more: 1 } as never)).toThrow('has no option "more"');
  const troubles: string[] = [];
  const device = await forwarder({ onTrouble: (text) => troubles.push(text) });
  const [taken] = device.addresses.frontend;
  await expect(new StreamerDevice({ ...anywhere, frontend: taken! }).open()).rejects.toThrow(`cannot bind ${taken}`);
  const dealer = raw(new Dealer());
  dealer.connect(device.addresses.backend[0]!);
  await dealer.send("rubbish");
  await delay(50);
  expect(device.state).toBe("open");
});

withPython("PUB and SUB, PUSH and PULL in Python through devices", async () => {
  const device = await forwarder();
  const peer = pythonPeer(`
pub = context.socket(zmq.PUB)
pub.connect("${device.addresses.frontend[0]}")
sub = context.socket(zmq.SUB)
sub.connect("${device.addresses.backend[0]}")
sub.setsockopt(zmq.SUBSCRIBE, b"price.")
while not sub.poll(20):
    pub.send_multipart([b"price.sync", b""])
for number in range(1000):
    pub.send_multipart([b"price.x", b"%d" % number])
    pub.send_multipart([b"other", b""])
expected = 0
while expected < 1000:
    topic, body = sub.recv_multipart()
    assert topic != b"other"
    if topic == b"price.x":
        assert int(body) == expected
        expected += 1
say("all")
`);
  expect(await peer.line()).toBe("all");
  const stream = await streamer();
  const workers = pythonPeer(`
push = context.socket(zmq.PUSH)
push.connect("${stream.addresses.frontend[0]}")
pulls = [context.socket(zmq.PULL) for _ in range(3)]
for pull in pulls: pull.connect("${stream.addresses.backend[0]}")
time.sleep(0.2)
for number in range(3000):
    push.send(b"%d" % number)
poller = zmq.Poller()
for pull in pulls: poller.register(pull, zmq.POLLIN)
seen = set()
while len(seen) < 3000:
    for socket, _ in poller.poll(): seen.add(int(socket.recv()))
say("all", len(seen))
`);
  expect(await workers.line()).toBe("all 3000");
});

test("a peer cannot make a forwarder deaf, nor swallow what others subscribe to", async () => {
  const device = await forwarder();
  const { frontend, backend } = device.addresses;
  const hostile = raw(new XSubscriber());
  hostile.connect(backend[0]!);
  await hostile.send(Buffer.from("\x01again"));
  // ZeroMQ takes the second part for a subscription that is there already, says nothing of it, and waits for another.
  for (let count = 0; count < 10; count++) {
    await hostile.send(["x", Buffer.from("\x01again")]);
    if (count === 5) await delay(50);
  }
  const [pub, sub] = [publisher(frontend[0]!), subscriber(backend[0]!, "price")];
  await subscribed(sub, () => pub.send(["price", "1"]));
  expect(device.state).toBe("open");
  expect(device.counters.topics).toBe(2);
});
