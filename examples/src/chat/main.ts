// A chat room:
//
//   node examples/dist/chat/main.js --serve              opens a room, until Ctrl-C
//   node examples/dist/chat/main.js --join Ada           joins it; each line typed is said, end of input leaves
//   node examples/dist/chat/main.js                      plays a short conversation by itself
//
// --address gives the room another address than tcp://127.0.0.1:5556.
import { parseArgs } from "node:util";
import { Channel, RpcError, ServiceHost } from "zerobind";
import { ChatRoom } from "../gen/examples/chat/v1/chat.rpc.ts";
import { serveUntilStopped } from "../serve-until-stopped.ts";
import { converse } from "./conversation.ts";
import { join, show } from "./participant.ts";
import { ChatRoom as Room } from "./room.ts";

async function joinFromTerminal(address: string, name: string): Promise<void> {
  await using channel = new Channel(address);
  try {
    for await (const line of join(channel, name, process.stdin)) console.log(show(line));
  } catch (error) {
    const { codeName, message } = RpcError.from(error);
    console.error(`${codeName}: ${message}`);
    process.exitCode = 1;
  } finally {
    // Otherwise a terminal that nobody types into would keep the process alive.
    process.stdin.destroy();
  }
}

const { values } = parseArgs({
  options: {
    serve: { type: "boolean", default: false },
    join: { type: "string" },
    address: { type: "string", default: "tcp://127.0.0.1:5556" },
  },
});

if (values.serve)
  await serveUntilStopped(new ServiceHost({ drainTimeoutMs: 0 }).serve(ChatRoom, new Room()), [values.address]);
else if (values.join !== undefined) await joinFromTerminal(values.address, values.join);
else await converse();
