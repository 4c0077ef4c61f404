// Calls a running greeter in each of the four ways:
//
//   node examples/dist/greeter/client.js --address tcp://127.0.0.1:5555 Ada Grace
//
// A server that is encrypted has to be known by its public certificate, and this client to it:
//
//   node examples/dist/greeter/client.js --address tcp://HOST:5555 --server keys/server/server.cert --curve keys/ada Ada
import { parseArgs } from "node:util";
import { Channel, RpcError, curveClient } from "zerobind";
import type { ClientCurve } from "zerobind";
import { BadRequest } from "zerobind/google";
import { Greeter } from "../gen/examples/greeter/v1/greeter.rpc.ts";
import { secretCertificate } from "./certificates.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    address: { type: "string", default: "tcp://127.0.0.1:5555" },
    server: { type: "string" },
    curve: { type: "string" },
  },
});
const names = positionals.length > 0 ? positionals : ["Ada", "Grace"];

// A channel connects when it is first used, and again whenever its connection is lost. Leaving the block closes it.
await using channel = new Channel(values.address, { zeromq: { curve: curveOf(values.server, values.curve) } });
const greeter = channel.client(Greeter);

try {
  for (const name of names) {
    const { text } = await greeter.sayHello({ name }, { timeoutMs: 2_000 });
    console.log(text);
  }

  for await (const { n } of greeter.countdown({ from: 3, intervalMs: 100 })) console.log(n);

  // Any iterable will do as a stream of requests, an async generator just as well.
  const { text } = await greeter.greetAll(names.map((name) => ({ name })));
  console.log(text);

  const lines = names.map((author) => ({ author, text: "good morning" }));
  for await (const line of greeter.chat(lines)) console.log(`${line.author}: ${line.text}`);
} catch (error) {
  if (!(error instanceof RpcError)) throw error;
  console.error(`${error.codeName}: ${error.message}`);
  for (const { field, description } of error.detail(BadRequest)?.fieldViolations ?? [])
    console.error(`  ${field} ${description}`);
  process.exitCode = 1;
}

function curveOf(server: string | undefined, own: string | undefined): ClientCurve | undefined {
  if (server === undefined) return undefined;
  const keys = own === undefined ? {} : { keyPair: secretCertificate(own) };
  return curveClient({ serverKey: { file: server }, ...keys });
}
