import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { JsonReader, jsonValues, keepLargeIntegers } from "../src/cli/json-reader.ts";

describe("values are cut out of text", () => {
  test.each<[string, readonly string[]]>([
    ["", []],
    [" \n\t ", []],
    ["{}", ["{}"]],
    ["{}{}\n[]", ["{}", "{}", "[]"]],
    ['1 "a b" null', ["1", '"a b"', "null"]],
    ['1"a"2', ["1", '"a"', "2"]],
    ['{"a":"\\"}"} {"b":[{},"]"]}', ['{"a":"\\"}"}', '{"b":[{},"]"]}']],
    ['{"a":\n1}', ['{"a":\n1}']],
    ["} x", ["}", "x"]],
    ['{"a', ['{"a']],
  ])("%j", (text, values) => {
    expect(jsonValues(text).map((value) => value.text)).toEqual(values);
  });

  test("with the places at which they begin", () => {
    expect(jsonValues('{}\n\n  {"a":\n1} 2').map(({ line, column }) => [line, column])).toEqual([
      [1, 1],
      [3, 3],
      [4, 4],
    ]);
  });

  test("wherever the text is cut into chunks, and each as soon as it is whole", () => {
    const objects = fc.array(fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue()), { maxLength: 4 });
    fc.assert(
      fc.property(objects, fc.integer({ min: 1, max: 7 }), (values, size) => {
        const reader = new JsonReader();
        for (const value of values) {
          const letters = Array.from(JSON.stringify(value));
          const found: string[] = [];
          for (let at = 0; at < letters.length; at += size) {
            for (const { text } of reader.add(letters.slice(at, at + size).join(""))) found.push(text);
          }
          expect(found).toEqual([letters.join("")]);
        }
        expect(reader.end()).toBeUndefined();
      }),
    );
  });
});

test.each([
  ['{"a":9007199254740993}', '{"a":"9007199254740993"}'],
  ["[-9223372036854775808,1]", '["-9223372036854775808",1]'],
  ['{"a":"9007199254740993 9007199254740993"}', '{"a":"9007199254740993 9007199254740993"}'],
  ["[9007199254740991]", "[9007199254740991]"],
  ["[0.12345678901234567890]", "[0.12345678901234567890]"],
  ["[12345678901234567890.5]", "[12345678901234567890.5]"],
  ["[12345678901234567890e5]", "[12345678901234567890e5]"],
  ["[1e1234567890123456789]", "[1e1234567890123456789]"],
])("of large integers no digit is lost: %s", (text, kept) => {
  expect(keepLargeIntegers(text)).toBe(kept);
});
