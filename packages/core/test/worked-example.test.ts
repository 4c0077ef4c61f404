import { readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
import { Message, binding, memory } from "@zerobind/core";
import { BatchReader } from "../src/records.ts";

const text = readFileSync(new URL("../../../docs/protocol.md", import.meta.url), "utf8");
const tag = "01020304";
const epoch = "0102030405060708";

/** The frames of the worked example by the name of their record: all bytes at the beginnings of the lines. */
function frames(): Map<string, string> {
  const [, block = ""] = /## \d+\. One call[^]*?```text\n([^]*?)```/.exec(text) ?? [];
  const found = new Map<string, string>();
  let name = "";
  for (const line of block.split("\n")) {
    const [, record] = /^([A-Z]+), /.exec(line) ?? [];
    if (record) name = record;
    const [bytes = ""] = /^(?:[0-9a-f]{2}(?: |$))+/.exec(line) ?? [];
    found.set(name, (found.get(name) ?? "") + bytes.replaceAll(" ", ""));
  }
  return found;
}

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));
const hex = (data: Uint8Array): string => Buffer.from(data).toString("hex");
/** The tag stands behind mark, version and count. */
const withTag = (frame: string, other: string): string => frame.slice(0, 8) + other + frame.slice(16);

test("the worked example of docs/protocol.md is what a server says and understands", async () => {
  const example = frames();
  expect([...example.keys()].filter(Boolean)).toEqual(["HELLO", "WELCOME", "CALL", "END"]);
  const server = await binding(memory()).listen("memory://*");
  const received: string[] = [];
  let arrived = (): void => undefined;
  const attachment = await memory().attach(
    server.address,
    { mode: "connect", maxFrameBytes: 1 << 20, greeting: bytes(example.get("HELLO")!) },
    {
      accept: (link) => ({
        receive: ([frame]) => {
          received.push(hex(frame!));
          const real = received[0]!.slice(8, 16);
          if (received.length === 1) link.send([bytes(withTag(example.get("CALL")!, real))]);
          else arrived();
        },
        lost: () => undefined,
      }),
      trouble: () => undefined,
    },
  );
  const answered = new Promise<void>((resolve) => (arrived = resolve));
  const context = await server.receiveRequest();
  expect(context!.request.path).toBe("examples.greeter.v1.Greeter/SayHello");
  expect(hex(context!.request.body)).toBe(hex(bytes("0a03416461")));
  await context!.reply(new Message(bytes("0a0a48656c6c6f2c20416461")));
  await answered;
  const [welcomed, ended] = received.map((frame) => withTag(frame, tag));
  // Random like the tag: the epoch, which begins after the header of the record and four bytes of meta.
  expect(welcomed!.slice(0, 56) + epoch + welcomed!.slice(72)).toBe(example.get("WELCOME"));
  expect(ended).toBe(example.get("END"));
  await attachment.close(0);
  await server.close();
  for (const [name, frame] of example) {
    if (name === "") continue;
    const reader = new BatchReader([bytes(frame)]);
    while (reader.next());
  }
});
