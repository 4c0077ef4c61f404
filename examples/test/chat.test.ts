import { expect, test } from "@jest/globals";
import { start, startServer } from "./support/programs.ts";

test("a conversation plays by itself", async () => {
  await using chat = start("chat/main.js");
  await chat.succeeded();
  expect(chat.lines.at(-1)).toBe("chat: ok");
});

test("participants in processes of their own hear each other come, talk and go", async () => {
  const { server, address } = await startServer("chat/main.js", "--serve");
  await using _server = server;
  await using ada = start("chat/main.js", "--join", "Ada", "--address", address);
  await ada.line(/^\* Ada has joined$/);
  await using grace = start("chat/main.js", "--join", "Grace", "--address", address);
  await Promise.all([ada.line(/^\* Grace has joined$/), grace.line(/^\* Grace has joined$/)]);

  ada.type("hello Grace");
  await grace.line(/^Ada: hello Grace$/);
  grace.type("hello Ada");
  await ada.line(/^Grace: hello Ada$/);

  await using second = start("chat/main.js", "--join", "Ada", "--address", address);
  expect(await second.exit).toMatchObject({ code: 1 });
  expect(second.lines).toEqual(["ALREADY_EXISTS: there is a Ada in the room already"]);

  grace.endInput();
  await grace.succeeded();
  await ada.line(/^\* Grace has left$/);
  expect(ada.lines).toEqual([
    "* Ada has joined",
    "* Grace has joined",
    "Ada: hello Grace",
    "Grace: hello Ada",
    "* Grace has left",
  ]);
});

test("a participant whose process is killed has left", async () => {
  const { server, address } = await startServer("chat/main.js", "--serve");
  await using _server = server;
  await using ada = start("chat/main.js", "--join", "Ada", "--address", address);
  await ada.line(/^\* Ada has joined$/);
  {
    await using grace = start("chat/main.js", "--join", "Grace", "--address", address);
    await grace.line(/^\* Grace has joined$/);
  }
  await ada.line(/^\* Grace has left$/);
  ada.endInput();
  await ada.succeeded();
  await server.stop();
});
