import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "@jest/globals";
import { Channel, ServiceHost, Status, binding, memory } from "@zerobind/core";
import type { BindingLike, EncoderElement, MessageElement } from "@zerobind/core";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { BehaviorService } from "./support/behavior-handler.ts";
import { failureOf } from "./support/failure.ts";

const gzip: MessageElement = {
  kind: "message",
  name: "gzip",
  outgoing: (message) => message.withBody(gzipSync(message.body)),
  incoming: (message) => message.withBody(gunzipSync(message.body)),
};

/** Counts the messages that pass it, in both directions. */
function counting(seen: string[]): MessageElement {
  return {
    kind: "message",
    name: "counting",
    outgoing: (message) => (seen.push(`out ${message.body.length}`), message),
    incoming: (message) => (seen.push(`in ${message.body.length}`), message),
  };
}

const json: EncoderElement = {
  kind: "encoder",
  name: "json",
  encode: (type, value, writer) => void writer.raw(new TextEncoder().encode(JSON.stringify(type.fromPartial(value)))),
  decode(type, reader, length) {
    const { frame } = reader as unknown as { frame: Uint8Array };
    const value: unknown = JSON.parse(new TextDecoder().decode(frame.subarray(reader.pos, reader.pos + length)));
    reader.pos += length;
    return type.fromPartial(value) as unknown;
  },
};

async function callOver(server: BindingLike, client: BindingLike, options = {}): Promise<unknown> {
  await using host = new ServiceHost({ binding: server }).serve(Behavior, new BehaviorService());
  await host.open("memory://*");
  await using channel = new Channel(host.address, { binding: client, ...options });
  return await channel.client(Behavior).ping({ sequence: 9 });
}

describe("a binding", () => {
  test("runs messages through its elements in order, and back in the opposite order", async () => {
    const seen: string[] = [];
    const stack = binding(counting(seen), gzip, memory());
    expect(await callOver(stack, stack)).toEqual({ sequence: 9 });
    // Outside of gzip the sizes are those of the plain messages.
    expect(seen).toEqual(["out 2", "in 2", "out 2", "in 2"]);
  });

  test("may have an encoder of its own", async () => {
    const stack = binding(gzip, json, memory());
    expect(await callOver(stack, stack)).toEqual({ sequence: 9 });
  });

  test("must be the same on both ends; the difference is named", async () => {
    const options = { connectTimeoutMs: 200 };
    const differing = await failureOf(callOver(binding(gzip, memory()), binding(memory()), options));
    expect(differing).toMatchObject({
      code: Status.UNAVAILABLE,
      message: expect.stringContaining("server [gzip], client []"),
    });
    const encoded = await failureOf(callOver(binding(memory()), binding(json, memory()), options));
    expect(encoded.message).toContain('the server encodes messages as protobuf, the client as "json"');
  });

  test("an element that throws fails its call alone", async () => {
    const broken: MessageElement = {
      ...gzip,
      name: "gzip",
      incoming: () => {
        throw new Error("bad seal");
      },
    };
    await using host = new ServiceHost({ binding: binding(broken, memory()) }).serve(Behavior, new BehaviorService());
    await host.open("memory://*");
    await using channel = new Channel(host.address, { binding: binding(gzip, memory()) });
    const client = channel.client(Behavior);
    for (let round = 0; round < 2; round++) {
      expect(await failureOf(client.ping({}))).toMatchObject({
        code: Status.INTERNAL,
        message: expect.stringContaining("bad seal"),
      });
    }
  });

  test("that is out of order is an error of types and of values", () => {
    // @ts-expect-error a transport comes last
    expect(() => binding(memory(), gzip)).toThrow("ends in a transport");
    // @ts-expect-error an encoder stands right above the transport
    expect(() => binding(json, gzip, memory())).toThrow('position 0 of the binding has encoder element "json"');
    // @ts-expect-error there is one encoder at most
    expect(() => binding(json, json, memory())).toThrow("position 0");
    // @ts-expect-error a transport is needed
    expect(() => binding()).toThrow("ends in a transport");
    // @ts-expect-error there is one transport at most
    expect(() => binding(memory(), memory())).toThrow("position 0");
  });

  test("refuses addresses that its transport does not understand", async () => {
    expect(() => new Channel("tcp://127.0.0.1:1", { binding: binding(memory()) })).toThrow(
      /"tcp:\/\/127\.0\.0\.1:1" is no address of the memory transport/,
    );
    expect(() => new Channel("memory://*", { binding: binding(memory()) })).toThrow("can only be bound");
    const host = new ServiceHost({ binding: binding(memory()) }).serve(Behavior, new BehaviorService());
    await expect(host.open("nonsense")).rejects.toThrow(TypeError);
  });
});
