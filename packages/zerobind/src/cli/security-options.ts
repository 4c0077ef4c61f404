import type { Command } from "commander";

/** The options that say how connections are protected, as the command line has them. */
export interface SecurityFlags {
  readonly insecure?: boolean;
  readonly serverKey?: string;
  readonly keys?: string;
  readonly allow?: string;
}

/** Adds the options for what connects, and for what listens if it `listens`. */
export function addSecurity(command: Command, listens: boolean): Command {
  if (listens)
    command.option("--allow <folder>", "encrypt what listens, for those whose certificates are there; with --keys");
  return command
    .option("--server-key <file>", "encrypt what connects, to the server that has this public certificate")
    .option("--keys <file>", "the secret certificate of this end, from zerobind keygen")
    .option("--insecure", "allow addresses beyond this machine without encryption");
}
