import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

/** One connection through the proxy. */
interface Pair {
  readonly sockets: readonly [Socket, Socket];
  /** Bytes that may still pass, both ways together. */
  left: number;
}

/** A network between two processes that can be made to fail: it holds back, delays, swallows or cuts. */
export class Proxy {
  /** Everything is swallowed, and nobody is told. */
  blackHole = false;
  delayMs = 0;
  /** Each new connection is cut, in the middle of whatever passes, after so many bytes. */
  cutAfterBytes: () => number = () => Infinity;
  /** Connections that were cut so. */
  cuts = 0;
  port = 0;
  readonly #target: number;
  readonly #pairs = new Set<Pair>();
  readonly #server = createServer((socket) => this.#accept(socket));

  constructor(targetPort: number) {
    this.#target = targetPort;
  }

  async open(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.port = (this.#server.address() as AddressInfo).port;
  }

  /** Cuts all connections. */
  cut(): void {
    for (const pair of [...this.#pairs]) this.#end(pair);
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #accept(near: Socket): void {
    const far = connect(this.#target, "127.0.0.1");
    const pair: Pair = { sockets: [near, far], left: this.cutAfterBytes() };
    this.#pairs.add(pair);
    this.#pass(pair, near, far);
    this.#pass(pair, far, near);
  }

  #pass(pair: Pair, from: Socket, to: Socket): void {
    from.setNoDelay(true);
    from.on("data", (bytes: Buffer) => {
      if (this.blackHole) return;
      const part = bytes.subarray(0, Math.min(bytes.length, pair.left));
      pair.left -= part.length;
      const isLast = pair.left <= 0;
      if (this.delayMs === 0) this.#write(pair, to, part, isLast);
      else setTimeout(() => this.#write(pair, to, part, isLast), this.delayMs);
    });
    from.on("error", () => undefined);
    // In a black hole, not even the end of a connection gets through.
    from.on("close", () => this.blackHole || this.#end(pair));
  }

  #write(pair: Pair, to: Socket, bytes: Buffer, isLast: boolean): void {
    if (to.destroyed) return;
    to.write(bytes, () => {
      if (!isLast || !this.#pairs.has(pair)) return;
      this.cuts += 1;
      this.#end(pair);
    });
  }

  #end(pair: Pair): void {
    this.#pairs.delete(pair);
    for (const socket of pair.sockets) socket.destroy();
  }
}
