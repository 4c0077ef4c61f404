import { describe, expect, test } from "@jest/globals";
import {
  Channel,
  Message,
  Metadata,
  ServiceHost,
  binding,
  memory,
  metadataFromEntries,
  metadataToEntries,
  partial,
} from "@zerobind/core";
import type { Interceptor } from "@zerobind/core";
import { EchoReply } from "./gen/test/v1/behavior.pb.ts";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";

describe("metadata", () => {
  test("keeps several values of a key in order, whatever its case", () => {
    const metadata = new Metadata({ "X-Tag": ["a", "b"], other: "c" });
    metadata.append("x-tag", "d");
    expect(metadata.getAll("X-TAG")).toEqual(["a", "b", "d"]);
    expect([...metadata]).toEqual([
      ["x-tag", "a"],
      ["x-tag", "b"],
      ["x-tag", "d"],
      ["other", "c"],
    ]);
    expect(metadata.set("x-tag", "e").getAll("x-tag")).toEqual(["e"]);
    expect(metadata.delete("x-tag")).toBe(true);
    expect(metadata.has("x-tag")).toBe(false);
  });

  test("counts its bytes in UTF-8", () => {
    const metadata = new Metadata({ a: "é", "b-bin": Uint8Array.of(1, 2, 3) });
    expect(metadata.byteLength).toBe(1 + 2 + 5 + 3);
    expect(metadata.delete("a") && metadata.byteLength).toBe(8);
    expect(new Metadata({ a: "\u00a0" }).byteLength).toBe(1 + 2);
  });

  test.each([
    ["a b", "x", /may only have the characters/],
    ["", "x", /may only have the characters/],
    ["zb-trace", "x", /reserved/],
    ["text", "line\nbreak", /control character; encode the text/],
    ["text", "\u007f", /control character/],
    ["text", "next\u0085line", /control character/],
    ["text", "\u009b31m", /control character/],
    ["text", "\ud800", /surrogate/],
    ["text", 5, /must be a string, not number/],
    ["text", Uint8Array.of(1), /key that ends in "-bin"/],
    ["data-bin", "text", /must be a Uint8Array/],
  ])("refuses key %p with value %p", (key, value, message) => {
    expect(() => new Metadata().set(key, value as string)).toThrow(message);
    expect(() => new Metadata().set(key, value as string)).toThrow(TypeError);
  });

  test("takes names that objects have without harm", () => {
    const metadata = new Metadata([
      ["__proto__", "a"],
      ["constructor", "b"],
      ["tostring", "c"],
    ]);
    expect(metadata.get("__proto__")).toBe("a");
    expect(metadataFromEntries(metadataToEntries(metadata)).get("constructor")).toBe("b");
    expect(new Metadata().get("__proto__")).toBeUndefined();
  });

  test("has copies that change apart", () => {
    const metadata = new Metadata({ a: ["1", "2"], "b-bin": Uint8Array.of(1) });
    const copy = metadata.clone();
    expect([[...copy], copy.byteLength]).toEqual([[...metadata], metadata.byteLength]);
    copy.append("a", "3").delete("b-bin");
    expect([...metadata]).toEqual([
      ["a", "1"],
      ["a", "2"],
      ["b-bin", Uint8Array.of(1)],
    ]);
    expect([copy.byteLength, copy.size]).toEqual([6, 1]);
  });

  test.each([[[]], [[(call, next) => next(call)] satisfies Interceptor[]]])(
    "of a call is what it was when the call was made, with %p around",
    async (interceptors) => {
      const stack = { binding: binding(memory()) };
      await using host = new ServiceHost(stack).serve(
        Behavior,
        partial(Behavior, { echo: (_request, { metadata }) => ({ text: JSON.stringify(metadata) }) }),
      );
      await host.open("memory://*");
      await using channel = new Channel(host.address, { ...stack, interceptors });
      const metadata = new Metadata({ a: "before" });
      const reply = channel.client(Behavior).echo({}, { metadata });
      metadata.set("a", "after");
      expect((await reply).text).toBe('{"a":["before"]}');
      await using raw = stack.binding.connect(host.address);
      const message = new Message(new Uint8Array(), { path: "test.v1.Behavior/Echo", headers: metadata });
      const answer = raw.request(message);
      metadata.set("a", "later");
      expect(EchoReply.decode((await answer).body).text).toBe('{"a":["after"]}');
    },
  );

  test("comes back from the wire as it was", () => {
    const metadata = new Metadata([
      ["a", ""],
      ["a", "ü😈"],
      ["b-bin", Uint8Array.of(0, 255)],
      ["b-bin", new Uint8Array()],
    ]);
    expect([...metadataFromEntries(metadataToEntries(metadata))]).toEqual([...metadata]);
  });
});
