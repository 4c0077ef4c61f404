import { expect, test } from "@jest/globals";
import { docBlock } from "../src/doc-comment.ts";
import { outline } from "../src/proto-text.ts";
import { wrapImport, wrapObject, wrapSignature } from "../src/wrap.ts";

test("a doc block has one line if it fits, and cannot be ended by its text", () => {
  expect(docBlock(["Short."], false)).toBe("/** Short. */");
  expect(docBlock(["Ends */ here."], true, "  ")).toBe("  /**\n   * Ends *\\/ here.\n   *\n   * @deprecated\n   */");
  expect(docBlock(["@deprecated Not any more."], true)).toBe("/** @deprecated Not any more. */");
  expect(docBlock([], true)).toBe("/** @deprecated */");
});

test("lines are broken as prettier breaks them", () => {
  const long = "x".repeat(60);
  expect(wrapSignature("f", ["a: A"], ["B"])).toBe("  f(a: A): B;");
  expect(wrapSignature("f", [`a: ${long}`, `b: ${long}`], ["B"])).toBe(
    `  f(\n    a: ${long},\n    b: ${long},\n  ): B;`,
  );
  expect(wrapSignature("f", ["a: A"], [long, long])).toBe(`  f(\n    a: A,\n  ):\n    | ${long}\n    | ${long};`);
  expect(wrapImport("import", [long, long], '"m"')).toBe(`import {\n  ${long},\n  ${long},\n} from "m";`);
  expect(wrapObject(["a: 1", "b: 2"], "  ")).toBe("  { a: 1, b: 2 },");
  expect(wrapObject([`a: ${long}`, `b: ${long}`], "  ", "o: ")).toBe(`  o: {\n    a: ${long},\n    b: ${long},\n  },`);
});

test("imports and package are told from comments and strings", () => {
  const text = `
    // import "comment.proto";
    /* package no; import "block.proto"; */
    package a.b;
    import "one.proto"; import public 'two.proto';import weak"three.proto";
    option x = "// not a comment"; import "four.proto";
  `;
  expect(outline(text)).toEqual({ package: "a.b", imports: ["one.proto", "two.proto", "three.proto", "four.proto"] });
  expect(outline("")).toEqual({ package: "", imports: [] });
});
