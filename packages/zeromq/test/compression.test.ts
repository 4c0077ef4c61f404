import { expect, test } from "@jest/globals";
import { Channel, ServiceHost, binding } from "@zerobind/core";
import { plainWorkers, zeromq } from "@zerobind/zeromq";
import { Reply, Request } from "zeromq";
import { EchoReply, EchoRequest } from "../../core/test/gen/test/v1/behavior.pb.ts";
import { Behavior } from "../../core/test/gen/test/v1/behavior.rpc.ts";
import { BehaviorService } from "../../core/test/support/behavior-handler.ts";
import { runs } from "../../core/test/support/runs.ts";
import { answerEcho, unary } from "./plain-support.ts";
import { raw } from "./support.ts";

const text = "a".repeat(5000);

test("a host that compresses answers plain requests as they are, and sessions beside them compressed", async () => {
  const element = runs();
  const stack = binding(element, zeromq());
  await using host = new ServiceHost({ binding: stack }).serve(Behavior, new BehaviorService());
  const [address] = await host.open("tcp://127.0.0.1:*");
  const socket = raw(new Request());
  socket.connect(address!);
  await socket.send([
    "test.v1.Behavior/Echo",
    Buffer.from(EchoRequest.encode(EchoRequest.fromPartial({ text })).finish()),
  ]);
  const [status, body] = await socket.receive();
  expect(status).toHaveLength(0);
  expect(EchoReply.decode(body!).text).toBe(text);
  expect([element.compressed, element.inflated]).toEqual([[], []]);
  await using channel = new Channel(address!, { binding: stack });
  expect((await channel.client(Behavior).echo({ text })).text).toBe(text);
  expect([element.compressed.length, element.inflated.length]).toEqual([2, 2]);
});

test("REP sockets get what they can read from a channel that compresses", async () => {
  const element = runs();
  await using channel = new Channel("tcp://127.0.0.1:*", { attach: "bind", binding: binding(element, plainWorkers()) });
  await channel.open();
  const socket = raw(new Reply());
  socket.connect(channel.address);
  const reply = channel.client(unary).echo({ text }, { waitForReady: true, compress: true });
  await socket.send(answerEcho(await socket.receive()) as Buffer[]);
  expect((await reply).text).toBe(text.toUpperCase());
  expect(element.compressed).toEqual([]);
});
