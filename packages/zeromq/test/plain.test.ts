import { spawn, spawnSync } from "node:child_process";
import { expect, test } from "@jest/globals";
import { Metadata, PlainHeader, RpcError, Status, StatusMessage } from "@zerobind/core";
import type { PlainRequest } from "@zerobind/core";
import { Dealer, Proxy, Request, Router } from "zeromq";
import { PlainExchange, readPlainCall } from "../src/plain.ts";
import { bind, End, native, outcome, raw, textOf, track } from "./support.ts";

const path = "examples.greeter.v1.Greeter/SayHello";

/** A server that answers every plain request with its body in upper case. */
async function echo(address = "tcp://127.0.0.1:0"): Promise<End> {
  const end = new End();
  end.acceptPlain = (request: PlainRequest) => {
    end.plain.push(request);
    request.reply(Buffer.from(Buffer.from(request.body).toString().toUpperCase()), undefined, undefined);
  };
  return bind(address, { end });
}

function req(address: string): Request {
  const socket = raw(new Request());
  socket.connect(address);
  return socket;
}

test.each(["tcp://127.0.0.1:0", "ipc://*", "inproc://plain", "ws://127.0.0.1:0"])(
  "REQ over %s is answered",
  async (address) => {
    const server = await echo(address);
    const socket = req(server.address);
    for (const text of ["one", "two", ""]) {
      await socket.send([path, text]);
      expect(textOf(await socket.receive())).toBe(`|${text.toUpperCase()}`);
    }
    const request = await server.plain.next();
    expect(request).toMatchObject({ path, timeoutMs: 0, metadata: undefined });
    expect(request.remoteAddress).toContain(`${server.address} peer `);
  },
);

test("time-out and metadata come in a header frame, and go out in one", async () => {
  const end = await bind("tcp://127.0.0.1:0");
  const socket = req(end.address);
  const entry = (key: string, value: string) => ({ key, value: { $case: "text" as const, value } });
  await socket.send([
    path,
    "",
    PlainHeader.encode({ timeoutMs: 1500, metadata: [entry("a", "1")], trailer: [] }).finish(),
  ] as Buffer[]);
  const request = await end.plain.next();
  expect(request.timeoutMs).toBe(1500);
  expect([...request.metadata!]).toEqual([["a", "1"]]);
  expect(request.reply(Buffer.from("yes"), new Metadata({ h: "2" }), new Metadata({ t: "3" }))).toBe(true);
  const [status, body, header] = await socket.receive();
  expect([status!.length, body!.toString()]).toEqual([0, "yes"]);
  expect(PlainHeader.decode(header!)).toEqual({
    timeoutMs: 0,
    metadata: [entry("h", "2")],
    trailer: [entry("t", "3")],
  });
});

test("an error is answered as google.rpc.Status, with details and trailer", async () => {
  const end = await bind("tcp://127.0.0.1:0");
  const socket = req(end.address);
  await socket.send([path, ""]);
  const details = [{ typeUrl: "type.googleapis.com/x.Y", value: Buffer.from("detail") }];
  const error = new RpcError(Status.NOT_FOUND, "no such greeting", { details, trailer: new Metadata({ t: "1" }) });
  expect((await end.plain.next()).fail(error)).toBe(true);
  const [status, body, header] = await socket.receive();
  const decoded = StatusMessage.decode(status!);
  expect(decoded).toMatchObject({ code: Status.NOT_FOUND, message: "no such greeting" });
  expect(decoded.details[0]!.typeUrl).toBe("type.googleapis.com/x.Y");
  expect(body).toHaveLength(0);
  expect(PlainHeader.decode(header!).trailer).toHaveLength(1);
});

test("a request is answered once; a second answer goes nowhere", async () => {
  const end = await bind("tcp://127.0.0.1:0");
  const socket = req(end.address);
  await socket.send([path, "1"]);
  const request = await end.plain.next();
  expect(request.reply(Buffer.from("first"), undefined, undefined)).toBe(true);
  expect(request.reply(Buffer.from("second"), undefined, undefined)).toBe(false);
  expect(request.fail(new RpcError(Status.ABORTED, "third"))).toBe(false);
  expect(textOf(await socket.receive())).toBe("|first");
  await socket.send([path, "2"]);
  (await end.plain.next()).reply(Buffer.from("fourth"), undefined, undefined);
  expect(textOf(await socket.receive())).toBe("|fourth");
});

