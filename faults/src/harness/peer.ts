import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { sharedMs, within } from "../peer/clock.ts";
import type { ArgsOf, Ask, CommandName, ResultOf, Told } from "../peer/messages.ts";
import type { Snapshot } from "../peer/snapshot.ts";

const program = fileURLToPath(new URL("../peer/main.js", import.meta.url));

/** A question that takes longer has hung. */
const askTimeoutMs = 60_000;

/** How a process ended, and how long that took from when it was asked to. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

interface Question {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** A process of the suite, as the suite sees it. */
export class Peer {
  /** For people, and unique in a scenario. */
  readonly name: string;
  /** No two of a run have the same. */
  readonly number: number;
  readonly logPath: string;
  /** What it said that must not happen: unhandled rejections, warnings. */
  readonly faults: string[] = [];
  /** The end of what it wrote to its standard error. */
  stderr = "";
  /** Where it serves, if it does. */
  address = "";
  /** What it held when all was quiet, and what it is to return to. */
  baseline: Snapshot | undefined;
  readonly exited: Promise<Ending>;
  readonly ready: Promise<void>;
  ending: Ending | undefined;
  /** Whether its end was the suite's doing. */
  killed = false;
  readonly #child: ChildProcess;
  readonly #questions = new Map<number, Question>();
  #asks = 0;
  #settleReady: () => void = () => undefined;

  constructor(name: string, number: number, logPath: string) {
    this.name = name;
    this.number = number;
    this.logPath = logPath;
    this.ready = new Promise((resolve) => (this.#settleReady = resolve));
    this.#child = fork(program, [String(number), logPath], {
      execArgv: ["--expose-gc", "--disable-warning=ExperimentalWarning"],
      serialization: "advanced",
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#child.stderr
      ?.setEncoding("utf8")
      .on("data", (text: string) => (this.stderr = (this.stderr + text).slice(-4000)));
    this.#child.on("message", (told) => this.#told(told as Told));
    this.exited = new Promise((resolve) =>
      this.#child.once("exit", (code, signal) => {
        this.ending = { code, signal };
        for (const question of this.#questions.values())
          question.reject(new Error(`${this.name} ended before it answered`));
        this.#questions.clear();
        resolve(this.ending);
      }),
    );
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isAlive(): boolean {
    return this.ending === undefined;
  }

  /** Lets it do something, and resolves with the result. Rejects if it ends, or does not answer. */
  ask<Name extends CommandName>(command: Name, ...args: ArgsOf<Name>): Promise<ResultOf<Name>> {
    const ask = ++this.#asks;
    return new Promise((resolve, reject) => {
      const late = (): void => reject(new Error(`${this.name} did not answer "${command}" in ${askTimeoutMs} ms`));
      const timer = setTimeout(late, askTimeoutMs);
      const settled = (): void => {
        clearTimeout(timer);
        this.#questions.delete(ask);
      };
      this.#questions.set(ask, {
        resolve: (result) => {
          settled();
          resolve(result as ResultOf<Name>);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      });
      this.#child.send({ ask, command, args } satisfies Ask, (error) => {
        if (error)
          this.#questions.get(ask)?.reject(new Error(`${this.name} cannot be asked "${command}": ${error.message}`));
      });
    });
  }

  /** Sends it a signal, and gives the time at which that was done. */
  signal(signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): number {
    if (signal === "SIGKILL") this.killed = true;
    this.#child.kill(signal);
    return sharedMs();
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.exited;
  }

  /** Closes what it has open and lets it go; resolves with how long both took, or undefined if it did not end. */
  async leave(withinMs: number): Promise<{ closeMs: number; exitMs: number } | undefined> {
    const startedMs = sharedMs();
    await this.ask("close");
    const closedMs = sharedMs();
    this.#child.send("let go", () => undefined);
    await within(withinMs, this.exited, () => undefined);
    if (this.isAlive) return undefined;
    return { closeMs: closedMs - startedMs, exitMs: sharedMs() - closedMs };
  }

  #told(told: Told): void {
    if ("ready" in told) this.#settleReady();
    else if ("fault" in told) this.faults.push(told.fault);
    else if ("error" in told) this.#questions.get(told.ask)?.reject(new Error(`${this.name}: ${told.error}`));
    else this.#questions.get(told.ask)?.resolve(told.result);
  }
}
