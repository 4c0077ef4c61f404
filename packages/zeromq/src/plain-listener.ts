import type { Server, Socket } from "node:net";
import { PlainGateway } from "@zerobind/core";
import type { AttachOptions, Attachment, AttachmentListener, PlainUse } from "@zerobind/core";
import type { ParsedAddress } from "./address.ts";
import type { CurveUser } from "./curve/server-curve.ts";
import { addressOf, listening } from "./front/net-listen.ts";
import { bindError, checkIpcPathFree, removeSocketFile } from "./guard.ts";
import type { ZeromqSettings } from "./options.ts";
import { PlainConnection } from "./plain-connection.ts";
import { codeOf } from "./socket.ts";
import { Troubles } from "./trouble.ts";

/** Workers that may be connected at once, unless the option `maxConnections` says otherwise: each takes a socket of the process's context, and three files. */
const defaultMaxWorkers = 4_096;
/** How long what is under way to a worker may take to leave. */
const relayGraceMs = 1_000;

/**
 * Binds an address where REP sockets connect. ZeroMQ lets a REP talk to a DEALER and to nothing else, and one DEALER
 * would deal requests out to all workers in turn, whether they are busy or not. So each worker gets a DEALER of its
 * own: connections are accepted here, and led on, byte by byte, to a private socket that the DEALER connects to.
 * Rejects with an error that names the address and says why it cannot be bound.
 */
export async function listenPlain(
  address: ParsedAddress,
  settings: ZeromqSettings,
  options: AttachOptions,
  listener: AttachmentListener,
  use: Omit<PlainUse, "trouble">,
): Promise<Attachment> {
  await checkIpcPathFree(address);
  const workers = new WorkerListener(address, settings, options, listener, use);
  try {
    await workers.open();
    return workers;
  } catch (cause) {
    await workers.close(0);
    throw bindError(address.endpoint, codeOf(cause), cause);
  }
}

/** The workers of one address. */
class WorkerListener implements Attachment, CurveUser {
  address: string;
  readonly #target: ParsedAddress;
  readonly #settings: ZeromqSettings;
  readonly #maxFrameBytes: number;
  readonly #maxWorkers: number;
  readonly #gateway: PlainGateway;
  readonly #troubles: Troubles;
  readonly #server: Server;
  readonly #workers = new Set<Worker>();
  #folder: string | undefined;
  #made = 0;
  #closing: Promise<void> | undefined;
  #leave: (() => Promise<void>) | undefined;

  constructor(
    target: ParsedAddress,
    settings: ZeromqSettings,
    options: AttachOptions,
    listener: AttachmentListener,
    use: Omit<PlainUse, "trouble">,
  ) {
    this.address = target.endpoint;
    this.#target = target;
    this.#settings = settings;
    this.#maxFrameBytes = options.maxFrameBytes;
    this.#maxWorkers = settings.maxConnections ?? defaultMaxWorkers;
    this.#troubles = new Troubles((problem) => listener.trouble(`${this.address}: ${problem}`));
    const trouble = (kind: string, describe: () => string): void => this.#troubles.report(kind, describe);
    this.#gateway = new PlainGateway(options, (link) => listener.accept(link), { ...use, trouble });
    this.#server = process.getBuiltinModule("node:net").createServer((socket) => this.#connected(socket));
  }

