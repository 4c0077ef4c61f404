import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach } from "@jest/globals";
import type { Attachment, AttachmentListener, Link, LinkReceiver, PlainRequest } from "@zerobind/core";
import { buildSync } from "esbuild";
import type { Socket } from "zeromq";
import { zeromq } from "../src/index.ts";
import type { ZeromqOptions } from "../src/index.ts";

export const maxFrameBytes = 1024 * 1024;

/** What is waited for in the order in which it happens. */
class Queue<T> {
  readonly all: T[] = [];
  #taken = 0;
  #wake: (() => void) | undefined;

  push(item: T): void {
    this.all.push(item);
    this.#wake?.();
  }

  async next(): Promise<T> {
    while (this.#taken === this.all.length) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.all[this.#taken++]!;
  }

  /** The first item from now on that the condition holds for; what comes before it is skipped. */
  async find(condition: (item: T) => boolean): Promise<T> {
    for (;;) {
      const item = await this.next();
      if (condition(item)) return item;
    }
  }
}

/** A link with everything that came by it. */
export class RecordedLink implements LinkReceiver {
  readonly link: Link;
  readonly messages = new Queue<string>();
  readonly losses = new Queue<string>();

  constructor(link: Link) {
    this.link = link;
  }

  receive(frames: readonly Uint8Array[]): void {
    this.messages.push(textOf(frames));
  }

  lost(reason: string): void {
    this.losses.push(reason);
  }

  send(text: string): boolean {
    return this.link.send([native(text)]);
  }
}

/** One attached end, recorded. */
export class End implements AttachmentListener {
  readonly links = new Queue<RecordedLink>();
  readonly plain = new Queue<PlainRequest>();
  readonly troubles = new Queue<string>();
  attachment!: Attachment;
  /** Called with each new link before anything else happens on it. */
  onLink: (recorded: RecordedLink) => void = () => undefined;

  get address(): string {
    return this.attachment.address;
  }

  accept(link: Link): LinkReceiver {
    const recorded = new RecordedLink(link);
    this.onLink(recorded);
    this.links.push(recorded);
    return recorded;
  }

  acceptPlain(request: PlainRequest): void {
    this.plain.push(request);
  }

  trouble(problem: string): void {
    this.troubles.push(problem);
  }

  close(lingerMs = 0): Promise<void> {
    return this.attachment.close(lingerMs);
  }
}

const opened: { close: () => unknown }[] = [];

/** Everything that is opened by the functions below is closed after each test, children are ended. */
export function track<T extends { close: () => unknown }>(closable: T): T {
  opened.push(closable);
  return closable;
}

afterEach(async () => {
  for (const closable of opened.splice(0).reverse()) await closable.close();
});

/** Short times, so that tests of time-outs do not take theirs. */
const quick: ZeromqOptions = { reconnectMinMs: 20, reconnectMaxMs: 200 };

export interface AttachChoice extends ZeromqOptions {
  readonly greeting?: string;
  readonly end?: End;
  readonly maxFrameBytes?: number;
}

export async function bind(address: string, choice: AttachChoice = {}): Promise<End> {
  const { end = new End(), greeting: _, maxFrameBytes: max = maxFrameBytes, ...options } = choice;
  end.attachment = await zeromq({ ...quick, ...options }).attach(address, { mode: "bind", maxFrameBytes: max }, end);
  return track(end);
}

export async function connect(address: string, choice: AttachChoice = {}): Promise<End> {
  const { end = new End(), greeting = "hello", maxFrameBytes: max = maxFrameBytes, ...options } = choice;
  const attach = { mode: "connect", maxFrameBytes: max, greeting: native(greeting) } as const;
  end.attachment = await zeromq({ ...quick, ...options }).attach(address, attach, end);
  return track(end);
}

/** Answers every greeting, as a server does, so that the connecting end gets its link. */
export function answering(end: End = new End()): End {
  end.onLink = (recorded) => void recorded.link.send([native("welcome")]);
  return end;
}

/** A bound and a connected end with the link between them, greeting and answer already read. */
export async function pair(
  address: string,
  choice: AttachChoice = {},
): Promise<{ server: End; client: End; atServer: RecordedLink; atClient: RecordedLink }> {
  const server = await bind(address, { ...choice, end: answering() });
  const client = await connect(server.address, choice);
  const [atServer, atClient] = [await server.links.next(), await client.links.next()];
  await atServer.messages.next();
  await atClient.messages.next();
  return { server, client, atServer, atClient };
}

/** A bare ZeroMQ socket: a peer that knows nothing of this transport. */
export function raw<T extends Socket & { linger: number }>(socket: T): T {
  socket.linger = 0;
  track({ close: () => (socket.closed ? undefined : socket.close()) });
  return socket;
}

export function native(text: string): Buffer {
  return Buffer.concat([Buffer.from([0xc5, 1]), Buffer.from(text)]);
}

/** Frames as text, without the mark of native ones, joined by bars. */
export function textOf(frames: readonly Uint8Array[]): string {
  return frames
    .map((frame) =>
      Buffer.from(frame)
        .toString("latin1")
        .replace(/^\xc5\x01/, ""),
    )
    .join("|");
}

const packageFolder = fileURLToPath(new URL("..", import.meta.url));

/** Runs TypeScript in a process of its own, with this package as `./src/index.ts`. */
export function runChild(source: string): ChildProcess {
  const { outputFiles } = buildSync({
    stdin: { contents: source, resolveDir: packageFolder, loader: "ts" },
    bundle: true,
    write: false,
    format: "esm",
    platform: "node",
    target: "node20",
    conditions: ["@zerobind/source"],
    external: ["zeromq"],
  });
  const child = spawn(process.execPath, ["--input-type=module", "-"], {
    cwd: packageFolder,
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.end(outputFiles[0]!.text);
  track({
    close: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  });
  return child;
}

/** Output and exit code of a child that ends by itself. */
export async function outcome(child: ChildProcess): Promise<{ code: number | null; output: string; errors: string }> {
  let [output, errors] = ["", ""];
  child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  await once(child, "close");
  return { code: child.exitCode, output, errors };
}

/** Lets time pass where nothing can be awaited since nothing is supposed to happen. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
