// A user's first program: a server and a client over TCP in one process, which ends by itself.
import { Channel, ServiceHost } from "zerobind";
import { Echo } from "./gen/smoke/v1/echo.rpc.js";

const host = new ServiceHost();
host.serve(Echo, {
  say: ({ text }) => ({ text }),
  async *repeat({ text, times }) {
    for (let count = 0; count < times; count++) yield { text };
  },
});
await host.open("tcp://127.0.0.1:0");

const heard: string[] = [];
{
  await using channel = new Channel(host.address);
  const echo = channel.client(Echo);
  heard.push((await echo.say({ text: "one" }, { timeoutMs: 5000 })).text);
  for await (const { text } of echo.repeat({ text: "more", times: 2 })) heard.push(text);
}
await host.close();

if (heard.join() !== "one,more,more") throw new Error(`heard ${heard.join()}`);
console.log("smoke: done");
