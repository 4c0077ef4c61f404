/** ZeroMQ reads no longer requests. */
const maxRequestBytes = 8_192;
/** What the server may have begun to say without being understood. */
const maxHeldBytes = 65_536;
const headEnd = "\r\n\r\n";
const get = "GET ";
/** Browsers send it, and ZeroMQ does not: any web page may try the addresses of the machine that shows it. */
const origin = /\r\norigin[ \t]*:/i;
const greetingBytes = 64;
const signatureBytes = 10;
const ready = "\u0005READY";
/** Text of the command, and for ws the flags before it. */
const readyBytes = ready.length + 1;

/** How long the request for a WebSocket is, or the beginning of a greeting of ZMTP, with which a client has to begin. */
export function prefaceLength(scheme: "ws" | "tcp", bytes: Buffer): number | "more" | "wrong" {
  if (scheme === "tcp") {
    if (bytes[0] !== 0xff) return "wrong";
    return bytes.length >= signatureBytes ? signatureBytes : "more";
  }
  if (bytes.toString("latin1", 0, get.length) !== get.slice(0, bytes.length)) return "wrong";
  const end = bytes.indexOf(headEnd) + headEnd.length;
  if (end >= headEnd.length) {
    const isOfWebPage = origin.test(bytes.toString("latin1", 0, end));
    return end <= maxRequestBytes && !isOfWebPage ? end : "wrong";
  }
  return bytes.length >= maxRequestBytes ? "wrong" : "more";
}

/**
 * Reads along in what a server says until it says READY, for which a client of CURVE must have been let in. libzmq
 * limits the time for that over tcp, and not over ws.
 */
export class ReadyWatch {
  readonly #isWs: boolean;
  #held: Buffer = Buffer.alloc(0);
  #isGreeted = false;
  #saidReady = false;

  constructor(scheme: "ws" | "tcp") {
    this.#isWs = scheme === "ws";
  }

  get saidReady(): boolean {
    return this.#saidReady;
  }

  read(bytes: Buffer): void {
    if (this.#saidReady || this.#held.length > maxHeldBytes) return;
    this.#held = Buffer.concat([this.#held, bytes]);
    if (!this.#isGreeted) this.#skipGreeting();
    while (this.#isGreeted && !this.#saidReady && this.#skipFrame());
  }

  #skipGreeting(): void {
    const end = this.#isWs ? this.#held.indexOf(headEnd) + headEnd.length : greetingBytes;
    if (end < headEnd.length || this.#held.length < end) return;
    this.#isGreeted = true;
    this.#held = this.#held.subarray(end);
  }

  /** False: there is no whole frame. */
  #skipFrame(): boolean {
    const held = this.#held;
    const frame = this.#isWs ? wsFrame(held) : zmtpFrame(held);
    if (!frame || held.length < frame.start + frame.length) return false;
    const text = held.toString("latin1", frame.start, frame.start + Math.min(frame.length, readyBytes));
    this.#saidReady = text.startsWith(ready, this.#isWs ? 1 : 0);
    this.#held = held.subarray(frame.start + frame.length);
    return true;
  }
}

/** Where the content of a frame begins, and how long it is. */
interface Frame {
  readonly start: number;
  readonly length: number;
}

/** Undefined as long as the header is not whole. */
export function wsFrame(bytes: Uint8Array): Frame | undefined {
  if (bytes.length < 2) return undefined;
  const short = bytes[1]! & 0x7f;
  const extra = short === 126 ? 2 : short === 127 ? 8 : 0;
  const start = 2 + extra + (bytes[1]! & 0x80 ? 4 : 0);
  if (bytes.length < start) return undefined;
  return { start, length: extra === 0 ? short : bigEndian(bytes, 2, extra) };
}

function zmtpFrame(bytes: Uint8Array): Frame | undefined {
  const extra = (bytes[0] ?? 0) & 2 ? 8 : 1;
  if (bytes.length < 1 + extra) return undefined;
  return { start: 1 + extra, length: bigEndian(bytes, 1, extra) };
}

function bigEndian(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let index = 0; index < count; index++) value = value * 256 + bytes[at + index]!;
  return value;
}
