import { fileURLToPath } from "node:url";
import { Program } from "../../src/demo/program.ts";

/** Starts an example as it was built. */
export function start(path: string, ...args: string[]): Program {
  return new Program(fileURLToPath(new URL(`../../dist/${path}`, import.meta.url)), args);
}

/** Starts something that serves and prints `listening ADDRESS`; gives it and the address. */
export async function startServer(path: string, ...args: string[]): Promise<{ server: Program; address: string }> {
  const server = start(path, ...args, "--address", "tcp://127.0.0.1:*");
  const [, address = ""] = await server.line(/^listening (.+)$/);
  return { server, address };
}
