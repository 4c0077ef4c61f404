import { Server } from "./server.ts";

/** Many hosts in one process, each of which works for a device. */
export class Crew {
  readonly #number: number;
  readonly #logPath: string;
  readonly #workers: (Server | undefined)[] = [];
  #backend = "";

  constructor(number: number, logPath: string) {
    this.#number = number;
    this.#logPath = logPath;
  }

  /** Lets so many hosts join the device that listens there. */
  async join(backend: string, count: number): Promise<void> {
    this.#backend = backend;
    await Promise.all(Array.from({ length: count }, (_, index) => this.#join(index)));
  }

  /** Lets a host drain and leave, while another joins in its place. */
  async replace(index: number): Promise<void> {
    const old = this.#workers[index];
    await this.#join(index);
    await old?.close();
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map(async (worker) => await worker?.close()));
  }

  wrong(): string[] {
    return this.#workers.flatMap((worker) => worker?.wrong() ?? []);
  }

  async #join(index: number): Promise<void> {
    const worker = new Server(this.#number, this.#logPath);
    this.#workers[index] = worker;
    await worker.serve(this.#backend, {}, "connect");
  }
}