test("the answer to a REQ that is gone returns false and disturbs nobody", async () => {
  const end = await bind("tcp://127.0.0.1:0");
  const [gone, here] = [req(end.address), req(end.address)];
  await gone.send([path, "gone"]);
  const request = await end.plain.next();
  gone.close();
  await here.send([path, "here"]);
  const isGone = new Promise((resolve) => request.onGone(resolve));
  const other = await end.plain.next();
  await isGone;
  expect(request.reply(Buffer.from("late"), undefined, undefined)).toBe(false);
  expect(other.reply(Buffer.from("yes"), undefined, undefined)).toBe(true);
  expect(textOf(await here.receive())).toBe("|yes");
});

test("an end that takes no plain requests answers them UNIMPLEMENTED", async () => {
  const end = new End();
  (end as { acceptPlain: unknown }).acceptPlain = undefined;
  await bind("tcp://127.0.0.1:0", { end });
  const socket = req(end.address);
  await socket.send([path, ""]);
  const [status] = await socket.receive();
  expect(StatusMessage.decode(status!).code).toBe(Status.UNIMPLEMENTED);
});

const badHeader = Buffer.from([0x12, 0x7f, 0x01]);
const manyBytes = PlainHeader.encode({
  timeoutMs: 0,
  metadata: [{ key: "k", value: { $case: "text", value: "x".repeat(70_000) } }],
  trailer: [],
}).finish();
const reserved = PlainHeader.encode({
  timeoutMs: 0,
  metadata: [{ key: "zb-secret", value: { $case: "text", value: "x" } }],
  trailer: [],
}).finish();

const rubbish: [name: string, frames: (string | Uint8Array)[], code: number, message: RegExp][] = [
  ["one frame", [path], Status.INTERNAL, /has 2 or 3 frames.*not 1/],
  ["one empty frame", [""], Status.INTERNAL, /not 1/],
  ["two empty frames", ["", ""], Status.INTERNAL, /package\.Service\/Method/],
  ["four frames", [path, "", "", ""], Status.INTERNAL, /not 4/],
  ["a thousand frames", [path, ...Array.from({ length: 999 }, () => "x")], Status.INTERNAL, /not 1000/],
  ["no UTF-8", [Buffer.from([0xff, 0xfe]), ""], Status.INTERNAL, /no UTF-8/],
  ["a method that is too long", [`a/${"b".repeat(1100)}`, ""], Status.INTERNAL, /1102 bytes, and may have 1024/],
  ["a method without a slash", ["SayHello", ""], Status.INTERNAL, /not "SayHello"/],
  ["a method with two slashes", [`/${path}`, ""], Status.INTERNAL, /must be a method name/],
  ["a method with a line break", [`${path}\n`, ""], Status.INTERNAL, /SayHello\\n"/],
  ["a header that cannot be decoded", [path, "", badHeader], Status.INTERNAL, /PlainHeader/],
  ["a reserved key", [path, "", reserved], Status.INTERNAL, /zb-secret/],
  ["too much metadata", [path, "", manyBytes], Status.RESOURCE_EXHAUSTED, /70001 bytes.*65536/],
  ["a huge header", [path, "", Buffer.alloc(500_000)], Status.RESOURCE_EXHAUSTED, /65536/],
];

test.each(rubbish)("REQ with %s gets a status at once", async (_name, frames, code, message) => {
  const server = await echo();
  const socket = req(server.address);
  await socket.send(frames);
  const [status, body] = await socket.receive();
  const decoded = StatusMessage.decode(status!);
  expect(decoded.code).toBe(code);
  expect(decoded.message).toMatch(message);
  expect(body).toHaveLength(0);
  expect(server.plain.all).toEqual([]);
  expect(server.troubles.all[0]).toContain("a plain request was refused");
  await socket.send([path, "fine"]);
  expect(textOf(await socket.receive())).toBe("|FINE");
});

test("a body without any frame is answered too", () => {
  expect(() => readPlainCall([], 1)).toThrow("not 0");
});

test("arbitrary frames are read or refused with a status, never anything else", async () => {
  const { default: fc } = await import("fast-check");
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), (frames) => {
      try {
        readPlainCall(frames, 1000);
      } catch (error) {
        expect(error).toMatchObject({ name: "RpcError" });
      }
    }),
  );
});

test("an exchange whose peer is gone says so", () => {
  const exchange = new PlainExchange(
    { path, body: Buffer.alloc(0), timeoutMs: 0, metadata: undefined },
    "x",
    () => false,
  );
  expect(exchange.reply(Buffer.alloc(0), undefined, undefined)).toBe(false);
});

