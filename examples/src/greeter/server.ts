// Serves the greeter until Ctrl-C or SIGTERM:
//
//   npm run greeter -- --address tcp://127.0.0.1:5555 --address ipc:///tmp/greeter.sock
//
// --insecure allows addresses that other machines can reach, without encryption.
import { parseArgs } from "node:util";
import { ServiceHost } from "zerobind";
import { Greeter } from "../gen/examples/greeter/v1/greeter.rpc.ts";
import { serveUntilStopped } from "../serve-until-stopped.ts";
import { GreeterService } from "./handler.ts";

try {
  const { values } = parseArgs({
    options: {
      address: { type: "string", multiple: true, default: ["tcp://127.0.0.1:5555"] },
      insecure: { type: "boolean", default: false },
    },
  });
  const host = new ServiceHost({ zeromq: { insecure: values.insecure }, drainTimeoutMs: 1_000 });
  host.serve(Greeter, new GreeterService());
  await serveUntilStopped(host, values.address);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
