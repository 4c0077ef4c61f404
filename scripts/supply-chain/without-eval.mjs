// Makes calls with the packages beside it, over memory and over TCP, in a process that is not allowed to make code from
// text. `supply-chain.mjs` puts it where the packed packages are, and starts it.
import { Channel, ServiceHost, binding, memory } from "@zerobind/core";
import { StringValue } from "@zerobind/core/google";
import { zeromq } from "@zerobind/zeromq";

let allowed = true;
try {
  new Function("return 1")();
} catch {
  allowed = false;
}
if (allowed) throw new Error("this process may make code from text, so that it shows nothing");
if (process.argv.includes("--seeded")) new Function("return 1")();

const contract = {
  typeName: "smoke.v1.Echo",
  methods: [
    { name: "Say", localName: "say", kind: "unary", input: StringValue, output: StringValue },
    { name: "Repeat", localName: "repeat", kind: "server_stream", input: StringValue, output: StringValue },
  ],
};
const handler = {
  say: ({ value }) => ({ value: `${value}!` }),
  async *repeat({ value }) {
    for (let count = 0; count < 3; count += 1) yield { value };
  },
};

async function call(stack, address) {
  const host = new ServiceHost({ binding: stack });
  host.serve(contract, handler);
  await host.open(address);
  const channel = new Channel(host.address, { binding: stack });
  const client = channel.client(contract);
  const heard = [(await client.say({ value: "a" }, { timeoutMs: 5_000 })).value];
  for await (const { value } of client.repeat({ value: "b" })) heard.push(value);
  await channel.close();
  await host.close();
  if (heard.join() !== "a!,b,b,b") throw new Error(`heard ${heard.join()} over ${address}`);
}

await call(binding(memory()), "memory://*");
await call(binding(zeromq()), "tcp://127.0.0.1:0");
console.log("called without eval");
