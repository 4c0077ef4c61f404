import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Interface } from "node:readline";
import type { Answer } from "./subject.ts";

/** Beyond what a command takes by itself. */
const patienceMs = 30_000;

/** A measured process failed; its message says which, and how. What it printed itself is on stderr. */
export class SubjectError extends Error {}

/** A measured process: answers each line with a line of JSON. */
export class Child {
  readonly #process: ChildProcess;
  readonly #lines: Interface;
  readonly #name: string;
  #ended = false;

  constructor(name: string, command: string, args: readonly string[]) {
    this.#name = name;
    this.#process = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
    const { stdout } = this.#process;
    if (!stdout) throw new Error(`${name} has no output`);
    this.#lines = createInterface({ input: stdout });
    this.#process.once("error", (error) => this.#lines.emit("failed", error));
    this.#process.once("exit", (code, signal) => {
      this.#ended = true;
      this.#lines.emit("failed", new Error(`its process ended with ${signal ?? code}`));
    });
    // What it is asked after its end fails by the exit, not by the pipe.
    this.#process.stdin?.on("error", () => undefined);
  }

  /** The process, for its CPU time. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** The next line. */
  async answer<T = Answer>(): Promise<T> {
    const line = await new Promise<string>((resolve, reject) => {
      const late = setTimeout(() => settle(() => reject(new Error("it did not answer in time"))), patienceMs);
      const failed = (error: Error): void => settle(() => reject(error));
      const came = (text: string): void => settle(() => resolve(text));
      const settle = (then: () => void): void => {
        clearTimeout(late);
        this.#lines.off("line", came).off("failed", failed);
        then();
      };
      this.#lines.once("line", came).once("failed", failed);
      if (this.#ended) failed(new Error("its process has ended"));
    }).catch((error: unknown) => {
      throw new SubjectError(`${this.#name}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    });
    const answer = JSON.parse(line) as T & { error?: string };
    if (answer.error !== undefined) throw new SubjectError(`${this.#name}: ${answer.error}`);
    return answer;
  }

  /** Gives a command and waits for its answer. */
  ask(command: string): Promise<Answer> {
    this.#process.stdin?.write(`${command}\n`);
    return this.answer();
  }

  /** Ends the process, and waits for that. */
  async close(): Promise<void> {
    if (this.#ended) return;
    const ended = once(this.#process, "exit");
    this.#process.stdin?.end();
    const late = setTimeout(() => this.#process.kill("SIGKILL"), 2_000);
    await ended;
    clearTimeout(late);
  }
}

/** How to start the two ends of a subject that is no program of ours. */
export interface Programs {
  readonly server: string;
  readonly client: string;
}

function childOf(subject: string, role: keyof Programs, args: readonly string[], programs?: Programs): Child {
  const name = `${subject}, ${role}`;
  if (programs) return new Child(name, programs[role], args);
  const script = join(import.meta.dirname, "child.js");
  return new Child(name, process.execPath, ["--expose-gc", script, role, subject, ...args]);
}

/** Starts another client of a server that runs; it is ready when it gives a first answer. */
export function clientChild(subject: string, address: string, programs?: Programs): Child {
  return childOf(subject, "client", [address], programs);
}

/** Client and server of one subject, each a process of its own. */
export class Pair {
  readonly server: Child;
  readonly client: Child;
  readonly address: string;
  readonly #pids: readonly number[];

  private constructor(server: Child, client: Child, address: string, morePids: readonly number[]) {
    this.server = server;
    this.client = client;
    this.address = address;
    this.#pids = [server.pid, client.pid, ...morePids];
  }

  /** Starts both; resolves when a first call has been answered. */
  static async start(subject: string, programs?: Programs): Promise<Pair> {
    const server = childOf(subject, "server", [], programs);
    let client: Child | undefined;
    try {
      const { address, pids = [] } = await server.answer<{ address: string; pids?: number[] }>();
      client = clientChild(subject, address, programs);
      await client.answer();
      return new Pair(server, client, address, pids);
    } catch (error) {
      await Promise.all([server.close(), client?.close()]);
      throw error;
    }
  }

  /** CPU time of all its processes so far, in seconds; undefined where the system does not tell. */
  cpuSeconds(): number | undefined {
    if (!existsSync("/proc/self/stat")) return undefined;
    return this.#pids.reduce((sum, pid) => sum + cpuTicks(pid), 0) / ticksPerSecond;
  }

  async close(): Promise<void> {
    await this.client.close();
    await this.server.close();
  }
}

/** USER_HZ, which is 100 for all programs on Linux. */
const ticksPerSecond = 100;

/** utime and stime, the 14th and 15th field; the 2nd is a name in brackets that may have spaces. */
function cpuTicks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}
