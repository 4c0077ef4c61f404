import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";

const root = join(import.meta.dirname, "../../..");
const page = readFileSync(join(root, "docs/architecture.md"), "utf8");

/** The files of the first column's rooms: all names in backticks of a table's second column, up to a semicolon. */
function listed(folder: string): string[] {
  const [, rooms = ""] = new RegExp(`\\*\\*\`${folder}\`\\*\\*\\n\\n(.*?)\\n\\n`, "s").exec(page) ?? [];
  return rooms
    .split("\n")
    .slice(2)
    .flatMap((row) =>
      [...(row.split("|")[2]?.split(";")[0] ?? "").matchAll(/`([^`]+)`/g)].map(([, file = ""]) => file),
    );
}

test.each(["packages/core/src", "packages/zeromq/src", "packages/zerobind/src"])(
  "the rooms of %s are its files",
  (folder) => {
    const files = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .map((path) => path.replaceAll("\\", "/"))
      .filter((path) => path.endsWith(".ts") && !path.startsWith("gen/"));
    expect(listed(folder).toSorted()).toEqual(files.toSorted());
  },
);

test("docs/architecture.md names no file that is not there", () => {
  const names = [...page.matchAll(/`([\w-]+\.ts)`/g)].map(([, name = ""]) => name);
  const known = ["packages", "codegen/src"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).filter(
      (path) => path.endsWith(".ts") && !path.includes("node_modules"),
    ),
  );
  const there = new Set(known.map((path) => path.split(/[/\\]/).at(-1)));
  expect(names.filter((name) => !there.has(name))).toEqual([]);
});
