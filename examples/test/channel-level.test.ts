import { expect, test } from "@jest/globals";
import { start } from "./support/programs.ts";

test("request contexts are answered out of order, refused, and never forgotten", async () => {
  await using program = start("channel-level/main.js");
  await program.succeeded();
  expect(program.lines).toEqual([
    "server: received one",
    "server: received two",
    "server: received three",
    "client: three came back as eerht",
    "client: two came back as owt",
    "client: one came back as eno",
    "server: received refuse me",
    "client: refuse me: RpcError [FAILED_PRECONDITION]: as you wish",
    "server: received forget me",
    "client: forget me: RpcError [UNKNOWN]: the server did not answer the call",
    "channel-level: ok",
  ]);
});
