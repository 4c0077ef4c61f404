// A process with a pool of worker threads behind real sockets; what it does is its argument. It ends by itself.
import { threadId } from "node:worker_threads";
import { Channel, ServiceHost, loadContract, workers } from "zerobind";

const [what, proto] = process.argv.slice(2);
const behavior = await loadContract(proto, "Behavior", {
  protoPaths: [new URL("../../../../protos", import.meta.url).pathname],
});
const pool = workers(behavior, new URL("./behavior-json.mjs", import.meta.url), {
  threads: 2,
  graceMs: 200,
  onError: () => undefined,
});
const host = new ServiceHost().serve(behavior, pool);
const [address] = await host.open("tcp://127.0.0.1:*");
const channel = new Channel(address, { retry: false });
const client = channel.client(behavior);
const codeOf = (call) =>
  call.then(
    () => "OK",
    ({ codeName }) => codeName,
  );

console.log("echo", (await client.echo({ text: "hello" })).text, threadId);
if (what === "die") {
  const calls = ["exit", "throw", "loop", "hello"].map((text) => codeOf(client.echo({ text }, { timeoutMs: 1_000 })));
  console.log((await Promise.all(calls)).join(" "), (await client.echo({ text: "alive" })).text);
}
if (what === "load") {
  const texts = Array.from({ length: 400 }, (_, index) => (index % 40 === 7 ? "exit" : "hello"));
  const codes = await Promise.all(texts.map((text) => codeOf(client.echo({ text }))));
  console.log(codes.filter((code) => code === "OK").length, codes.filter((code) => code === "UNAVAILABLE").length);
}
await channel.close();
if (what === "left") {
  // Neither is the host's service called any more, nor is its pool closed by anybody.
  await pool.open();
}
if (what === "closing") {
  const second = new Channel(address);
  const hanging = Array.from({ length: 20 }, () => codeOf(second.client(behavior).echo({ text: "loop" })));
  await new Promise((resolve) => setTimeout(resolve, 100));
  host.abort();
  console.log(new Set(await Promise.all(hanging)).size);
  await second.close();
}
await host.close();
if (what !== "left") await pool.closed;
console.log("closed", pool.state);
