/** Where a connection is in the first bytes that its client sends. */
export type Preface = "more" | "whole" | "wrong";

/** ZeroMQ reads no longer requests. */
const maxRequestBytes = 8_192;
/** What the server may have begun to say without being understood. */
const maxHeldBytes = 65_536;
const headEnd = "\r\n\r\n";
const get = "GET ";
const greetingBytes = 64;
const signatureBytes = 10;
const ready = "\u0005READY";
/** Text of the command, and for ws the flags before it. */
const readyBytes = ready.length + 1;
/** Header of a WebSocket frame: of one whole message of bytes, and the longest there is. */
const binaryFrame = 0x82;
const maxHeaderBytes = 14;

/** Whether what a client has sent is the whole request for a WebSocket, or the beginning of a greeting of ZMTP 3. */
export function prefaceOf(scheme: "ws" | "tcp", bytes: Buffer): Preface {
  if (scheme === "tcp") {
    if (bytes.length > 0 && bytes[0] !== 0xff) return "wrong";
    return bytes.length >= signatureBytes ? "whole" : "more";
  }
  if (bytes.toString("latin1", 0, get.length) !== get.slice(0, bytes.length)) return "wrong";
  const end = bytes.indexOf(headEnd);
  if (end >= 0 && end + headEnd.length <= maxRequestBytes) return "whole";
  return end >= 0 || bytes.length >= maxRequestBytes ? "wrong" : "more";
}

/**
 * Reads along in a connection until both ends agree: the server has said READY, for which a client of CURVE must have
 * been let in, and the client has sent a whole frame, which without CURVE is its own READY. libzmq limits the time for
 * that over tcp, and not over ws.
 */
export class HandshakeWatch {
  readonly #isWs: boolean;
  #server: Buffer = Buffer.alloc(0);
  #isGreeted = false;
  #saidReady = false;
  #client: Buffer = Buffer.alloc(0);
  #clientBytes = 0;

  constructor(scheme: "ws" | "tcp") {
    this.#isWs = scheme === "ws";
  }

  /** What the client has sent after its preface. */
  client(bytes: Buffer): void {
    this.#clientBytes += bytes.length;
    if (this.#client.length < maxHeaderBytes)
      this.#client = Buffer.concat([this.#client, bytes.subarray(0, maxHeaderBytes)]);
  }

  server(bytes: Buffer): void {
    if (this.#saidReady || this.#server.length > maxHeldBytes) return;
    this.#server = Buffer.concat([this.#server, bytes]);
    if (!this.#isGreeted) this.#skipGreeting();
    while (this.#isGreeted && !this.#saidReady && this.#skipFrame());
  }

  get isOver(): boolean {
    return this.#saidReady && this.#clientHasSpoken();
  }

  #skipGreeting(): void {
    const end = this.#isWs ? this.#server.indexOf(headEnd) + headEnd.length : greetingBytes;
    if (end < headEnd.length || this.#server.length < end) return;
    this.#isGreeted = true;
    this.#server = this.#server.subarray(end);
  }

  /** False: there is no whole frame. */
  #skipFrame(): boolean {
    const held = this.#server;
    const frame = this.#isWs ? wsFrame(held) : zmtpFrame(held);
    if (!frame || held.length < frame.start + frame.length) return false;
    const text = held.toString("latin1", frame.start, frame.start + Math.min(frame.length, readyBytes));
    this.#saidReady = text.startsWith(ready, this.#isWs ? 1 : 0);
    this.#server = held.subarray(frame.start + frame.length);
    return true;
  }

  #clientHasSpoken(): boolean {
    if (!this.#isWs) return true;
    const frame = this.#client[0] === binaryFrame ? wsFrame(this.#client) : undefined;
    return frame !== undefined && this.#clientBytes >= frame.start + frame.length;
  }
}

/** Where the content of a frame begins, and how long it is; undefined as long as its header is not whole. */
interface Frame {
  readonly start: number;
  readonly length: number;
}

function wsFrame(bytes: Buffer): Frame | undefined {
  if (bytes.length < 2) return undefined;
  const short = bytes[1]! & 0x7f;
  const extra = short === 126 ? 2 : short === 127 ? 8 : 0;
  if (bytes.length < 2 + extra) return undefined;
  const masked = bytes[1]! & 0x80 ? 4 : 0;
  return { start: 2 + extra + masked, length: extra === 0 ? short : bigEndian(bytes, 2, extra) };
}

function zmtpFrame(bytes: Buffer): Frame | undefined {
  const extra = (bytes[0] ?? 0) & 2 ? 8 : 1;
  if (bytes.length < 1 + extra) return undefined;
  return { start: 1 + extra, length: bigEndian(bytes, 1, extra) };
}

function bigEndian(bytes: Buffer, at: number, count: number): number {
  let value = 0;
  for (let index = 0; index < count; index++) value = value * 256 + bytes[at + index]!;
  return value;
}
