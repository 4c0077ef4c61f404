import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { generate } from "../src/index.ts";
import { filesIn, folderWith, root, run } from "./support.ts";

const golden = join(import.meta.dirname, "golden");

/** `npm run generate` brings the golden files up to date. */
const options = { protos: [golden], runtime: "@zerobind/core", importExtension: "ts" } as const;

test("generates the golden files, byte for byte", async () => {
  const result = await generate({ ...options, out: join(golden, "gen"), check: true });
  expect(result.changed).toEqual([]);
  expect(result.files.map((path) => path.slice(join(golden, "gen").length + 1))).toEqual(
    Object.keys(filesIn(join(golden, "gen"))),
  );
});

test("golden files pass the type check with all strict flags", () => {
  run(process.execPath, ["node_modules/@typescript/native/bin/tsc", "-p", join(golden, "tsconfig.json")]);
}, 60_000);

test("what was generated is not written again, and other files are left alone", async () => {
  const out = folderWith({ "mine.ts": "export {};\n" });
  const first = await generate({ ...options, out });
  expect(first.changed).toEqual(first.files);
  expect((await generate({ ...options, out })).changed).toEqual([]);
  expect(filesIn(out)).toEqual({ ...filesIn(join(golden, "gen")), "mine.ts": "export {};\n" });
});

test("check says what differs and writes nothing", async () => {
  const out = folderWith({ "legacy/legacy.rpc.ts": "old\n" });
  const { files, changed } = await generate({ ...options, out, check: true });
  expect(changed).toEqual(files);
  expect(filesIn(out)).toEqual({ "legacy/legacy.rpc.ts": "old\n" });
});

test("generated code says nothing of the machine it was made on", () => {
  const all = Object.values(filesIn(join(golden, "gen"))).join("\n");
  expect(all).not.toContain(root);
  expect(all).not.toMatch(/\b(202\d-\d\d-\d\d|v\d+\.\d+\.\d+)\b/);
});
