import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";

const root = join(import.meta.dirname, "../../..");
const guide = readFileSync(join(root, "docs/guide.md"), "utf8");
const readme = readFileSync(join(root, "README.md"), "utf8");

/** The programs of the guide: where each belongs, its text, and what it prints. */
const programs = [...guide.matchAll(/^```ts\n(\/\/ (\S+)\n.*?)^```\n\n```text\n(.*?)^```$/gms)].map(
  ([, text = "", path = "", printed = ""]) => ({ path, text, printed }),
);

let project = "";
let compiled = "";

function put(path: string, text: string): void {
  mkdirSync(dirname(join(project, path)), { recursive: true });
  writeFileSync(join(project, path), text);
}

/** Starts a program in the folder of the project; gives what it prints. */
async function run(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: project, timeout: 60_000 });
  return stdout;
}

beforeAll(async () => {
  project = mkdtempSync(join(tmpdir(), "zerobind-guide-"));
  mkdirSync(join(project, "node_modules/@types"), { recursive: true });
  symlinkSync(join(root, "packages/zerobind"), join(project, "node_modules/zerobind"));
  const nodeTypes = createRequire(join(root, "package.json")).resolve("@types/node/package.json");
  symlinkSync(dirname(nodeTypes), join(project, "node_modules/@types/node"));
  put("package.json", '{ "type": "module" }');
  const [, proto = "", path = ""] = /^```proto\n(\/\/ (\S+)\n.*?)^```$/ms.exec(guide) ?? [];
  put(path, proto);
  put("tsconfig.json", /^```jsonc\n(.*?)^```$/ms.exec(readme)?.[1] ?? "");
  for (const program of programs) put(program.path, program.text);
  await run(join(root, "packages/zerobind/bin/zerobind.js"), "generate", "protos", "--out", "src/gen");
  compiled = await run(join(root, "node_modules/@typescript/native/bin/tsc")).catch(
    (error: unknown) => (error as { stdout: string }).stdout,
  );
}, 60_000);

afterAll(() => rmSync(project, { recursive: true, force: true }));

describe("the guide", () => {
  test("has only whole programs, each with what it prints", () => {
    expect(programs.length).toBe(guide.split("```ts\n").length - 1);
    expect(new Set(programs.map(({ path }) => path)).size).toBe(programs.length);
  });

  test("has programs that compile", () => {
    expect(compiled).toBe("");
  });

  test.each(programs)("$path prints what the guide says", async ({ path, printed }) => {
    expect(await run(path.replace(/^src/, "dist").replace(/ts$/, "js"))).toBe(printed);
  });
});
