import { parseArgs } from "node:util";
import type { Case } from "./case.ts";
import { allCases } from "./run-cases.ts";
import type { Load } from "./run-cases.ts";
import { transports } from "./transports.ts";
import type { TransportName } from "./transports.ts";

/** What the program was asked to do. */
export type Task =
  | {
      readonly kind: "all";
      readonly transports: readonly TransportName[];
      readonly cases: readonly Case[];
      readonly load: Load;
    }
  | { readonly kind: "server"; readonly address: string; readonly insecure: boolean }
  | {
      readonly kind: "client";
      readonly address: string;
      readonly insecure: boolean;
      readonly cases: readonly Case[];
      readonly load: Load;
    };

/** Something about the command line that cannot be; the message says what, and what would be right. */
export class UsageError extends Error {}

export const usage = `usage:
  npm run interop -- [--transport NAME,...] [--case NAME,...]      all cases over all transports, or some of them
  npm run interop -- --server --address ADDRESS                    serves until Ctrl-C
  npm run interop -- --client --address ADDRESS [--case NAME,...]  calls a server that runs elsewhere

  --iterations N  how many calls rpc_soak and channel_soak make (1000)
  --concurrent N  how many calls concurrent_large_unary makes at once (1000)
  --insecure      with --server or --client: allows addresses beyond this machine, without encryption`;

/** What `use` gives; UsageError if it says by a TypeError that the address is none. */
export async function withAddress<T>(use: () => T | Promise<T>): Promise<T> {
  try {
    return await use();
  } catch (error) {
    throw error instanceof TypeError ? new UsageError(error.message) : error;
  }
}

/** TypeScript's view of the flags, as they were given. */
type Flags = ReturnType<typeof flagsOf>;

/** UsageError unless the arguments say clearly what to do. */
export function toTask(args: readonly string[]): Task {
  const flags = flagsOf(args);
  if (flags.server && flags.client) throw new UsageError("--server and --client are two programs: give one of them");
  if (flags.server) {
    refuse(flags, ["transport", "case", "iterations", "concurrent"], "--server");
    return { kind: "server", address: addressOf(flags, "--server"), insecure: flags.insecure };
  }
  const work = { cases: casesOf(flags.case), load: loadOf(flags) };
  if (flags.client) {
    refuse(flags, ["transport"], "--client");
    return { kind: "client", address: addressOf(flags, "--client"), insecure: flags.insecure, ...work };
  }
  if (flags.address !== undefined) throw new UsageError("--address needs --server or --client with it");
  if (flags.insecure) throw new UsageError("--insecure needs --server or --client with it");
  return { kind: "all", transports: transportsOf(flags.transport), ...work };
}

function flagsOf(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        server: { type: "boolean", default: false },
        client: { type: "boolean", default: false },
        insecure: { type: "boolean", default: false },
        address: { type: "string" },
        transport: { type: "string", multiple: true },
        case: { type: "string", multiple: true },
        iterations: { type: "string" },
        concurrent: { type: "string" },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function refuse(flags: Flags, names: readonly (keyof Flags)[], mode: string): void {
  for (const name of names)
    if (flags[name] !== undefined) throw new UsageError(`--${name} says nothing to ${mode}: leave it out`);
}

function addressOf({ address }: Flags, mode: string): string {
  if (address === undefined || address === "")
    throw new UsageError(`${mode} needs an address, for example --address tcp://127.0.0.1:5557`);
  return address;
}

function casesOf(given: readonly string[] | undefined): readonly Case[] {
  const names = namesOf(
    "case",
    given,
    allCases.map(({ name }) => name),
  );
  return allCases.filter(({ name }) => names.includes(name));
}

function transportsOf(given: readonly string[] | undefined): readonly TransportName[] {
  const names = namesOf(
    "transport",
    given,
    transports.map(({ name }) => name),
  );
  return transports.map(({ name }) => name).filter((name) => names.includes(name));
}

/** Names that were given with commas between them, or several times; all that there are if none was given. */
function namesOf(flag: string, given: readonly string[] | undefined, known: readonly string[]): readonly string[] {
  if (given === undefined) return known;
  const names = given.flatMap((list) => list.split(",")).map((name) => name.trim());
  for (const name of names)
    if (!known.includes(name))
      throw new UsageError(`there is no ${flag} ${JSON.stringify(name)}; there are ${known.join(", ")}`);
  return names;
}

function loadOf({ iterations, concurrent }: Flags): Load {
  return { iterations: countOf("iterations", iterations), concurrent: countOf("concurrent", concurrent) };
}

function countOf(flag: string, given: string | undefined): number {
  if (given === undefined) return 1_000;
  if (!/^[1-9]\d{0,6}$/.test(given))
    throw new UsageError(`--${flag} must be a whole number from 1 to 9999999, not ${JSON.stringify(given)}`);
  return Number(given);
}
