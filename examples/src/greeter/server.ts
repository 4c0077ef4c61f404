// Serves the greeter until Ctrl-C or SIGTERM:
//
//   npm run greeter -- --address tcp://127.0.0.1:5555 --address ipc:///tmp/greeter.sock
//
// For addresses that other machines can reach, it is encrypted, and lets in only those whose certificates are in a
// directory; "npx zerobind keygen" makes keys:
//
//   npm run greeter -- --address tcp://0.0.0.0:5555 --curve keys/server --allow keys/clients
//
// --insecure allows such addresses without encryption.
import { parseArgs } from "node:util";
import { ServiceHost, serverCurve } from "zerobind";
import type { ServerCurve } from "zerobind";
import { Greeter } from "../gen/examples/greeter/v1/greeter.rpc.ts";
import { serveUntilStopped } from "../serve-until-stopped.ts";
import { secretCertificate } from "./certificates.ts";
import { GreeterService } from "./handler.ts";

try {
  const { values } = parseArgs({
    options: {
      address: { type: "string", multiple: true, default: ["tcp://127.0.0.1:5555"] },
      curve: { type: "string" },
      allow: { type: "string" },
      insecure: { type: "boolean", default: false },
    },
  });
  const host = new ServiceHost({
    zeromq: { insecure: values.insecure, curve: curveOf(values) },
    drainTimeoutMs: 1_000,
    onTrouble: (problem) => console.error(problem),
  });
  host.serve(Greeter, new GreeterService());
  await serveUntilStopped(host, values.address);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

function curveOf({ curve, allow }: { curve?: string; allow?: string }): ServerCurve | undefined {
  if (curve === undefined && allow === undefined) return undefined;
  if (curve === undefined || allow === undefined)
    throw new Error(
      "--curve (a directory with the keys of the server) and --allow (one with those of clients) go together",
    );
  return serverCurve({ secretKey: secretCertificate(curve), allow });
}
