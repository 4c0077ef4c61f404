import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, connect } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Channel, ServiceHost, loadContract } from "zerobind";
import type { ChannelOptions, OperationContext, ServiceHostOptions } from "zerobind";
import type { DynamicClient, DynamicContract, JsonObject } from "../../src/dynamic/types.ts";

const readme = readFileSync(join(import.meta.dirname, "../../../../README.md"), "utf8");

/** The greeter of the README. */
export async function readGreeter(): Promise<DynamicContract> {
  const [, proto = ""] = /```proto\n(.*?)```/s.exec(readme) ?? [];
  const folder = mkdtempSync(join(tmpdir(), "zerobind-greeter-"));
  try {
    const path = join(folder, "greeter.proto");
    writeFileSync(path, proto);
    return await loadContract(path, "greeter.v1.Greeter");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

type SayHello = (request: JsonObject, context: OperationContext) => unknown;

/** What a greeter is opened with; its `sayHello` greets unless it is to do something else. */
export interface GreeterOptions {
  readonly contract: DynamicContract;
  readonly host?: ServiceHostOptions;
  readonly channel?: ChannelOptions;
  readonly serve?: object;
  readonly sayHello?: SayHello;
  readonly address?: string;
}

/** A greeter and a client of it over tcp. */
export class OpenGreeter implements AsyncDisposable {
  readonly host: ServiceHost;
  readonly channel: Channel;
  readonly client: DynamicClient;

  private constructor(host: ServiceHost, channel: Channel, contract: DynamicContract) {
    this.host = host;
    this.channel = channel;
    this.client = channel.client(contract);
  }

  static async open({ contract, host: hostOptions, channel, serve, sayHello, address }: GreeterOptions) {
    const host = new ServiceHost({ onError: () => undefined, ...hostOptions });
    host.serve(contract, { sayHello: sayHello ?? greet, countdown }, serve);
    const [open = ""] = await host.open(address ?? "tcp://127.0.0.1:*");
    return new OpenGreeter(host, new Channel(open, channel), contract);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.channel.abort();
    this.host.abort();
    await Promise.all([this.channel.closed, this.host.closed]);
  }
}

function greet({ name }: JsonObject) {
  return { text: `Hello, ${name as string}` };
}

async function* countdown({ from }: JsonObject, { signal }: OperationContext) {
  for (let n = Number(from); n >= 0; n--) yield { n };
  if (Number(from) > 1_000) await aborted(signal);
}

/** Resolves when a signal has aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** A handler that never answers by itself, and tells when it was entered. */
export function hanging(): { readonly sayHello: SayHello; readonly entered: Promise<void> } {
  let enter!: () => void;
  const entered = new Promise<void>((resolve) => (enter = resolve));
  const sayHello: SayHello = async (_request, { signal }) => {
    enter();
    await aborted(signal);
    return {};
  };
  return { sayHello, entered };
}

/** A way to an address that can be cut. */
export class Cable implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(address: string): Promise<Cable> {
    const port = Number(/\d+$/.exec(address)?.[0]);
    const server = createServer();
    const cable = new Cable(server);
    server.on("connection", (near) => {
      const far = connect({ port, host: "127.0.0.1" });
      for (const socket of [near, far]) {
        cable.#sockets.add(socket);
        socket.on("error", () => undefined);
      }
      near.pipe(far).pipe(near);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return cable;
  }

  get address(): string {
    return `tcp://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
