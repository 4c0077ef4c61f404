import { dirname } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import type { Run } from "../rounds.ts";

/** The smallest program that makes a call, by subject. */
const clients: Readonly<Record<string, string>> = {
  zerobind: `
    import { Channel } from "zerobind";
    import { Echo } from "./gen/benchmarks/v1/echo.rpc.js";
    console.log(await new Channel(process.argv[2]).client(Echo).call({ text: "Ada" }));`,
  "grpc-js": `
    import { credentials } from "@grpc/grpc-js";
    import { EchoClient } from "./subjects/gen/ts-proto/benchmarks/v1/echo.js";
    new EchoClient(process.argv[2], credentials.createInsecure()).call({ text: "Ada" }, console.log);`,
  "nice-grpc": `
    import { createChannel, createClient } from "nice-grpc";
    import { EchoDefinition } from "./subjects/gen/ts-proto/benchmarks/v1/echo.js";
    console.log(await createClient(EchoDefinition, createChannel(process.argv[2])).call({ text: "Ada" }));`,
  connect: `
    import { createClient } from "@connectrpc/connect";
    import { createConnectTransport } from "@connectrpc/connect-node";
    import { Echo } from "./subjects/gen/es/benchmarks/v1/echo_pb.js";
    const transport = createConnectTransport({ baseUrl: process.argv[2], httpVersion: "2" });
    console.log(await createClient(Echo, transport).call({ text: "Ada" }));`,
};

/** The size of a client as one file. ZeroMQ's native module stays outside, as it has to. */
export async function measureBundles({ figures, subjects }: Run): Promise<void> {
  for (const [subject, contents] of Object.entries(clients)) {
    if (!subjects.includes(subject)) continue;
    const { outputFiles } = await build({
      stdin: { contents, resolveDir: dirname(import.meta.dirname) },
      ...{ bundle: true, minify: true, write: false, platform: "node", format: "esm", external: ["zeromq"] },
      logLevel: "error",
    });
    const code = outputFiles[0]!.contents;
    figures.add("bundle", subject, "minified", code.length / 1024, "KiB");
    figures.add("bundle", subject, "minified, gzip", gzipSync(code).length / 1024, "KiB");
  }
}
