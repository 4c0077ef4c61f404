import { deepEqual } from "node:assert/strict";
import { Channel, ServiceHost } from "zerobind";
import { join, show } from "../chat/participant.ts";
import { ChatRoom as Room } from "../chat/room.ts";
import { ChatRoom } from "../gen/examples/chat/v1/chat.rpc.ts";
import { serveUntilStopped } from "../serve-until-stopped.ts";
import type { Example } from "./example.ts";

/** What is said, in this order; each line when everybody in the room has heard the one before. */
const script = [
  ["Ada", "is anybody there?"],
  ["Grace", "I am"],
  ["Ada", "good, then it works"],
] as const;

/** One bidirectional stream for each participant: what the room and the participants do is in ../chat. */
export const duplexChat: Example = {
  title: "a chat room: both sides of a call speak when they like",

  roles: {
    room: () => serveUntilStopped(new ServiceHost().serve(ChatRoom, new Room()), ["tcp://127.0.0.1:*"]),

    async participant(address = "", name = "") {
      await using channel = new Channel(address);
      for await (const line of join(channel, name, process.stdin)) console.log(show(line));
      process.stdin.destroy();
    },
  },

  async play(stage) {
    const { program: room, address } = await stage.serve("room", "room");
    await using _room = room;
    await using ada = stage.start("Ada", "participant", address, "Ada");
    await ada.line(/^\* Ada has joined$/);
    await using grace = stage.start("Grace", "participant", address, "Grace");
    const both = { Ada: ada, Grace: grace };
    const allHear = (line: RegExp) => Promise.all(Object.values(both).map((each) => each.line(line)));
    await allHear(/^\* Grace has joined$/);
    for (const [name, text] of script) {
      both[name].type(text);
      await allHear(new RegExp(`^${name}: ${text.replace("?", "\\?")}$`));
    }
    grace.endInput();
    await grace.succeeded();
    await ada.line(/^\* Grace has left$/);
    ada.endInput();
    await ada.succeeded();
    const said = script.map(([name, text]) => `${name}: ${text}`);
    deepEqual(ada.lines, ["* Ada has joined", "* Grace has joined", ...said, "* Grace has left"]);
    deepEqual(grace.lines, ["* Grace has joined", ...said]);
    await room.stop();
  },
};
