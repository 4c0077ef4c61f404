import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";

const root = join(import.meta.dirname, "../../..");
const readme = readFileSync(join(root, "README.md"), "utf8");

/** Documents whose examples are whole programs, each with a contract of its own. */
const documents = ["guide.md", "from-wcf.md", "patterns.md"];

/** A project in a folder of its own, with what a document tells its reader to put there. */
class Project implements Disposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), "zerobind-guide-"));

  put(path: string, text: string): void {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true });
    writeFileSync(join(this.folder, path), text);
  }

  link(name: string, target: string): void {
    const path = join(this.folder, "node_modules", name);
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(target, path);
  }

  /** Starts a program in the folder; gives what it prints. */
  async run(...args: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: this.folder, timeout: 60_000 });
    return stdout;
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

describe.each(documents)("%s", (name) => {
  const text = readFileSync(join(root, "docs", name), "utf8");
  /** Where each program belongs, its text, and what it prints; modules that others load print nothing. */
  const programs = [...text.matchAll(/^```ts\n(\/\/ (\S+)\n.*?)^```\n(?:\n```text\n(.*?)^```$)?/gms)].map(
    ([, program = "", path = "", printed]) => ({
      path,
      program,
      printed: printed ?? "",
      isModule: printed === undefined,
    }),
  );
  let project: Project;
  let compiled = "";

  beforeAll(async () => {
    project = new Project();
    project.link("zerobind", join(root, "packages/zerobind"));
    const nodeTypes = createRequire(join(root, "package.json")).resolve("@types/node/package.json");
    project.link("@types/node", dirname(nodeTypes));
    project.put("package.json", '{ "type": "module" }');
    for (const [, proto = "", path = ""] of text.matchAll(/^```proto\n(\/\/ (\S+)\n.*?)^```$/gms))
      project.put(path, proto);
    project.put("tsconfig.json", /^```jsonc\n(.*?)^```$/ms.exec(readme)?.[1] ?? "");
    for (const { path, program } of programs) project.put(path, program);
    await project.run(join(root, "packages/zerobind/bin/zerobind.js"), "generate", "protos", "--out", "src/gen");
    compiled = await project
      .run(join(root, "node_modules/@typescript/native/bin/tsc"))
      .catch((error: unknown) => (error as { stdout: string }).stdout);
  }, 60_000);

  afterAll(() => project[Symbol.dispose]());

  test("has only whole programs, each with what it prints", () => {
    expect(programs.length).toBe(text.split("```ts\n").length - 1);
    expect(new Set(programs.map(({ path }) => path)).size).toBe(programs.length);
    for (const { path } of programs.filter(({ isModule }) => isModule)) expect(path).toMatch(/-worker\.ts$/);
  });

  test("has programs that compile", () => {
    expect(compiled).toBe("");
  });

  test.each(programs.filter(({ isModule }) => !isModule))(
    "$path prints what the page says",
    async ({ path, printed }) => {
      expect(await project.run(path.replace(/^src/, "dist").replace(/ts$/, "js"))).toBe(printed);
    },
  );
});
