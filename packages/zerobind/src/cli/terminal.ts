import { once } from "node:events";
import type { Readable, Writable } from "node:stream";

/** Where a command reads from and writes to: the process's own streams, or those of a test. */
export interface Terminal {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Calls the listener when the user presses Ctrl-C, the first time; gives the function that ends that. */
  onInterrupt(listener: () => void): () => void;
}

/** The terminal of this process. A second Ctrl-C ends the process at once. */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr } = process;
  return {
    stdin,
    stdout,
    stderr,
    onInterrupt(listener) {
      process.once("SIGINT", listener);
      return () => void process.off("SIGINT", listener);
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
