import { describe, expect, test } from "@jest/globals";
import { Metadata, metadataFromEntries, metadataToEntries } from "@zerobind/core";

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
  });

  test.each([
    ["a b", "x", /may only have the characters/],
    ["", "x", /may only have the characters/],
    ["zb-trace", "x", /reserved/],
    ["text", "line\nbreak", /control character; encode the text/],
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
