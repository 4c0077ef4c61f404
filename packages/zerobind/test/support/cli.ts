import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { main } from "../../src/cli/main.ts";

/** What a command left behind. */
export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs. */
export interface Running {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Ctrl-C. */
  interrupt(): void;
  /** Sends a signal; only to a process. */
  signal(name: NodeJS.Signals): void;
  /** Resolves with the next line of standard output. */
  line(): Promise<string | undefined>;
  readonly outcome: Promise<Outcome>;
}

/** Starts the command in this process, on streams of its own. */
export function startHere(args: readonly string[], { isTTY = false }: { isTTY?: boolean } = {}): Running {
  const stdin = Object.assign(new PassThrough(), { isTTY });
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  let interrupt = (): void => undefined;
  const onInterrupt = (listener: () => void): (() => void) => {
    interrupt = listener;
    return () => undefined;
  };
  const texts = [textOf(stdout), textOf(stderr)] as const;
  const outcome = main(args, { stdin, stdout, stderr, onInterrupt }).then((status) => ({
    status,
    stdout: texts[0].text,
    stderr: texts[1].text,
  }));
  return { stdin, stdout, interrupt: () => interrupt(), signal: () => undefined, line: linesOf(stdout), outcome };
}

/** Runs the command in this process to its end. */
export function runHere(args: readonly string[], input: string | undefined = ""): Promise<Outcome> {
  const running = startHere(args, { isTTY: input === undefined });
  if (input !== undefined) running.stdin.end(input);
  return running.outcome;
}

const bin = fileURLToPath(new URL("../../bin/", import.meta.url));

/** Starts the command as a process of its own; it runs what was built. */
export function startProcess(
  args: readonly string[],
  { command = "zerobind", cwd = process.cwd() }: { command?: string; cwd?: string } = {},
): Running {
  const child: ChildProcessWithoutNullStreams = spawn(process.execPath, [`${bin}${command}.js`, ...args], {
    cwd,
    stdio: "pipe",
  });
  const texts = [textOf(child.stdout), textOf(child.stderr)] as const;
  // A child that ends early does not read all that it is sent.
  child.stdin.on("error", () => undefined);
  const outcome = once(child, "close").then(([status]) => ({
    status: status as number | null,
    stdout: texts[0].text,
    stderr: texts[1].text,
  }));
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    interrupt: () => void child.kill("SIGINT"),
    signal: (name) => void child.kill(name),
    line: linesOf(child.stdout),
    outcome,
  };
}

/** Runs the command as a process of its own, to its end. */
export function runProcess(
  args: readonly string[],
  options: { command?: string; cwd?: string; input?: string | Uint8Array } = {},
): Promise<Outcome> {
  const running = startProcess(args, options);
  running.stdin.end(options.input ?? "");
  return running.outcome;
}

/** Runs JavaScript as a process of its own, and gives the addresses of all modules that it loads, one a line. */
export async function modulesLoadedBy(code: string): Promise<string> {
  const hook = `import { writeSync } from "node:fs";
    export async function resolve(specifier, context, next) {
      const found = await next(specifier, context);
      writeSync(2, found.url + "\\n");
      return found;
    }`;
  const register = `import { register } from "node:module"; register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hook)}`)});`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", `${register} ${code}`], { stdio: "pipe" });
  const { text } = await new Promise<{ text: string }>((resolve) => {
    const stderr = textOf(child.stderr);
    child.once("close", () => resolve(stderr));
  });
  return text;
}

function textOf(stream: Readable): { text: string } {
  const all = { text: "" };
  stream.setEncoding("utf8").on("data", (chunk: string) => (all.text += chunk));
  return all;
}

function linesOf(stream: Readable): () => Promise<string | undefined> {
  const lines: string[] = [];
  const waiting: ((line: string | undefined) => void)[] = [];
  let rest = "";
  let ended = false;
  stream.on("data", (chunk: string) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop()!;
    for (const line of parts) {
      const waiter = waiting.shift();
      if (waiter) waiter(line);
      else lines.push(line);
    }
  });
  stream.on("close", () => {
    ended = true;
    for (const waiter of waiting.splice(0)) waiter(undefined);
  });
  return () =>
    lines.length > 0 || ended ? Promise.resolve(lines.shift()) : new Promise((resolve) => void waiting.push(resolve));
}