  async open(): Promise<void> {
    this.#leave = await this.#settings.curve.server?.enter(this);
    const { mkdtemp } = process.getBuiltinModule("node:fs/promises");
    this.#folder = await mkdtemp(`${process.getBuiltinModule("node:os").tmpdir()}/zerobind-`);
    removeSocketFile(this.#target);
    await listening(this.#server, this.#target);
    this.address = addressOf(this.#server, this.#target);
    this.#server.on("error", (error) =>
      this.#troubles.report("accept", () => `a worker could not be let in (${codeOf(error)})`),
    );
  }

  close(lingerMs: number): Promise<void> {
    this.#closing ??= this.#close(lingerMs);
    return this.#closing;
  }

  async #close(lingerMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await Promise.all([...this.#workers].map((worker) => worker.shut(lingerMs)));
    await closed;
    this.#gateway.close();
    await this.#leave?.();
    const { rm } = process.getBuiltinModule("node:fs/promises");
    // What cannot be removed is an empty folder among temporary files.
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true }).catch(() => undefined);
  }

  /** Which of the workers has a key is not known, so all have to connect again. */
  revoked(): void {
    for (const worker of [...this.#workers]) void worker.shut(0);
  }

  trouble(kind: string, describe: () => string): void {
    this.#troubles.report(kind, describe);
  }

  #connected(socket: Socket): void {
    socket.on("error", () => undefined);
    if (this.#closing || this.#workers.size >= this.#maxWorkers) {
      socket.destroy();
      this.#troubles.report("workers", () => `a worker was not let in, since there are ${this.#maxWorkers} already`);
      return;
    }
    const { remoteAddress, remotePort, remoteFamily } = socket;
    const host = remoteFamily === "IPv6" ? `[${remoteAddress}]` : remoteAddress;
    const number = ++this.#made;
    const peer = remoteAddress === undefined ? `${this.address} worker ${number}` : `tcp://${host}:${remotePort}`;
    const worker = new Worker(socket, {
      connect: (endpoint) =>
        new PlainConnection(
          {
            endpoint,
            ipv6: false,
            remoteAddress: peer,
            curveOptions: this.#settings.curve.server?.socketOptions ?? {},
          },
          this.#settings,
          this.#gateway,
          this.#maxFrameBytes,
          {
            linked: () => undefined,
            trouble: (kind, describe) => this.#troubles.report(kind, () => `worker ${peer}: ${describe()}`),
            ended: (_, gone) => void gone.then(() => worker.end()),
          },
        ),
      ended: () => this.#workers.delete(worker),
    });
    this.#workers.add(worker);
    worker.open(process.platform === "win32" ? undefined : `${this.#folder}/${number}`);
  }
}

/** One connection of a worker, led on to its own DEALER. */
class Worker {
  readonly #outer: Socket;
  readonly #on: { connect: (endpoint: string) => PlainConnection; ended: () => void };
  readonly #server: Server;
  #inner: Socket | undefined;
  #connection: PlainConnection | undefined;
  #hasEnded = false;

  constructor(outer: Socket, on: { connect: (endpoint: string) => PlainConnection; ended: () => void }) {
    this.#outer = outer;
    this.#on = on;
    this.#server = process.getBuiltinModule("node:net").createServer((inner) => this.#join(inner));
  }

  /** `path`: of the private socket; undefined where there is no such thing, which then is a port of this machine. */
  open(path: string | undefined): void {
    this.#outer.setNoDelay(true);
    this.#server.on("error", () => this.end());
    this.#server.listen(path === undefined ? { host: "127.0.0.1", port: 0 } : { path }, () => {
      if (this.#hasEnded) return;
      const { port } = (path === undefined ? this.#server.address() : {}) as { port?: number };
      this.#connection = this.#on.connect(path === undefined ? `tcp://127.0.0.1:${port}` : `ipc://${path}`);
      this.#connection.open();
    });
  }

  async shut(lingerMs: number): Promise<void> {
    await this.#connection?.shut(lingerMs);
    this.end();
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#server.close();
    this.#inner?.destroy();
    // What was said to the worker last may still have to leave.
    this.#outer.destroySoon();
    setTimeout(() => this.#outer.destroy(), relayGraceMs).unref();
    this.#on.ended();
  }

  #join(inner: Socket): void {
    // The DEALER connects once; nobody else has business here.
    this.#server.close();
    if (this.#inner || this.#hasEnded) return void inner.destroy();
    this.#inner = inner;
    inner.setNoDelay(true);
    inner.on("error", () => undefined);
    inner.on("close", () => this.#outer.destroySoon());
    this.#outer.on("close", () => inner.destroySoon());
    this.#outer.pipe(inner);
    inner.pipe(this.#outer);
  }
}
