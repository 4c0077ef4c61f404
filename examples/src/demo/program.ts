import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

/** How a program ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A Node program in a process of its own, which does not outlive this one. */
export class Program implements AsyncDisposable {
  /** Resolves when it has ended and everything it printed has been read. */
  readonly exit: Promise<Exit>;
  /** What it has printed, line by line. */
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #looking = new Set<() => void>();
  #ended = false;

  /** `onLine` gets each line as it comes. */
  constructor(path: string, args: readonly string[] = [], onLine: (line: string) => void = () => undefined) {
    this.#name = path.split("/").slice(-2).join("/");
    const child = fork(path, args, { stdio: ["pipe", "pipe", "pipe", "ipc"], execArgv: [] });
    this.#child = child;
    const kill = (): void => void child.kill("SIGKILL");
    process.once("exit", kill);
    for (const stream of [child.stdout, child.stderr]) this.#read(stream, onLine);
    this.exit = once(child, "close").then(([code, signal]) => {
      process.removeListener("exit", kill);
      this.#ended = true;
      for (const look of this.#looking) look();
      return { code: code as number | null, signal: signal as NodeJS.Signals | null };
    });
  }

  /** The first line, of those that are there and those to come, that matches. Rejects if it ends without one. */
  line(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = this.lines.map((line) => pattern.exec(line)).find((match) => match !== null);
        if (!found && !this.#ended) return;
        this.#looking.delete(look);
        if (found) resolve(found);
        else reject(this.#problem(`ended without printing ${String(pattern)}`));
      };
      this.#looking.add(look);
      look();
    });
  }

  /** Types a line into it. */
  type(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Says that nothing more will be typed. */
  endInput(): void {
    this.#child.stdin?.end();
  }

  /** Waits for it to end by itself; rejects unless it says that all went well. */
  async succeeded(): Promise<void> {
    const { code, signal } = await this.exit;
    if (code !== 0) throw this.#problem(`ended with ${signal ?? `exit code ${code ?? "unknown"}`}`);
  }

  /** Asks it to stop, and waits until it has. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.#child.kill(signal);
    await this.succeeded();
  }

  /** Ends it, however it takes that. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) this.#child.kill("SIGKILL");
    await this.exit;
  }

  #read(stream: Readable | null, onLine: (line: string) => void): void {
    if (!stream) return;
    createInterface(stream).on("line", (line) => {
      this.lines.push(line);
      onLine(line);
      for (const look of this.#looking) look();
    });
  }

  #problem(what: string): Error {
    const printed = this.lines.length > 0 ? `; it printed:\n${this.lines.join("\n")}` : "";
    return new Error(`${this.#name} ${what}${printed}`);
  }
}
