// A server that calls its caller back:
//
//   node examples/dist/callback/main.js --serve            deploys for whoever asks, until Ctrl-C
//   node examples/dist/callback/main.js --deploy 1.2       has version 1.2 deployed; asks you first
//   node examples/dist/callback/main.js                    plays both sides, once with a yes and once with a no
//
// --address gives the server another address than tcp://127.0.0.1:5558.
import { deepEqual, equal } from "node:assert/strict";
import { createInterface } from "node:readline/promises";
import { parseArgs } from "node:util";
import { RpcError, ServiceHost } from "zerobind";
import { Declined } from "../gen/examples/callback/v1/deploy.pb.ts";
import { Deployer } from "../gen/examples/callback/v1/deploy.rpc.ts";
import { serveUntilStopped } from "../serve-until-stopped.ts";
import { deployer } from "./deployer.ts";
import { deploy } from "./operator.ts";

async function deployFromTerminal(address: string, version: string): Promise<void> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const { machines } = await deploy(address, version, {
      decide: async (question) => (await terminal.question(`${question} (yes or no)\n`)).trim() === "yes",
      tell: (text) => console.log(text),
    });
    console.log(`done: ${machines.join(", ")}`);
  } catch (error) {
    const { codeName, message } = RpcError.from(error);
    console.error(`${codeName}: ${message}`);
    process.exitCode = 1;
  } finally {
    terminal.close();
  }
}

/** Deploys with an answer that is given beforehand; gives what the operator was told. */
async function play(address: string, answer: boolean): Promise<string[]> {
  const told: string[] = [];
  const desk = {
    decide(question: string) {
      told.push(`${question} ${answer ? "yes" : "no"}`);
      return Promise.resolve(answer);
    },
    tell: (text: string) => void told.push(text),
  };
  try {
    const { machines } = await deploy(address, "1.2", desk);
    told.push(`done: ${machines.join(", ")}`);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    equal(error.detail(Declined)?.question, "Deploy 1.2 to 3 machines?");
    told.push(String(error));
  }
  console.log(told.join("\n"));
  return told;
}

async function playBoth(): Promise<void> {
  await using host = new ServiceHost().serve(Deployer, deployer);
  const [address = ""] = await host.open("tcp://127.0.0.1:*");
  deepEqual(await play(address, true), [
    "1.2 is built",
    "Deploy 1.2 to 3 machines? yes",
    "north has 1.2",
    "south has 1.2",
    "west has 1.2",
    "done: north, south, west",
  ]);
  deepEqual(await play(address, false), [
    "1.2 is built",
    "Deploy 1.2 to 3 machines? no",
    "RpcError [ABORTED]: the operator said no",
  ]);
  console.log("callback: ok");
}

const { values } = parseArgs({
  options: {
    serve: { type: "boolean", default: false },
    deploy: { type: "string" },
    address: { type: "string", default: "tcp://127.0.0.1:5558" },
  },
});

if (values.serve)
  await serveUntilStopped(new ServiceHost({ drainTimeoutMs: 0 }).serve(Deployer, deployer), [values.address]);
else if (values.deploy !== undefined) await deployFromTerminal(values.address, values.deploy);
else await playBoth();
