import { expect, test } from "@jest/globals";
import { start } from "./support/programs.ts";

test("the demo shows every kind of call, in time, and ends with ok", async () => {
  const startMs = performance.now();
  await using demo = start("demo/main.js");
  await demo.succeeded();
  expect(performance.now() - startMs).toBeLessThan(10_000);
  expect(demo.lines.at(-1)).toBe("demo: ok");
  for (const title of [
    "unary call",
    "server stream",
    "client stream",
    "bidirectional chat",
    "typed error",
    "deadline",
    "cancellation",
  ]) {
    expect(demo.lines.filter((line) => line.startsWith(title))).toHaveLength(1);
  }
});

test("a demo that is stopped says so and leaves no server behind", async () => {
  await using demo = start("demo/main.js");
  const [, address = ""] = await demo.line(/listening on (.+)$/);
  await expect(demo.stop("SIGINT")).rejects.toThrow("stopped before it was done");
  // The port is free again: another server can have it.
  await using server = start("greeter/server.js", "--address", address);
  await server.line(/^listening /);
  await server.stop();
});
