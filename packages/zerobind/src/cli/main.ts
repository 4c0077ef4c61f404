import { readFileSync } from "node:fs";
import { Command, CommanderError, Option } from "commander";
import type { CallFlags } from "./call-settings.ts";
import { addDevice } from "./device.ts";
import type { GenerateFlags } from "./generate.ts";
import { addKeygen } from "./keygen-command.ts";
import { addSecurity } from "./security-options.ts";
import { processTerminal } from "./terminal.ts";
import type { Terminal } from "./terminal.ts";
import { ExitStatus } from "./usage-error.ts";

const callHelp = `
Messages are JSON, as protobuf defines it: {"name":"Ada"}, 64-bit integers as strings, bytes in base64. Without JSON,
or with "-", they are read from standard input: one message, or for methods that stream their requests any number of
them, each sent as soon as it is whole. Replies are printed one a line.

Exit status: 0 if the call succeeds, else the number of its gRPC status code (1 to 16), with the error on standard
error; 64 if something is wrong with the command line, the JSON or the .proto; 130 after Ctrl-C.

Examples:
  zerobind call tcp://127.0.0.1:5555 greeter.v1.Greeter/SayHello '{"name":"Ada"}' --proto greeter.proto
  zerobind call tcp://127.0.0.1:5555 sums.v1.Sums/Add --proto sums.proto < numbers.jsonl`;

const generateHelp = `
Examples:
  zerobind generate protos --out src/gen
  zerobind generate protos --out src/gen --check`;

/**
 * The `zerobind` command: carries out the arguments (without those of Node itself) and resolves with the exit status.
 * Never rejects. What a command needs is loaded when it runs, so that help and version are quick.
 */
export async function main(args: readonly string[], terminal: Terminal = processTerminal()): Promise<number> {
  let status: number = ExitStatus.OK;
  // A reader that leaves (`| head`) is no error of the command.
  for (const stream of [terminal.stdout, terminal.stderr]) stream.on("error", () => undefined);
  const program = programFor(terminal, (result) => (status = result));
  try {
    await program.parseAsync(args, { from: "user" });
    return status;
  } catch (error) {
    return failed(error, terminal);
  }
}

function programFor(terminal: Terminal, done: (status: number) => void): Command {
  const program = new Command("zerobind")
    .description(
      "Typed RPC for Node.js over ZeroMQ: generates code from .proto files, calls services, runs devices, makes keys.",
    )
    .version(versionOf(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .exitOverride()
    .showHelpAfterError("(see --help)")
    .configureOutput({
      writeOut: (text) => void terminal.stdout.write(text),
      writeErr: (text) => void terminal.stderr.write(text),
    });
  addGenerate(program, terminal, done);
  addCall(program, terminal, done);
  addDevice(program, terminal, done);
  addKeygen(program, terminal, done);
  return program;
}

function addGenerate(program: Command, terminal: Terminal, done: (status: number) => void): void {
  program
    .command("generate")
    .description("Generate messages, clients and handlers from .proto files.")
    .argument("<protos...>", ".proto files, and folders that have some in them")
    .requiredOption("-o, --out <folder>", "where the code goes")
    .option(
      "-I, --proto-path <folder>",
      "folder that imports are relative to; may be repeated (default: found out)",
      append,
    )
    .option("--runtime <module>", 'what generated code imports the framework from (default: "zerobind")')
    .addOption(
      new Option("--import-extension <end>", 'how relative imports end (default: "js")').choices(["js", "ts", "none"]),
    )
    .option("--check", "write nothing, and fail if something would be written")
    .addHelpText("after", generateHelp)
    .action(async (protos: string[], flags: GenerateFlags) => {
      const { runGenerate } = await import("./generate.ts");
      done(await runGenerate(protos, flags, terminal));
    });
}

function addCall(program: Command, terminal: Terminal, done: (status: number) => void): void {
  const call = program
    .command("call")
    .description("Call a method of a service.")
    .argument("<address>", "where the service is, for example tcp://127.0.0.1:5555")
    .argument("<method>", "package.Service/Method")
    .argument("[json]", 'the request; "-" for standard input')
    .requiredOption("-p, --proto <file>", ".proto file that has the service; may be repeated", append)
    .option(
      "-I, --proto-path <folder>",
      "folder that imports are relative to; may be repeated (default: found out)",
      append,
    )
    .option(
      "-m, --metadata <key=value>",
      "sent with the request; bytes, for keys that end in -bin, in base64; may be repeated",
      append,
    )
    .option("-t, --timeout <time>", "how long to wait: 500ms, 5s, 2m, 1h or none (default: the method's, else 30s)")
    .option("--timeout-ms <number>", "the same in milliseconds")
    .option("-w, --wait", "wait for the server within the time limit, instead of failing if it is not there in 10s")
    .option("--show-metadata", "print header and trailer of the reply to standard error")
    .option("--emit-defaults", "print fields that have their default, too")
    .addHelpText("after", callHelp);
  addSecurity(call, false).action(async (address: string, path: string, json: string | undefined, flags: CallFlags) => {
    const { runCall } = await import("./call.ts");
    done(await runCall({ address, path, json, flags }, terminal));
  });
}

function append(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

/** Tells of an error and gives the exit status that goes with it. */
function failed(error: unknown, { stderr }: Terminal): number {
  // The parser of the command line has told of it itself.
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitStatus.OK : ExitStatus.USAGE;
  const { name, message, stack } = error as Error;
  if (name === "UsageError" || name === "ProtoError") {
    stderr.write(`error: ${message}\n`);
    return ExitStatus.USAGE;
  }
  stderr.write(`internal error: ${stack ?? String(error)}\n`);
  return ExitStatus.INTERNAL;
}

function versionOf(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
