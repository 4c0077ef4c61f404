import { expect, test } from "@jest/globals";
import { start } from "./support/programs.ts";

test.each(["queue", "events", "pipeline", "one-way", "workers", "callback", "duplex-chat"])(
  "the example %s plays to its end in less than ten seconds",
  async (name) => {
    const startMs = performance.now();
    await using example = start("patterns/main.js", name);
    await example.succeeded();
    expect(example.lines.at(-1)).toBe(`example ${name}: ok`);
    expect(performance.now() - startMs).toBeLessThan(10_000);
  },
  20_000,
);

test("without a name, or with a wrong one, it says which there are", async () => {
  await using list = start("patterns/main.js");
  await list.succeeded();
  expect(list.lines.join("\n")).toContain("duplex-chat");
  await using wrong = start("patterns/main.js", "nothing");
  expect(await wrong.exit).toMatchObject({ code: 2 });
  expect(wrong.lines[0]).toMatch(/^there is no example "nothing"; there are queue, /);
});

test("an example that is stopped says so, and its processes end with it", async () => {
  await using example = start("patterns/main.js", "duplex-chat");
  await example.line(/^room/);
  await expect(example.stop("SIGINT")).rejects.toThrow("stopped before it was done");
});
