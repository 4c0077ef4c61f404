// The calling half of the demo: makes one call of each kind to the greeter at the given address, prints what came back,
// and ends with exit code 1 at the first surprise.
import { Channel } from "zerobind";
import { Greeter } from "../gen/examples/greeter/v1/greeter.rpc.ts";
import { untilStopped } from "../until-stopped.ts";
import { scenes } from "./scenes.ts";

void untilStopped().then(() => process.exit(1));

const [address = "tcp://127.0.0.1:5555"] = process.argv.slice(2);
const width = Math.max(...scenes.map(({ title }) => title.length));

await using channel = new Channel(address, { timeoutMs: 5_000 });
const greeter = channel.client(Greeter);

for (const { title, play } of scenes) {
  try {
    console.log(`${title.padEnd(width)}  ${await play(greeter)}`);
  } catch (error) {
    console.error(`${title.padEnd(width)}  ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
    break;
  }
}
