import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { zeromq } from "@zerobind/zeromq";
import { Dealer, Router } from "zeromq";
import { trafficSuite } from "../../core/test/support/traffic-suite.ts";
import { bind, connect, native, raw, textOf } from "./support.ts";

trafficSuite("tcp", zeromq(), () => "tcp://127.0.0.1:*");
trafficSuite("ipc", zeromq(), () => `ipc://${join(tmpdir(), `zerobind-${randomUUID()}`)}`);

const texts = Array.from({ length: 100 }, (_, number) => String(number));

test("what a server sends by a link is one message of ZeroMQ, with the same frames behind the delimiter", async () => {
  const server = await bind("tcp://127.0.0.1:*");
  const dealer = raw(new Dealer());
  dealer.connect(server.address);
  await dealer.send(["", native("hello")]);
  const { link } = await server.links.next();
  for (const text of texts) link.send([native(text), Buffer.from("body")]);
  for (const text of texts) expect(textOf(await dealer.receive())).toBe(`|${text}|body`);
});

test("so is what a client sends", async () => {
  const router = raw(new Router());
  await router.bind("tcp://127.0.0.1:*");
  const client = await connect(router.lastEndpoint!);
  const [peer] = await router.receive();
  await router.send([peer!, "", native("welcome")]);
  const { link } = await client.links.next();
  for (const text of texts) link.send([native(text), Buffer.from("body")]);
  for (const text of texts) expect(textOf((await router.receive()).slice(1))).toBe(`|${text}|body`);
});
