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

/** A server that somebody else started. */
interface Server {
  readonly address: string;
  /** Rejects if it does not end as it should. */
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
  return { address, stop: () => program.stop() };
}

async function startHere(wildcard: string): Promise<Server> {
  const host = interopHost();
  await host.open(wildcard);
  return { address: host.address, stop: () => host.close().then(() => undefined) };
}
