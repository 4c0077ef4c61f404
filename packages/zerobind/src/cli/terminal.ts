import { once } from "node:events";
import type { Readable, Writable } from "node:stream";

/** Where a command reads from and writes to: the process's own streams, or those of a test. */
export interface Terminal {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Calls the listener when the user presses Ctrl-C, or at other signals, the first time; gives the function that ends that. */
  onInterrupt(listener: () => void, signals?: readonly NodeJS.Signals[]): () => void;
}

/** The terminal of this process. A signal that nobody listens for any more ends the process at once. */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr } = process;
  return {
    stdin,
    stdout,
    stderr,
    onInterrupt(listener, signals = ["SIGINT"]) {
      const stop = (): void => {
        for (const signal of signals) process.off(signal, told);
      };
      const told = (): void => {
        stop();
        listener();
      };
      for (const signal of signals) process.on(signal, told);
      return stop;
    },
  };
}

/** Writes to a stream at its pace, and notices when its reader has left (`| head`). */
export class Output {
  readonly #stream: Writable;
  readonly #gone = new AbortController();

  constructor(stream: Writable) {
    this.#stream = stream;
    stream.on("error", (error: NodeJS.ErrnoException) => this.#gone.abort(error));
  }

  /** Aborted when nothing can be written any more. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Resolves when there is room for more, or nobody who wants it. */
  async line(text: string): Promise<void> {
    if (this.gone.aborted || this.#stream.write(`${text}\n`)) return;
    await once(this.#stream, "drain", { signal: this.gone }).catch(() => undefined);
  }
}

/** Text of a peer without what would steer a terminal. */
export function printable(text: string): string {
  return text.replace(
    /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
