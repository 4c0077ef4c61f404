import { expect, test } from "@jest/globals";
import { isIdentifier, methodName, NameScope, propertyName, quote } from "../src/names.ts";

test.each([
  ["SayHello", "sayHello"],
  ["sayHello", "sayHello"],
  ["say_hello", "sayHello"],
  ["SAY_HELLO", "sayHello"],
  ["GetHTTPHeader2", "getHTTPHeader2"],
  ["__proto__", "proto"],
  ["_1", "_1"],
  ["_", "_"],
])("the method %s is %s", (name, expected) => {
  expect(methodName(name)).toBe(expected);
  expect(isIdentifier(methodName(name))).toBe(true);
});

test.each([
  ["foo", "foo"],
  ["foo_bar", "fooBar"],
  ["fooBar_baz", "fooBarBaz"],
  ["FOO_BAR", "fooBar"],
  ["FOO", "FOO"],
  ["a__b", "aB"],
  ["_a", "A"],
])("ts-proto makes the property %s of the field %s", (name, expected) => {
  expect(propertyName(name)).toBe(expected);
});

test("a name that is taken gets a dollar sign, then a number", () => {
  const scope = new NameScope();
  expect(["A", "A", "A", "A$", "B"].map((name) => scope.claim(name))).toEqual(["A", "A$", "A$2", "A$$", "B"]);
});

test("quoted text cannot end its line", () => {
  expect(quote('a"b\\\n\u2028\u2029')).toBe('"a\\"b\\\\\\n\\u2028\\u2029"');
});
