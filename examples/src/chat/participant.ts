import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { Channel } from "zerobind";
import type { Heard, Said } from "../gen/examples/chat/v1/chat.pb.ts";
import { ChatRoom } from "../gen/examples/chat/v1/chat.rpc.ts";

/** Joins a room: the lines of `keyboard` are said there, and what is said there comes out. Whose input ends, leaves. */
export function join(channel: Channel, name: string, keyboard: Readable): AsyncIterable<Heard> {
  return channel.client(ChatRoom).join(saying(name, keyboard), { timeoutMs: Infinity, waitForReady: true });
}

/** How a line reads. */
export function show({ author, text }: Heard): string {
  return author === "" ? `* ${text}` : `${author}: ${text}`;
}

async function* saying(name: string, keyboard: Readable): AsyncGenerator<Said> {
  yield { content: { $case: "name", value: name } };
  for await (const value of createInterface(keyboard)) yield { content: { $case: "text", value } };
}
