import { randomUUID } from "node:crypto";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { expect, test } from "@jest/globals";
import { Channel, ServiceHost, binding, partial } from "@zerobind/core";
import { curveClient, serverCurve, zeromq } from "@zerobind/zeromq";
import type { CurveOption } from "@zerobind/zeromq";
import { Behavior } from "../../core/test/gen/test/v1/behavior.rpc.ts";
import { makeKeyPair } from "../src/curve/keys.ts";
import { track } from "./support.ts";

/** A place on the way that notes everything that passes, both ways. */
async function wiretap(port: number): Promise<{ port: number; captured: () => Buffer }> {
  const chunks: Buffer[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((inner) => {
    const outer = connect(port, "127.0.0.1");
    for (const socket of [inner, outer]) {
      sockets.add(socket);
      socket.on("data", (chunk: Buffer) => void chunks.push(chunk)).on("error", () => undefined);
    }
    inner.pipe(outer);
    outer.pipe(inner);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  track({
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  return { port: (server.address() as AddressInfo).port, captured: () => Buffer.concat(chunks) };
}

/** Makes 1,000 calls with markers in requests, replies, metadata and errors; returns those that could be read on the way. */
async function readable(curve: {
  server?: CurveOption;
  client?: CurveOption;
}): Promise<{ seen: string[]; bytes: number }> {
  const markers = Array.from({ length: 60 }, () => `marker-${randomUUID()}`);
  const host = track(new ServiceHost({ binding: binding(zeromq({ curve: curve.server })) }));
  host.serve(
    Behavior,
    partial(Behavior, {
      echo: ({ text }, context) => {
        context.setHeader({ "x-header": markers[50]! });
        context.setTrailer({ "x-trailer": markers[51]! });
        return { text: `${text} ${markers[52]}` };
      },
    }),
  );
  await host.open("tcp://127.0.0.1:*");
  const tap = await wiretap(Number(new URL(host.address.replace("tcp", "http")).port));
  const channel = track(
    new Channel(`tcp://127.0.0.1:${tap.port}`, { binding: binding(zeromq({ curve: curve.client })) }),
  );
  const client = channel.client(Behavior);
  const call = (index: number): Promise<unknown> =>
    client.echo({ text: markers[index % 40]! }, { metadata: { [`x-key-${index % 10}`]: markers[40 + (index % 10)]! } });
  for (let index = 0; index < 1_000; index += 50)
    await Promise.all(Array.from({ length: 50 }, (_, each) => call(index + each)));
  await channel.close();
  const captured = tap.captured();
  const names = ["test.v1.Behavior", "Echo", "x-header", "x-trailer"];
  const planted = [...markers.slice(0, 53), ...names, ...Array.from({ length: 7 }, (_, key) => `x-key-${key}`)];
  expect(planted).toHaveLength(64);
  return { seen: planted.filter((marker) => captured.includes(marker)), bytes: captured.length };
}

test("of 1,000 calls over CURVE nothing can be read on the way: no payload, no method, no metadata", async () => {
  const [serverKeys, clientKeys] = [makeKeyPair(), makeKeyPair()];
  const server = serverCurve({ secretKey: serverKeys, allow: [clientKeys.publicKey] });
  const client = curveClient({ serverKey: serverKeys.publicKey, keyPair: clientKeys });
  const { seen, bytes } = await readable({ server, client });
  expect(bytes).toBeGreaterThan(100_000);
  expect(seen).toEqual([]);
});

test("without CURVE the same capture shows everything", async () => {
  expect((await readable({})).seen).toHaveLength(64);
});
