import { expect, test } from "@jest/globals";
import type { Interceptor } from "zerobind";
import type { SimpleResponse } from "../src/gen/grpc/testing/messages.pb.ts";
import { interopHost } from "../src/interop/host.ts";
import { allCases } from "../src/interop/run-cases.ts";
import { start } from "./support/programs.ts";

const interop = "interop/main.js";
const small = ["--iterations", "5", "--concurrent", "20"];

test("all cases pass over memory and tcp, and the table shows each", async () => {
  await using program = start(interop, "--transport", "memory,tcp", ...small);
  await program.succeeded();
  expect(program.lines.at(-1)).toBe(`interop: ${2 * allCases.length} passed, 0 failed`);
  expect(program.lines.filter((line) => /^case +tcp +memory/.test(line))).toHaveLength(1);
  for (const { name } of allCases)
    expect(program.lines.filter((line) => new RegExp(`^${name} +[\\d.,]+ ✓ +[\\d.,]+ ✓$`).test(line))).toHaveLength(1);
});

test("the two halves find each other, and the server stops when it is asked to", async () => {
  await using server = start(interop, "--server", "--address", "tcp://127.0.0.1:*");
  const [, address = ""] = await server.line(/^listening on (.+)$/);
  await using client = start(interop, "--client", "--address", address, "--case", "ping_pong,empty_unary");
  await client.succeeded();
  expect(client.lines).toEqual([
    expect.stringMatching(/^✓ empty_unary +[\d.,]+ ms$/),
    expect.stringMatching(/^✓ ping_pong +[\d.,]+ ms$/),
    "interop: 2 passed, 0 failed",
  ]);
  await server.stop("SIGINT");
});

test("a server whose payloads are a byte short fails, and each case says what came", async () => {
  const short: Interceptor = async (call, next) => {
    const response = (await next(call)) as SimpleResponse;
    return { ...response, payload: { body: response.payload?.body.subarray(1) } };
  };
  const unary: Interceptor = (call, next) => (call.method.name === "UnaryCall" ? short(call, next) : next(call));
  await using host = interopHost({ interceptors: [unary] });
  await host.open("tcp://127.0.0.1:*");
  const cases = "empty_unary,large_unary,rpc_soak";
  await using client = start(interop, "--client", "--address", host.address, "--case", cases, ...small);
  expect(await client.exit).toEqual({ code: 1, signal: null });
  expect(client.lines).toEqual([
    expect.stringMatching(/^✓ empty_unary/),
    expect.stringMatching(/^✗ large_unary .* the response has 314158 bytes, not 314159$/),
    expect.stringMatching(/^✗ rpc_soak .* 5 of 5 calls failed, the first: the response has 314158 bytes, not 314159$/),
    "interop: 1 passed, 2 failed",
  ]);
});

test("a run that is stopped says so and is no success", async () => {
  await using program = start(interop, "--transport", "tcp");
  await program.line(/^\d+ cases over tcp$/);
  await expect(program.stop("SIGINT")).rejects.toThrow("interop: stopped before it was done");
  expect(await program.exit).toEqual({ code: 1, signal: null });
});

test.each([
  ["an unknown flag", ["--tls"], /Unknown option '--tls'/],
  ["no address", ["--server"], /--server needs an address, for example/],
  ["an address that is none", ["--client", "--address", "localhost:1"], /addresses begin with tcp:\/\//],
  ["an unknown case", ["--case", "empty_unary,jwt"], /there is no case "jwt"; there are empty_unary, /],
  ["an unknown transport", ["--transport", "udp"], /there is no transport "udp"; there are tcp, ipc, /],
  ["both halves", ["--server", "--client"], /give one of them/],
  ["a flag that says nothing", ["--server", "--address", "tcp://127.0.0.1:*", "--case", "ping_pong"], /leave it out/],
  ["a number that is none", ["--iterations", "many"], /--iterations must be a whole number/],
])("%s is a usage error", async (_, args, problem) => {
  await using program = start(interop, ...args);
  expect(await program.exit).toEqual({ code: 2, signal: null });
  expect(program.lines[0]).toMatch(/^interop: /);
  expect(program.lines[0]).toMatch(problem);
  expect(program.lines).toContain("usage:");
});
