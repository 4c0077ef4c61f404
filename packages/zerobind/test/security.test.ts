import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";

const root = join(import.meta.dirname, "../../..");
const page = readFileSync(join(root, "docs/security.md"), "utf8");
const readme = readFileSync(join(root, "README.md"), "utf8");
const hosts = ["alpha", "beta"] as const;

/** A block of the page: lines for a shell on one of the hosts, a program, or what the shell lines before it print. */
interface Block {
  readonly kind: "sh" | "ts" | "text";
  readonly text: string;
}

const section = page.slice(page.indexOf("## Two hosts"), page.indexOf("\n## ", page.indexOf("## Two hosts") + 1));
const blocks = blocksOf(section);

function blocksOf(text: string): Block[] {
  return [...text.matchAll(/^```(sh|ts|text)\n(.*?)^```$/gms)].map(([, kind, inner = ""]) => ({
    kind: kind as Block["kind"],
    text: inner,
  }));
}

/** Two hosts are two folders here; `npx` and `scp` are stand-ins that find the command and the other host in them. */
class TwoHosts {
  readonly folder = mkdtempSync(join(tmpdir(), "zerobind-security-"));
  readonly #port: number;
  readonly #running = new Set<ChildProcess>();

  constructor(port: number) {
    this.#port = port;
    const bin = join(this.folder, "bin");
    const tsc = join(root, "node_modules/@typescript/native/bin/tsc");
    const zerobind = join(root, "packages/zerobind/bin/zerobind.js");
    this.put(
      "bin/npx",
      `#!/bin/sh\ncommand=$1; shift\ncase $command in tsc) exec node ${tsc} "$@";; zerobind) exec node ${zerobind} "$@";; esac\n`,
    );
    this.put(
      "bin/scp",
      `#!/bin/sh\nat() { case $1 in *:*) echo "${this.folder}/\${1%%:*}/\${1#*:}";; *) echo "$1";; esac; }\nexec cp "$(at "$1")" "$(at "$2")"\n`,
    );
    for (const name of ["npx", "scp"]) chmodSync(join(bin, name), 0o755);
    symlinkSync(process.execPath, join(bin, "node"));
    const nodeTypes = dirname(createRequire(join(root, "package.json")).resolve("@types/node/package.json"));
    for (const host of hosts) {
      for (const [name, target] of [
        ["zerobind", join(root, "packages/zerobind")],
        ["@types/node", nodeTypes],
      ] as const) {
        const path = join(this.folder, host, "node_modules", name);
        mkdirSync(dirname(path), { recursive: true });
        symlinkSync(target, path);
      }
      this.put(`${host}/package.json`, '{ "type": "module" }');
      this.put(`${host}/tsconfig.json`, /^```jsonc\n(.*?)^```$/ms.exec(readme)?.[1] ?? "");
      this.put(`${host}/protos/greeter.proto`, /^```proto\n(.*?)^```$/ms.exec(readme)?.[1] ?? "");
    }
  }

  put(path: string, text: string): void {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true });
    writeFileSync(join(this.folder, path), text);
  }

  /** A program of the page, on both hosts. */
  program(text: string): void {
    const path = /^\/\/ (\S+)/.exec(text)?.[1] ?? "";
    const here = text
      .replace("tcp://*:5555", `tcp://*:${this.#port}`)
      .replace("tcp://alpha:5555", `tcp://127.0.0.1:${this.#port}`);
    for (const host of hosts) this.put(`${host}/${path}`, here);
  }

  /** Runs the lines on the host that the first of them names; what they print, up to their end or to its first line. */
  async run(lines: string, untilFirstLine: boolean): Promise<string> {
    const host = /^# on (\S+)/.exec(lines)?.[1] ?? "";
    const child = spawn("/bin/sh", ["-c", lines], {
      cwd: join(this.folder, host),
      env: { ...process.env, PATH: `${join(this.folder, "bin")}:/usr/bin:/bin` },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    this.#running.add(child);
    let output = "";
    child.stderr.on("data", (chunk: Buffer) => (untilFirstLine ? undefined : (output += chunk.toString())));
    const firstLine = new Promise<void>((resolve) =>
      child.stdout.on("data", (chunk: Buffer) => {
        output += chunk.toString();
        if (untilFirstLine && output.includes("\n")) resolve();
      }),
    );
    await Promise.race([firstLine, once(child, "close")]);
    return output.replaceAll(`127.0.0.1:${this.#port}`, "alpha:5555");
  }

  close(): void {
    for (const child of this.#running)
      if (child.exitCode === null && child.signalCode === null && child.pid !== undefined)
        process.kill(-child.pid, "SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

let two: TwoHosts;

beforeAll(async () => {
  const server = createServer().listen(0);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  two = new TwoHosts(port);
  for (const host of hosts) await two.run(`# on ${host}\nnpx zerobind generate protos --out src/gen`, false);
});
afterAll(() => two.close());

test("every line of the two hosts does what docs/security.md says", async () => {
  expect(blocks.filter(({ kind }) => kind === "sh").length).toBeGreaterThanOrEqual(4);
  for (const [index, { kind, text }] of blocks.entries()) {
    if (kind === "ts") two.program(text);
    if (kind !== "sh") continue;
    const next = blocks[index + 1];
    const output = await two.run(text, text.includes("server.js"));
    if (next?.kind !== "text") continue;
    const [before = "", after = ""] = next.text.split("…");
    expect(output.slice(0, before.length)).toBe(before);
    expect(output.endsWith(after)).toBe(true);
  }
}, 60_000);

test("the other programs of docs/security.md print what it says", async () => {
  const rest = blocksOf(page.slice(page.indexOf(section) + section.length));
  const programs = rest.flatMap(({ kind, text }, index) => (kind === "ts" ? [[text, rest[index + 1]?.text]] : []));
  expect(programs.length).toBeGreaterThan(0);
  for (const [text = "", printed] of programs) {
    two.program(text);
    const path = /^\/\/ src\/(\S+)\.ts/.exec(text)?.[1] ?? "";
    expect(await two.run(`# on alpha\nnpx tsc && node dist/${path}.js`, false)).toBe(printed);
  }
}, 60_000);
