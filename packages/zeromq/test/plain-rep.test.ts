import { EventEmitter, once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import {
  Channel,
  Metadata,
  PlainHeader,
  ServiceHost,
  Status,
  StatusMessage,
  binding,
  full,
  partial,
} from "@zerobind/core";
import { zeromq } from "@zerobind/zeromq";
import type { ZeromqOptions } from "@zerobind/zeromq";
import { Dealer, Reply, Router } from "zeromq";
import { Behavior } from "../../core/test/gen/test/v1/behavior.rpc.ts";
import { EchoReply, EchoRequest } from "../../core/test/gen/test/v1/behavior.pb.ts";
import { answerEcho, unary } from "./plain-support.ts";
import type { Frames } from "./plain-support.ts";
import { pythonPeer, withPython } from "./python.ts";
import { raw, track } from "./support.ts";

const quick = { reconnectMinMs: 20, reconnectMaxMs: 100 };

function channelTo(address: string, options: ZeromqOptions = {}, more: object = {}): Channel {
  return track(
    new Channel(address, {
      binding: binding(zeromq({ ...quick, profile: "plain", ...options })),
      connectTimeoutMs: 500,
      ...more,
    }),
  );
}

const quiet = { echo: () => ({}), fail: () => ({}), notify: () => undefined, ping: () => ({}) };

/** A bound REP that answers as it is told. */
async function rep(
  answer: (frames: Frames) => Frames | Promise<Frames>,
  address = "tcp://127.0.0.1:*",
): Promise<Reply> {
  const socket = raw(new Reply());
  // The address of one that was just closed is free a little later.
  for (let tries = 0; tries < 50; tries++) {
    const isBound = await socket.bind(address).then(
      () => true,
      () => false,
    );
    if (isBound) break;
    await delay(20);
  }
  void (async () => {
    try {
      for await (const frames of socket) await socket.send((await answer(frames)) as Buffer[]);
    } catch {
      // It was closed.
    }
  })();
  return socket;
}

test.each(["tcp://127.0.0.1:*", "ipc://*", "ws://127.0.0.1:0"])(
  "a REP at %s is called like a host",
  async (address) => {
    const seen: Frames[] = [];
    const at = address === "ipc://*" ? `ipc:///tmp/zerobind-plain-${process.pid}.sock` : address;
    const socket = await rep((frames) => {
      seen.push(frames);
      return answerEcho(frames);
    }, at);
    const client = channelTo(socket.lastEndpoint!).client(unary);
    expect(await client.echo({ text: "Ada" })).toMatchObject({ text: "ADA" });
    const many = await Promise.all(Array.from({ length: 200 }, (_, index) => client.echo({ text: `t${index}` })));
    expect(many.map(({ text }) => text)).toEqual(many.map((_, index) => `T${index}`));
    expect(seen.every((frames) => frames.length === 2)).toBe(true);
    expect(seen[0]![0]!.toString()).toBe("test.v1.Behavior/Echo");
  },
);

test("large messages go and come whole", async () => {
  const socket = await rep((frames) => {
    const { data } = EchoRequest.decode(frames[1]!);
    return [Buffer.alloc(0), Buffer.from(EchoReply.encode({ text: "", data }).finish())];
  });
  const client = channelTo(socket.lastEndpoint!).client(unary);
  const data = Buffer.alloc(3_500_000, 7);
  const reply = await client.echo({ data });
  expect(Buffer.compare(reply.data, data)).toBe(0);
});

test("a status, its details, header and trailer come as of a host", async () => {
  const entry = (key: string, value: string) => ({ key, value: { $case: "text" as const, value } });
  const blocks = Buffer.from(
    PlainHeader.encode({ timeoutMs: 0, metadata: [entry("h", "1")], trailer: [entry("t", "2")] }).finish(),
  );
  const details = [{ typeUrl: "type.googleapis.com/x.Y", value: Buffer.from("d") }];
  const status = { code: Status.NOT_FOUND, message: "no such thing", details };
  const socket = await rep(([method, body]) =>
    method!.toString().endsWith("/Fail")
      ? [Buffer.from(StatusMessage.encode(status).finish()), Buffer.alloc(0), blocks]
      : [...answerEcho([method!, body!]), blocks],
  );
  const client = channelTo(socket.lastEndpoint!).client(unary);
  const failure = client.fail({});
  await expect(failure).rejects.toMatchObject({ code: Status.NOT_FOUND, message: "no such thing" });
  const error = await failure.catch(
    (thrown: unknown) => thrown as { details: unknown[]; header: Metadata; trailer: Metadata },
  );
  expect(error).toMatchObject({ details: [{ typeUrl: "type.googleapis.com/x.Y" }] });
  expect([...(error as { trailer: Metadata }).trailer]).toEqual([["t", "2"]]);
  const { header, trailer } = await full((options) => client.echo({ text: "x" }, options));
  expect([[...header], [...trailer]]).toEqual([[["h", "1"]], [["t", "2"]]]);
});

test("the third frame is there for metadata, or always, or never, as the option says", async () => {
  const seen: Frames[] = [];
  const socket = await rep((frames) => {
    seen.push(frames);
    return answerEcho(frames);
  });
  const metadata = { a: "1" };
  for (const plainHeader of ["metadata", "always", "never"] as const) {
    const client = channelTo(socket.lastEndpoint!, { plainHeader }).client(unary);
    await client.echo({ text: "x" }, { timeoutMs: 5_000 });
    await client.echo({ text: "x" }, { timeoutMs: 5_000, metadata });
  }
  expect(seen.map(({ length }) => length)).toEqual([2, 3, 3, 3, 2, 2]);
  const header = PlainHeader.decode(seen[1]![2]!);
  expect(header.metadata).toMatchObject([{ key: "a" }]);
  expect(header.timeoutMs).toBeGreaterThan(3_000);
  expect(header.timeoutMs).toBeLessThanOrEqual(5_000);
});

test("streams, sessions and callbacks are refused where contract and binding meet", () => {
  const channel = channelTo("tcp://127.0.0.1:5555");
  expect(() => channel.client(Behavior)).toThrow(
    "tcp://127.0.0.1:5555: the zeromq (plain profile) transport cannot carry test.v1.Behavior/Count (streams), " +
      "test.v1.Behavior/Sum (streams), test.v1.Behavior/Relay (streams); use another binding",
  );
});

test("inproc and hosts are refused with what to do instead", async () => {
  expect(() => channelTo("inproc://x")).toThrow("whose addresses begin with tcp://, ipc://, ws://");
  const host = new ServiceHost({ binding: binding(zeromq({ profile: "plain" })) });
  host.serve(unary, partial(unary, quiet));
  await expect(host.open("tcp://127.0.0.1:*")).rejects.toThrow('a host serves plain peers with the profile "native"');
});

test("a host of ours is called by the plain profile just as well", async () => {
  const host = track(new ServiceHost({ binding: binding(zeromq()) }));
  host.serve(unary, partial(unary, { ...quiet, ping: ({ sequence }) => ({ sequence }) }));
  await host.open("tcp://127.0.0.1:*");
  const client = channelTo(host.address).client(unary);
  expect(await client.ping({ sequence: 7 })).toEqual({ sequence: 7 });
});

test.each([
  ["one frame", [Buffer.of(1)], "has 2 or 3 frames"],
  ["four frames", [Buffer.alloc(0), Buffer.alloc(0), Buffer.alloc(0), Buffer.alloc(0)], "has 2 or 3 frames"],
  ["a status that is none", [Buffer.from("rubbish"), Buffer.alloc(0)], "malformed"],
  [
    "the status OK",
    [Buffer.from(StatusMessage.encode({ code: 0, message: "x", details: [] }).finish()), Buffer.alloc(0)],
    "malformed",
  ],
  ["a header that is none", [Buffer.alloc(0), Buffer.alloc(0), Buffer.from("rubbish")], "malformed"],
  ["a message that is none", [Buffer.alloc(0), Buffer.from("rubbish")], "cannot be decoded"],
])("a reply with %s ends its call INTERNAL, and the next is answered", async (_, bad, text) => {
  let count = 0;
  const socket = await rep((frames) => (++count === 1 ? bad : answerEcho(frames)));
  const client = channelTo(socket.lastEndpoint!).client(unary);
  const failure = client.echo({ text: "x" });
  await expect(failure).rejects.toMatchObject({ code: Status.INTERNAL });
  await expect(failure).rejects.toThrow(text);
  expect(await client.echo({ text: "x" })).toMatchObject({ text: "X" });
});

test("peers that answer what nobody asked are told of, and harm nothing", async () => {
  const troubles: string[] = [];
  const socket = raw(new Router());
  await socket.bind("tcp://127.0.0.1:*");
  const client = channelTo(socket.lastEndpoint!, {}, { onTrouble: (text: string) => troubles.push(text) }).client(
    unary,
  );
  const call = client.echo({ text: "x" });
  const [route, hop, , ...body] = await socket.receive();
  const answer = answerEcho(body);
  await socket.send([route!, Buffer.from("rubbish")]);
  await socket.send([route!, Buffer.of(9, 9, 9, 9), "", ...answer] as Buffer[]);
  await socket.send([route!, Buffer.of(9), "", ...answer] as Buffer[]);
  await socket.send([route!, "", ...answer] as Buffer[]);
  await socket.send([route!, hop!, "", ...answer] as Buffer[]);
  await socket.send([route!, hop!, "", ...answer] as Buffer[]);
  expect(await call).toMatchObject({ text: "X" });
  const again = client.echo({ text: "y" });
  const [, nextHop, , ...nextBody] = await socket.receive();
  await socket.send([route!, nextHop!, "", ...answerEcho(nextBody)] as Buffer[]);
  expect(await again).toMatchObject({ text: "Y" });
  expect(troubles.filter((text) => text.includes("never sent"))).toHaveLength(1);
  expect(troubles.filter((text) => text.includes("envelope"))).toHaveLength(1);
});

test("calls to nobody end UNAVAILABLE, wait if they are told to, and go on with a REP that comes back", async () => {
  const first = await rep(answerEcho);
  const address = first.lastEndpoint!;
  first.close();
  const channel = channelTo(address);
  const client = channel.client(unary);
  await expect(client.echo({})).rejects.toMatchObject({ code: Status.UNAVAILABLE });
  const patient = client.echo({ text: "late" }, { waitForReady: true });
  const second = await rep(answerEcho, address);
  expect(await patient).toMatchObject({ text: "LATE" });
  second.close();
  // A call that is made before the loss shows would go to the second one.
  while (channel.connected) await delay(5);
  const asked = new EventEmitter();
  const third = await rep(() => {
    asked.emit("asked");
    return new Promise<Frames>(() => undefined);
  }, address);
  const there = once(asked, "asked");
  const held = client.echo({ text: "held" }, { waitForReady: true });
  await there;
  third.close();
  await expect(held).rejects.toMatchObject({ code: Status.UNAVAILABLE });
  await rep(answerEcho, address);
  expect(await client.echo({ text: "again" }, { waitForReady: true })).toMatchObject({ text: "AGAIN" });
});

test("a cancelled call's reply is dropped; with one call a peer, the next waits for that reply", async () => {
  const answers: (() => void)[] = [];
  const socket = await rep(
    (frames) => new Promise<Frames>((resolve) => answers.push(() => resolve(answerEcho(frames)))),
  );
  const troubles: string[] = [];
  const onTrouble = (text: string) => troubles.push(text);
  const client = channelTo(socket.lastEndpoint!, { callsPerPeer: 1 }, { onTrouble }).client(unary);
  await expect(client.echo({ text: "slow" }, { timeoutMs: 200 })).rejects.toMatchObject({
    code: Status.DEADLINE_EXCEEDED,
  });
  const next = client.echo({ text: "next" }, { waitForReady: true });
  await delay(100);
  expect(answers).toHaveLength(1);
  answers[0]!();
  while (answers.length < 2) await delay(5);
  answers[1]!();
  expect(await next).toMatchObject({ text: "NEXT" });
  expect(troubles.some((text) => text.includes("after its call"))).toBe(true);
});

test("calls beyond what a peer may be given wait within their deadlines", async () => {
  let [running, most] = [0, 0];
  const router = raw(new Router());
  await router.bind("tcp://127.0.0.1:*");
  void (async () => {
    try {
      for await (const [route, hop, empty, ...body] of router) {
        most = Math.max(most, ++running);
        void delay(5).then(() => {
          running -= 1;
          return router.send([route!, hop!, empty!, ...answerEcho(body)] as Buffer[]).catch(() => undefined);
        });
      }
    } catch {
      // It was closed.
    }
  })();
  const client = channelTo(router.lastEndpoint!, { callsPerPeer: 4 }).client(unary);
  const replies = await Promise.all(Array.from({ length: 40 }, (_, index) => client.echo({ text: `${index}` })));
  expect(replies.map(({ text }) => text)).toEqual(replies.map((_, index) => `${index}`));
  expect(most).toBe(4);
});

test("one-way calls reach a REP in order, and those made before a close leave", async () => {
  const seen: string[] = [];
  const socket = await rep((frames) => {
    seen.push(EchoRequest.decode(frames[1]!).text);
    return [Buffer.alloc(0), Buffer.alloc(0)];
  });
  // Those beyond `callsPerPeer` would have a quarter of a second to be asked for.
  const channel = channelTo(socket.lastEndpoint!, { callsPerPeer: 50 });
  const client = channel.client(unary);
  await client.notify({ text: "0" }, { waitForReady: true });
  for (let index = 1; index < 50; index++) await client.notify({ text: `${index}` });
  await channel.close();
  while (seen.length < 50) await delay(5);
  expect(seen).toEqual(Array.from({ length: 50 }, (_, index) => `${index}`));
});

test("a peer that is no REP is told of", async () => {
  const troubles: string[] = [];
  const dealer = raw(new Dealer());
  await dealer.bind("tcp://127.0.0.1:*");
  const client = channelTo(dealer.lastEndpoint!, {}, { onTrouble: (text: string) => troubles.push(text) }).client(
    unary,
  );
  const call = client.echo({ text: "x" });
  const [, , ...body] = await dealer.receive();
  expect(body[0]!.toString()).toBe("test.v1.Behavior/Echo");
  await dealer.send([Buffer.alloc(0), Buffer.from("c501010000000000", "hex")]);
  await expect(call).rejects.toThrow("speaks the native profile");
});

withPython("a REP in Python that binds", async () => {
  const peer = pythonPeer(`
socket = context.socket(zmq.REP)
port = socket.bind_to_random_port("tcp://127.0.0.1")
say(port)
while True:
    method, body = socket.recv_multipart()
    socket.send_multipart([b"", body])
`);
  const port = await peer.line();
  const client = channelTo(`tcp://127.0.0.1:${port}`).client(unary);
  const replies = await Promise.all(Array.from({ length: 100 }, (_, sequence) => client.ping({ sequence })));
  expect(replies.map(({ sequence }) => sequence)).toEqual(replies.map((_, index) => index));
});
