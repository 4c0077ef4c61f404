import type { Socket } from "node:net";
import { codeOf } from "../socket.ts";
import { ReadyWatch, prefaceLength } from "./handshake-watch.ts";
import { hostOf } from "./net-listen.ts";
import { forgetOrigin, haveNoOrigins, originFor } from "./origins.ts";
import { WsFrames } from "./ws-frames.ts";

/** How long what is under way to a client may take to leave. */
export const relayGraceMs = 1_000;
const innerHost = "127.0.0.1";

/** What a visit needs of its front. */
export interface VisitOwner {
  readonly scheme: "ws" | "tcp";
  /** Where ZeroMQ listens. */
  readonly innerPort: number;
  readonly handshakeTimeoutMs: number;
  /** The two ends agree: it is a stranger no more. */
  agreed(visit: Visit): void;
  ended(visit: Visit): void;
  trouble(kind: string, describe: () => string): void;
}

/** One connection from outside, led on to ZeroMQ once it has begun as it must. */
export class Visit {
  readonly #outer: Socket;
  readonly #owner: VisitOwner;
  /** Both as soon as it is led on: of a flood, most never is. */
  #watch: ReadyWatch | undefined;
  #frames: WsFrames | undefined;
  readonly #from: string | undefined;
  readonly #timer: NodeJS.Timeout;
  #preface: Buffer = Buffer.alloc(0);
  #inner: Socket | undefined;
  #isStranger = true;
  #hasEnded = false;

  constructor(outer: Socket, owner: VisitOwner) {
    this.#outer = outer;
    this.#owner = owner;
    this.#from = hostOf(outer.remoteAddress);
    this.#timer = setTimeout(() => this.#late(), owner.handshakeTimeoutMs);
    outer.on("error", () => undefined);
    outer.on("close", () => this.end());
    outer.on("data", this.#begin);
  }

  /** Cuts the connection; what is under way to the client still leaves. */
  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    this.#inner?.destroySoon();
    this.#outer.destroySoon();
    // Nobody may read it.
    const sockets = [this.#outer, this.#inner];
    if (this.#outer.writableLength > 0 || (this.#inner?.writableLength ?? 0) > 0)
      setTimeout(() => sockets.forEach((socket) => socket?.destroy()), relayGraceMs);
    else sockets.forEach((socket) => socket?.destroy());
    this.#owner.ended(this);
  }

  readonly #begin = (bytes: Buffer): void => {
    this.#preface = this.#preface.length === 0 ? bytes : Buffer.concat([this.#preface, bytes]);
    const { scheme } = this.#owner;
    const length = prefaceLength(scheme, this.#preface);
    if (length === "more") return;
    if (length === "wrong") return this.#cut("preface", `does not begin as a client of ${scheme} does`);
    this.#outer.off("data", this.#begin);
    this.#leadOn(this.#preface.subarray(0, length), this.#preface.subarray(length));
    this.#preface = Buffer.alloc(0);
  };

  #leadOn(preface: Buffer, rest: Buffer): void {
    this.#outer.setNoDelay(true);
    this.#watch = new ReadyWatch(this.#owner.scheme);
    if (this.#owner.scheme === "ws") this.#frames = new WsFrames();
    const local = originFor(this.#from);
    const { innerPort: port } = this.#owner;
    const inner = process.getBuiltinModule("node:net").connect({
      host: innerHost,
      port,
      noDelay: true,
      ...(local !== undefined && { localAddress: local }),
    });
    this.#inner = inner;
    inner.on("error", (error) => {
      if (local !== undefined && codeOf(error) === "EADDRNOTAVAIL") haveNoOrigins();
    });
    inner.on("close", () => {
      if (local !== undefined) forgetOrigin(local);
      this.end();
    });
    inner.on("drain", () => this.#outer.resume());
    inner.on("data", this.#fromServer);
    inner.pipe(this.#outer);
    inner.write(preface);
    if (rest.length > 0) this.#fromClient(rest);
    this.#outer.on("data", this.#fromClient);
    this.#outer.on("end", () => inner.end());
  }

  readonly #fromClient = (bytes: Buffer): void => {
    if (this.#frames && !this.#frames.accept(bytes))
      return this.#cut("frames", "sent a frame that is none of ZeroMQ's over WebSocket");
    if (this.#inner?.write(bytes) === false) this.#outer.pause();
    this.#checkAgreed();
  };

  readonly #fromServer = (bytes: Buffer): void => {
    this.#watch?.read(bytes);
    this.#checkAgreed();
  };

  /** Both ends agree when the server is ready and the client has sent something, which without CURVE is its own READY. */
  #checkAgreed(): void {
    if (this.#isStranger && this.#watch?.saidReady && this.#frames?.hasMessage !== false) this.#agreed();
  }

  #agreed(): void {
    this.#isStranger = false;
    clearTimeout(this.#timer);
    this.#inner?.off("data", this.#fromServer);
    this.#owner.agreed(this);
  }

  #late(): void {
    // Over tcp, ZeroMQ itself limits the time, and understands clients of older kinds.
    if (this.#inner && this.#owner.scheme === "tcp") return this.#agreed();
    this.#cut("late", `did not finish its handshake within ${this.#owner.handshakeTimeoutMs} ms`);
  }

  #cut(kind: string, problem: string): void {
    this.#owner.trouble(kind, () => `a connection from ${this.#from ?? "somewhere"} was cut, since it ${problem}`);
    this.end();
  }
}
