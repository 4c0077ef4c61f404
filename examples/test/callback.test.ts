import { expect, test } from "@jest/globals";
import { start, startServer } from "./support/programs.ts";

test("both sides play by themselves", async () => {
  await using callback = start("callback/main.js");
  await callback.succeeded();
  expect(callback.lines.at(-1)).toBe("callback: ok");
});

test("a server asks its caller, in a process of its own, and goes by the answer", async () => {
  const { server, address } = await startServer("callback/main.js", "--serve");
  await using _server = server;
  await using agreeing = start("callback/main.js", "--deploy", "1.2", "--address", address);
  await using declining = start("callback/main.js", "--deploy", "1.3", "--address", address);
  await Promise.all([agreeing, declining].map((operator) => operator.line(/^Deploy .+ to 3 machines\? /)));

  agreeing.type("yes");
  declining.type("no");
  await agreeing.succeeded();
  expect(agreeing.lines.slice(-4)).toEqual([
    "north has 1.2",
    "south has 1.2",
    "west has 1.2",
    "done: north, south, west",
  ]);
  expect(await declining.exit).toMatchObject({ code: 1 });
  expect(declining.lines.at(-1)).toBe("ABORTED: the operator said no");
});

test("a caller that is killed in the middle of a question does no harm to the others", async () => {
  const { server, address } = await startServer("callback/main.js", "--serve");
  await using _server = server;
  {
    await using killed = start("callback/main.js", "--deploy", "1.2", "--address", address);
    await killed.line(/^Deploy 1\.2 /);
  }
  await using next = start("callback/main.js", "--deploy", "1.3", "--address", address);
  await next.line(/^Deploy 1\.3 /);
  next.type("yes");
  await next.succeeded();
  await server.stop();
});
