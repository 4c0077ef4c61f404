import { fileURLToPath } from "node:url";
import { Program } from "../demo/program.ts";
import { untilStopped } from "../until-stopped.ts";

/** One example: what each of its processes does, and the story that starts them. */
export interface Example {
  /** What the example shows, in a line. */
  readonly title: string;
  /** What processes of the example do, by the names that `Stage.start` knows them by. */
  readonly roles: Readonly<Record<string, (...args: string[]) => Promise<void>>>;
  /** Starts processes, and resolves when everything has happened as it should. Throws if it has not. */
  play(stage: Stage): Promise<void>;
}

const main = fileURLToPath(new URL("./main.js", import.meta.url));
/** Columns of the names before what processes print. */
const nameWidth = 11;

/** Where an example plays: starts its processes and prints what they say, each line with the name of its process. */
export class Stage {
  readonly #example: string;

  constructor(example: string) {
    this.#example = example;
  }

  /** Prints a line of the story. */
  tell(text: string): void {
    console.log(`${"".padEnd(nameWidth)} · ${text}`);
  }

  /** Starts a process in a role, under a name for the reader. It ends with this one. */
  start(name: string, role: string, ...args: readonly string[]): Program {
    return new Program(main, [this.#example, role, ...args], (line) =>
      console.log(`${name.padEnd(nameWidth)} │ ${line}`),
    );
  }

  /** Starts a process that serves, and waits until it prints `listening ADDRESS`. */
  async serve(name: string, role: string, ...args: readonly string[]): Promise<{ program: Program; address: string }> {
    const program = this.start(name, role, ...args);
    const [, address = ""] = await program.line(/^listening (.+)$/);
    return { program, address };
  }
}

/** For processes that serve: keeps something open until the process is asked to stop. */
export async function openUntilStopped(end: {
  open(): Promise<unknown>;
  close(): Promise<unknown>;
  readonly address: string;
}): Promise<void> {
  const stopped = untilStopped();
  await end.open();
  console.log(`listening ${end.address}`);
  await stopped;
  await end.close();
}
