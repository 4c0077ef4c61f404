import { Channel } from "zerobind";
import type { DeployReply } from "../gen/examples/callback/v1/deploy.pb.ts";
import { Deployer, Operator } from "../gen/examples/callback/v1/deploy.rpc.ts";

/** Who decides, and who is told. */
export interface Desk {
  decide(question: string): Promise<boolean>;
  tell(text: string): void;
}

/** Has a version deployed; the server's questions are answered at the desk. */
export async function deploy(address: string, version: string, desk: Desk): Promise<DeployReply> {
  await using channel = new Channel(address);
  // Before the first call: the server may ask as soon as it has been called.
  channel.serve(Operator, {
    confirm: async ({ text }) => ({ yes: await desk.decide(text) }),
    progress: ({ text }) => desk.tell(text),
  });
  return await channel.client(Deployer).deploy({ version }, { timeoutMs: Infinity, waitForReady: true });
}
