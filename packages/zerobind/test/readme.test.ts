import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";

const root = join(import.meta.dirname, "../../..");
const readme = readFileSync(join(root, "README.md"), "utf8");

/** The code blocks of a language, without their fences. */
function blocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms"))].map(([, text = ""]) => text);
}

/** Blocks that are files: their first line says which. */
function files(): Map<string, string> {
  const found = ["proto", "ts", "jsonc"]
    .flatMap((language) => blocks(language))
    .map((text) => [/^\/\/ (\S+)\n/.exec(text)?.[1] ?? "", text] as const);
  return new Map(found);
}

/** The commands of all shell blocks. */
const commands = blocks("sh").flatMap((block) => block.trim().split("\n"));

let project = "";

/** Runs a command of the README with the workspace's own tools in the place of what npm would have installed. */
async function run(command: string, ...more: string[]): Promise<string> {
  expect(commands).toContain(command);
  const { file, args } = inWorkspace(command);
  const { stdout } = await promisify(execFile)(file, [...args, ...more], { cwd: project, timeout: 30_000 });
  return stdout;
}

function inWorkspace(command: string): { file: string; args: string[] } {
  const [program = "", ...args] = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(
    ([, quoted, bare]) => quoted ?? bare ?? "",
  );
  if (program === "node") return { file: process.execPath, args };
  const [tool = "", ...rest] = args;
  const paths: Record<string, string> = {
    tsc: join(root, "node_modules/@typescript/native/bin/tsc"),
    zerobind: join(root, "packages/zerobind/bin/zerobind.js"),
  };
  expect(program).toBe("npx");
  return { file: process.execPath, args: [paths[tool] ?? "", ...rest] };
}

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), "zerobind-readme-"));
  mkdirSync(join(project, "node_modules/@types"), { recursive: true });
  symlinkSync(join(root, "packages/zerobind"), join(project, "node_modules/zerobind"));
  symlinkSync(
    dirname(createRequire(join(root, "package.json")).resolve("@types/node/package.json")),
    join(project, "node_modules/@types/node"),
  );
  writeFileSync(join(project, "package.json"), '{ "type": "module" }');
  for (const [path, text] of files()) {
    mkdirSync(dirname(join(project, path)), { recursive: true });
    writeFileSync(join(project, path), text);
  }
});

afterAll(() => rmSync(project, { recursive: true, force: true }));

describe("the README", () => {
  test("has a contract, a server, two clients and a configuration, and is short", () => {
    expect([...files().keys()]).toEqual([
      "protos/greeter.proto",
      "src/server.ts",
      "src/client.ts",
      "src/more.ts",
      "tsconfig.json",
    ]);
    expect(readme.split("\n").length).toBeLessThanOrEqual(200);
  });

  test("names only files that exist", () => {
    for (const [, path = ""] of readme.matchAll(/\]\(([^)]+)\)/g))
      expect(() => readFileSync(join(root, path))).not.toThrow(/ENOENT/);
  });

  test("leads from a proto to a server and clients that work", async () => {
    await run("npx zerobind generate protos --out src/gen");
    await run("npx zerobind generate protos --out src/gen --check");
    await run("npx tsc");
    const { file, args } = inWorkspace("node dist/server.js");
    expect(commands).toContain("node dist/server.js");
    const server = spawn(file, [...args, "tcp://127.0.0.1:*"], { cwd: project, stdio: ["ignore", "pipe", "inherit"] });
    try {
      const address = await addressOf(server);
      expect(await run("node dist/client.js", address)).toBe(blocks("text")[0]);
      const more = await promisify(execFile)(process.execPath, ["dist/more.js", address], {
        cwd: project,
        timeout: 30_000,
      });
      expect(more.stdout).toMatch(
        /^RpcError \[INVALID_ARGUMENT\]: a name must not be empty\n(100\n)?(99\n)?DEADLINE_EXCEEDED\n100\n$/,
      );
      const call = commands.find((command) => command.startsWith("npx zerobind call")) ?? "";
      const inShell = inWorkspace(call.replace("tcp://127.0.0.1:5555", address));
      const called = await promisify(execFile)(inShell.file, inShell.args, { cwd: project, timeout: 30_000 });
      expect(JSON.parse(called.stdout)).toEqual({ text: "Hello, Ada" });
      const ended = new Promise((resolve) => server.once("exit", resolve));
      server.kill("SIGINT");
      expect(await ended).toBe(0);
    } finally {
      server.kill("SIGKILL");
    }
  }, 60_000);
});

/** Where a server says that it listens. */
async function addressOf(server: ChildProcess): Promise<string> {
  if (!server.stdout) throw new Error("the server's output is not read");
  for await (const line of createInterface(server.stdout)) {
    const [, address] = /^listening (\S+)$/.exec(line) ?? [];
    if (address !== undefined) return address;
  }
  throw new Error("the server ended without listening");
}
