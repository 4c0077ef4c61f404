import { fileURLToPath } from "node:url";
import { Program } from "../demo/program.ts";
import { interopHost } from "./host.ts";

/** The ways in which the cases are run. What stays in one process has both ends in this one. */
export const transports = [
  { name: "tcp", address: "tcp://127.0.0.1:*", ownProcess: true },
  { name: "ipc", address: "ipc://*", ownProcess: true },
  { name: "ws", address: "ws://127.0.0.1:*", ownProcess: true },
  { name: "inproc", address: "inproc://interop", ownProcess: false },
  { name: "memory", address: "memory://*", ownProcess: false },
] as const;

export type TransportName = (typeof transports)[number]["name"];

/** A server to run the cases against. */
interface Server {
  readonly address: string;
  /** Rejects if it does not end as it should, or had something to say: no case gives it a reason. */
  stop(): Promise<void>;
}

/** Starts a server of the kind that a transport is tested with. */
export function startServer(name: TransportName): Promise<Server> {
  const { address, ownProcess } = transports.find((transport) => transport.name === name) ?? transports[0];
  return ownProcess ? startProgram(address) : startHere(address);
}

async function startProgram(wildcard: string): Promise<Server> {
  const program = new Program(fileURLToPath(new URL("./main.js", import.meta.url)), [
    "--server",
    "--address",
    wildcard,
  ]);
  const [, address = ""] = await program.line(/^listening on (.+)$/);
  return {
    address,
    async stop() {
      await program.stop();
      checkSilent(program.lines.slice(1));
    },
  };
}

async function startHere(wildcard: string): Promise<Server> {
  const said: string[] = [];
  const host = interopHost({
    onError: (error) => said.push(String(error)),
    onTrouble: (problem) => said.push(problem),
  });
  await host.open(wildcard);
  return {
    address: host.address,
    async stop() {
      await host.close();
      checkSilent(said);
    },
  };
}

function checkSilent(said: readonly string[]): void {
  if (said.length > 0) throw new Error(`the server had something to say: ${said.join(" / ")}`);
}
