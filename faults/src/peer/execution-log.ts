import { openSync, readFileSync, writeSync } from "node:fs";

/** Methods by number, as they stand in the log. */
export const methods = ["Work", "Look", "Tell", "Watch", "Collect", "Relay"] as const;

/** Method, client and id: three numbers of 4 bytes. */
const recordBytes = 12;

/** Which calls a server has carried out, in a file that outlives the process, however it ends. */
export class ExecutionLog {
  readonly #file: number;
  readonly #record = new Uint32Array(3);

  constructor(path: string) {
    this.#file = openSync(path, "a");
  }

  /** A handler begins. */
  note(method: (typeof methods)[number], client: number, id: number): void {
    this.#record[0] = methods.indexOf(method);
    this.#record[1] = client;
    this.#record[2] = id;
    writeSync(this.#file, this.#record);
  }
}

/** How many executions the files tell of, and those of methods that must be carried out once at most but were not. */
export function readExecutions(paths: readonly string[]): { executions: number; twice: string[] } {
  const seen = new Set<string>();
  const twice: string[] = [];
  let executions = 0;
  for (const path of paths) {
    const bytes = readFileSync(path);
    for (let at = 0; at + recordBytes <= bytes.length; at += recordBytes) {
      executions += 1;
      const method = methods[bytes.readUInt32LE(at)] ?? "unknown";
      if (method === "Look") continue;
      const key = `${method} ${bytes.readUInt32LE(at + 4)}/${bytes.readUInt32LE(at + 8)}`;
      if (seen.has(key)) twice.push(key);
      else seen.add(key);
    }
  }
  return { executions, twice };
}
