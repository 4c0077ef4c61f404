import { makeKeyPair, saveKeyPair } from "@zerobind/zeromq";
import type { Terminal } from "./terminal.ts";
import { ExitStatus, UsageError } from "./usage-error.ts";

/** The options of `zerobind keygen`, as the command line has them. */
export interface KeygenFlags {
  readonly out?: string;
  readonly name?: string;
  readonly role?: readonly string[];
  readonly force?: boolean;
}

/** Makes a key pair, writes it, and gives the exit status. Throws UsageError. */
export function runKeygen(flags: KeygenFlags, { stdout, stderr }: Terminal): number {
  const { out = ".", name = "server", role = [], force = false } = flags;
  const pair = makeKeyPair();
  const metadata = role.length > 0 ? { roles: rolesOf(role) } : {};
  try {
    const { publicFile, secretFile } = saveKeyPair(pair, { directory: out, name, metadata, force });
    stdout.write(`public ${publicFile}\nsecret ${secretFile}\npublic-key ${pair.publicKey}\n`);
    return ExitStatus.OK;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (error instanceof TypeError && code === undefined) throw new UsageError(message, { cause: error });
    const hint = code === "EEXIST" && !force ? "; choose another --name, or replace it with --force" : "";
    stderr.write(`error: ${message}${hint}\n`);
    return ExitStatus.FAILED;
  }
}

function rolesOf(roles: readonly string[]): string {
  const bad = roles.find((role) => role.trim() === "" || role.includes(","));
  if (bad !== undefined) throw new UsageError(`--role takes one role, without commas, not "${bad}"`);
  return roles.map((role) => role.trim()).join(", ");
}
