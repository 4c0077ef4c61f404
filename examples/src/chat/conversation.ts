import { deepEqual } from "node:assert/strict";
import { PassThrough } from "node:stream";
import { Channel, ServiceHost } from "zerobind";
import { ChatRoom } from "../gen/examples/chat/v1/chat.rpc.ts";
import { join, show } from "./participant.ts";
import { ChatRoom as Room } from "./room.ts";

/** What is said, in this order; each line when everybody in the room has heard the one before. */
const script = [
  ["Ada", "is anybody there?"],
  ["Grace", "I am"],
  ["Ada", "good, then it works"],
] as const;

/** One who listens to the room, and speaks when told to. */
class Speaker {
  readonly heard: string[] = [];
  readonly left: Promise<void>;
  readonly #keyboard = new PassThrough();
  #waiting: { line: string; heard: () => void } | undefined;

  constructor(channel: Channel, name: string) {
    this.left = this.#listen(join(channel, name, this.#keyboard));
  }

  say(text: string): void {
    this.#keyboard.write(`${text}\n`);
  }

  leave(): void {
    this.#keyboard.end();
  }

  /** Resolves when it has heard a line. */
  hears(line: string): Promise<void> {
    if (this.heard.includes(line)) return Promise.resolve();
    return new Promise((heard) => (this.#waiting = { line, heard }));
  }

  async #listen(lines: ReturnType<typeof join>): Promise<void> {
    for await (const heard of lines) {
      this.heard.push(show(heard));
      if (this.#waiting?.line === this.heard.at(-1)) this.#waiting?.heard();
    }
  }
}

/** Opens a room on a free port, lets two people talk in it, and prints what each of them heard. */
export async function converse(): Promise<void> {
  await using host = new ServiceHost().serve(ChatRoom, new Room());
  await host.open("tcp://127.0.0.1:*");
  await using channel = new Channel(host.address);

  const ada = new Speaker(channel, "Ada");
  await ada.hears("* Ada has joined");
  const grace = new Speaker(channel, "Grace");
  const speakers = { Ada: ada, Grace: grace };
  await Promise.all([ada.hears("* Grace has joined"), grace.hears("* Grace has joined")]);

  for (const [name, text] of script) {
    speakers[name].say(text);
    await Promise.all([ada, grace].map((speaker) => speaker.hears(`${name}: ${text}`)));
  }
  grace.leave();
  await Promise.all([grace.left, ada.hears("* Grace has left")]);
  ada.leave();
  await ada.left;

  const said = script.map(([name, text]) => `${name}: ${text}`);
  deepEqual(ada.heard, ["* Ada has joined", "* Grace has joined", ...said, "* Grace has left"]);
  deepEqual(grace.heard, ["* Grace has joined", ...said]);
  for (const [name, { heard }] of Object.entries(speakers)) console.log(`${name} heard\n  ${heard.join("\n  ")}`);
  console.log("chat: ok");
}