test("the envelope comes back right through a proxy, and through a forwarder in front of it, plain and native", async () => {
  const server = await echo();
  server.onLink = (recorded) => void recorded.link.send([native("welcome")]);
  const proxy = new Proxy(new Router({ linger: 0 }), new Dealer({ linger: 0 }));
  await proxy.frontEnd.bind("tcp://127.0.0.1:*");
  proxy.backEnd.connect(server.address);
  const proxyAddress = proxy.frontEnd.lastEndpoint!;
  const running = proxy.run();
  track({ close: () => (proxy.terminate(), running) });

  const [front, back] = [raw(new Router()), raw(new Dealer())];
  await front.bind("tcp://127.0.0.1:*");
  back.connect(proxyAddress);
  const forward = async (from: Router | Dealer, to: Router | Dealer): Promise<void> => {
    for await (const frames of from) await to.send(frames);
  };
  void forward(front, back);
  void forward(back, front);

  for (const address of [proxyAddress, front.lastEndpoint!]) {
    const [one, two] = [req(address), req(address)];
    await one.send([path, "one"]);
    await two.send([path, "two"]);
    expect([textOf(await one.receive()), textOf(await two.receive())]).toEqual(["|ONE", "|TWO"]);
    const { connect } = await import("./support.ts");
    const [left, right] = [await connect(address, { greeting: "left" }), await connect(address, { greeting: "right" })];
    const [leftLink, rightLink] = [await left.links.next(), await right.links.next()];
    const served = [await server.links.next(), await server.links.next()];
    leftLink.send("from left");
    rightLink.send("from right");
    for (const recorded of served) {
      const greeting = await recorded.messages.next();
      expect(await recorded.messages.next()).toBe(`from ${greeting}`);
      recorded.send(`to ${greeting}`);
    }
    expect(await leftLink.messages.find((text) => text !== "welcome")).toBe("to left");
    expect(await rightLink.messages.find((text) => text !== "welcome")).toBe("to right");
  }
});

test("what has no empty frame, or too many hops, is dropped and told of, escaped", async () => {
  const server = await bind("tcp://127.0.0.1:0");
  const dealer = raw(new Dealer());
  dealer.connect(server.address);
  await dealer.send(["no\ndelimiter", "at all"]);
  expect(await server.troubles.next()).toBe(
    `${server.address}: a message of 2 frames, whose first frame is "no\\x0adelimiter", was dropped because it has no empty frame between envelope and body`,
  );
  for (let index = 0; index < 50; index++) await dealer.send(["again"]);
  await dealer.send([...Array.from({ length: 20 }, () => "hop"), Buffer.alloc(0), native("hello")]);
  expect(await server.troubles.next()).toContain("more than 16 devices");
  // A notice of this process's own cannot be forged, and the probe of other ends says nothing.
  await dealer.send([Buffer.alloc(24)]);
  await dealer.send([Buffer.of(0)]);
  await dealer.send([Buffer.alloc(0), native("hello")]);
  expect(await (await server.links.next()).messages.next()).toBe("hello");
  expect(server.troubles.all).toHaveLength(2);
});

const python = "/usr/bin/python3";
const withPython = spawnSync(python, ["-c", "import zmq"]).status === 0 ? test : test.skip;

withPython("peers in Python: REQ, REQ with correlate and relaxed, DEALER with hops", async () => {
  const server = await echo();
  const script = `
import sys, zmq
context = zmq.Context.instance()
method = b"${path}"
def req(*options):
    socket = context.socket(zmq.REQ)
    socket.linger = 0
    socket.rcvtimeo = 10000
    for option in options:
        socket.setsockopt(option, 1)
    socket.connect("${server.address}")
    return socket
plain = req()
for text in [b"one", b"two"]:
    plain.send_multipart([method, text])
    assert plain.recv_multipart() == [b"", text.upper()]
plain.send_multipart([b"rubbish"])
assert len(plain.recv_multipart()[0]) > 0
relaxed = req(zmq.REQ_CORRELATE, zmq.REQ_RELAXED)
relaxed.send_multipart([method, b"dropped"])
relaxed.send_multipart([method, b"wanted"])
assert relaxed.recv_multipart() == [b"", b"WANTED"]
dealer = context.socket(zmq.DEALER)
dealer.linger = 0
dealer.rcvtimeo = 10000
dealer.connect("${server.address}")
for number in range(100):
    dealer.send_multipart([b"%d" % number, b"hop", b"", method, b"call %d" % number])
for number in range(100):
    assert dealer.recv_multipart() == [b"%d" % number, b"hop", b"", b"", b"CALL %d" % number]
print("all answered")
`;
  const child = spawn(python, ["-c", script], { stdio: ["ignore", "pipe", "pipe"] });
  track({ close: () => child.kill() });
  expect(await outcome(child)).toEqual({ code: 0, output: "all answered\n", errors: "" });
});
