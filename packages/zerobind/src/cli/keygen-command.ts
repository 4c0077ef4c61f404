import type { Command } from "commander";
import type { KeygenFlags } from "./keygen.ts";
import type { Terminal } from "./terminal.ts";

const keygenHelp = `
NAME.cert has the public key and is for the other side: a server allows a client whose NAME.cert is in its directory
of clients, a client knows its server by the server's. NAME.cert_secret has both keys; it stays where it was made, and
nobody but its owner may read it. Both are in CZMQ's format. The secret key is never printed.

A client is called what its certificate says, or else what the file is called that the server has of it. Look at a
certificate before you allow it: it may ask for roles.

Exit status: 0 if both files are written, 1 if not, 64 if something is wrong with the command line.

Examples:
  zerobind keygen --out keys --name server
  zerobind keygen --out keys --name ada --role admin`;

/** Adds `zerobind keygen`. */
export function addKeygen(program: Command, terminal: Terminal, done: (status: number) => void): void {
  program
    .command("keygen")
    .description("Make a key pair for CURVE: encryption, and proof of who is at the other end.")
    .option("-o, --out <folder>", "where the two files go; made if it is not there (default: here)")
    .option("-n, --name <name>", 'what they are called (default: "server")')
    .option(
      "-r, --role <role>",
      "what the holder of the keys may act as, see requires in .proto; may be repeated",
      append,
    )
    .option("--force", "replace files that are there; their keys are lost")
    .addHelpText("after", keygenHelp)
    .action(async (flags: KeygenFlags) => {
      const { runKeygen } = await import("./keygen.ts");
      done(runKeygen(flags, terminal));
    });
}

function append(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}
