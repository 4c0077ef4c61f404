import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { Status } from "zerobind";
import { modulesLoadedBy, runHere, runProcess, startProcess } from "./support/cli.ts";
import { everythingHost } from "./support/everything-host.ts";
import { everythingProto, folderWith, protosFolder } from "./support/protos.ts";

const builtModule = (path: string): string => JSON.stringify(new URL(`../dist/${path}`, import.meta.url));

const { version } = createRequire(import.meta.url)("../package.json") as { version: string };
const quiet = { status: 0, stderr: "" };

beforeAll(() => {
  const built = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
  if (!existsSync(built)) throw new Error(`${built} is not there: these tests run what was built, see npm run build`);
});

describe("help and version", () => {
  test("are printed on request", async () => {
    expect(await runProcess(["--version"])).toEqual({ ...quiet, stdout: `${version}\n` });
    const help = await runProcess(["--help"]);
    expect(help).toMatchObject(quiet);
    expect(help.stdout).toMatch(/^Usage: zerobind \[options\] \[command\]\n[^]*generate [^]*call /);
    expect((await runHere(["help", "call"])).stdout).toMatch(
      /Exit status: 0 if the call succeeds[^]*zerobind call tcp:/,
    );
    expect((await runHere(["generate", "--help"])).stdout).toMatch(/zerobind generate protos --out src\/gen/);
  });

  test("need nothing but the parser of the command line", async () => {
    const modules = await modulesLoadedBy(
      `const { main } = await import(${builtModule("cli/main.js")}); await main(["--help"]);`,
    );
    expect(modules).toMatch(/commander/);
    expect(modules).not.toMatch(
      /zeromq|protobufjs|ts-proto|bufbuild|codegen|core\/dist|dist\/(index\.js|chunks\/(call|generate))/,
    );
  });

  test("nor does the library load what only loadContract and the command need", async () => {
    const modules = await modulesLoadedBy(`await import(${builtModule("index.js")});`);
    expect(modules).toMatch(/packages\/core\/dist/);
    expect(modules).not.toMatch(/protobufjs|codegen|ts-proto|commander|reflect-metadata|node:(crypto|net|fs)$/m);
  });

  test("and loads few files, which is most of what importing it costs", async () => {
    const modules = (await modulesLoadedBy(`await import(${builtModule("index.js")});`)).trim().split("\n");
    const files = new Set(modules.filter((url) => url.startsWith("file:") && !/node_modules\/zeromq\//.test(url)));
    expect(files.size).toBeLessThanOrEqual(8);
  });

  test.each([
    [[], /Usage: zerobind/],
    [["frobnicate"], /error: unknown command 'frobnicate'/],
    [["cal"], /Did you mean call\?/],
    [["call", "--proto", "x"], /error: missing required argument 'address'/],
    [["call", "tcp://127.0.0.1:1", "a.S/M"], /error: required option '-p, --proto <file>' not specified/],
    [["call", "tcp://127.0.0.1:1", "a.S/M", "{}", "more", "--proto", "x"], /error: too many arguments/],
    [["generate", "protos"], /error: required option '-o, --out <folder>' not specified/],
    [["generate", "--out", "x"], /error: missing required argument 'protos'/],
    [["generate", "protos", "--out", "x", "--import-extension", "jsx"], /Allowed choices are js, ts, none/],
  ])("%j is a wrong command line", async (args, message) => {
    const { status, stdout, stderr } = await runHere(args);
    expect({ status, stdout }).toEqual({ status: 64, stdout: "" });
    expect(stderr).toMatch(message);
  });
});

describe("generate", () => {
  test("writes code, leaves alone what is up to date, and checks", async () => {
    await using folder = await folderWith({});
    const args = [
      "generate",
      `${protosFolder}/examples/greeter`,
      "-I",
      protosFolder,
      "--out",
      "gen",
      "--import-extension",
      "ts",
    ];
    const inFolder = { cwd: folder.path };
    expect(await runProcess([...args, "--check"], inFolder)).toMatchObject({
      status: 1,
      stdout: "",
      stderr: expect.stringMatching(/^not up to date:\n {2}gen\/.*greeter\.pb\.ts\n[^]*without --check/),
    });
    const written = await runProcess(args, inFolder);
    expect(written).toMatchObject(quiet);
    expect(written.stdout).toMatch(
      /^wrote gen\/examples\/greeter\/v1\/greeter\.pb\.ts\nwrote gen\/examples\/greeter\/v1\/greeter\.rpc\.ts\n$/,
    );
    const code = `${folder.path}/gen/examples/greeter/v1/greeter.rpc.ts`;
    expect(await readFile(code, "utf8")).toContain('from "./greeter.pb.ts"');
    expect(await runProcess(args, inFolder)).toEqual({ ...quiet, stdout: "2 of 2 files up to date\n" });
    expect((await runProcess([...args, "--check"], inFolder)).status).toBe(0);
    await writeFile(code, "changed");
    expect((await runProcess([...args, "--check"], inFolder)).stderr).toBe(
      "not up to date:\n  gen/examples/greeter/v1/greeter.rpc.ts\nrun the same command without --check to write it\n",
    );
  });

  test("tells what is wrong with the protos", async () => {
    await using folder = await folderWith({ "bad.proto": 'syntax = "proto3";\nmessage A {\n  Nope x = 1;\n}\n' });
    const { status, stderr } = await runProcess(["generate", "bad.proto", "--out", "gen"], { cwd: folder.path });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^bad\.proto:3:3: /);
  });
});

describe("protoc-gen-zerobind", () => {
  test("speaks the protocol of plugins", async () => {
    // An empty request is answered by a response that says which features there are, and has no files.
    const { status, stdout, stderr } = await runProcess([], { command: "protoc-gen-zerobind" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).not.toBe("");
  });
});

describe("call, as a process over tcp", () => {
  const open = (): ReturnType<typeof everythingHost> => everythingHost("tcp://127.0.0.1:*");

  test("calls of all kinds", async () => {
    await using host = await open();
    expect(await runProcess(host.callOf("Echo", '{"stringField":"Ada"}'))).toEqual({
      ...quiet,
      stdout: '{"stringField":"Ada"}\n',
    });
    expect(await runProcess(host.callOf("Repeat", '{"int32Field":3}'))).toEqual({
      ...quiet,
      stdout: '{"int32Field":3}\n'.repeat(3),
    });
    expect(await runProcess(host.callOf("Collect"), { input: "{}\n".repeat(500) })).toEqual({
      ...quiet,
      stdout: '{"int32Field":500}\n',
    });
    const many = Array.from({ length: 500 }, (_, n) => `{"int32Field":${n + 1}}\n`).join("");
    expect(await runProcess(host.callOf("Relay"), { input: many })).toEqual({ ...quiet, stdout: many });
    const told = host.service.next("told");
    expect(await runProcess(host.callOf("Notify", '{"stringField":"news"}'))).toEqual({ ...quiet, stdout: "" });
    expect(await told).toBe("news");
  });

  test("requests are sent as they are written, and the process ends although its input goes on", async () => {
    await using host = await open();
    const running = startProcess(host.callOf("Relay"));
    running.stdin.write('{"stringField":"a"}\n');
    expect(await running.line()).toBe('{"stringField":"a"}');
    running.stdin.write('{"stringField":"b"}\n');
    expect(await running.line()).toBe('{"stringField":"b"}');
    running.stdin.write("!\n");
    expect(await running.outcome).toMatchObject({
      status: 64,
      stderr: expect.stringMatching(/standard input, line 3, column 1: this is no JSON/),
    });
  });

  test("errors, deadlines and metadata", async () => {
    await using host = await open();
    const failed = await runProcess(host.callOf("Fail", '{"code":7,"message":"not you"}'));
    expect(failed).toMatchObject({
      status: Status.PERMISSION_DENIED,
      stdout: "",
      stderr: expect.stringMatching(/^PERMISSION_DENIED: not you\n {2}google\.rpc\.BadRequest \{/),
    });
    const late = await runProcess(host.callOf("Echo", '{"stringField":"wait"}', "-t", "300ms"));
    expect(late).toMatchObject({ status: Status.DEADLINE_EXCEEDED, stdout: "" });
    const shown = await runProcess(host.callOf("Echo", "{}", "-m", "key=value", "--show-metadata"));
    expect(shown).toEqual({
      status: 0,
      stdout: "{}\n",
      stderr: "header:\n  header-key: value\ntrailer:\n  trailer-key: value\n",
    });
  });

  test("a server that is not there yet is waited for", async () => {
    const free = await open();
    const { address } = free;
    await free[Symbol.asyncDispose]();
    const running = startProcess(["call", address, "Everything/Echo", "{}", "--proto", everythingProto, "--wait"]);
    await using host = await everythingHost(address);
    expect(host.address).toBe(address);
    running.stdin.end();
    expect(await running.outcome).toEqual({ ...quiet, stdout: "{}\n" });
  });

  test("addresses beyond this machine need --insecure", async () => {
    const args = [
      "call",
      "tcp://192.0.2.1:5555",
      "Everything/Echo",
      "{}",
      "--proto",
      everythingProto,
      "--timeout-ms",
      "20",
    ];
    const refused = await runProcess(args);
    expect(refused.status).toBe(64);
    expect(refused.stderr).toMatch(/--insecure/);
    expect((await runProcess([...args, "--insecure"])).status).toBe(Status.DEADLINE_EXCEEDED);
  });

  test("Ctrl-C cancels the call and ends with 130", async () => {
    await using host = await open();
    const waiting = host.service.next("waiting");
    const running = startProcess(host.callOf("Echo", '{"stringField":"wait"}'));
    await waiting;
    const aborted = host.service.next("aborted");
    running.interrupt();
    expect(await running.outcome).toEqual({ status: 130, stdout: "", stderr: "" });
    await aborted;
  });

  test("| head ends it quietly", async () => {
    await using host = await open();
    const running = startProcess(host.callOf("Repeat", "{}"));
    expect(await running.line()).toBe("{}");
    const left = host.service.next("left");
    running.stdout.destroy();
    expect(await running.outcome).toMatchObject({ status: 0, stderr: "" });
    await left;
  });
});
