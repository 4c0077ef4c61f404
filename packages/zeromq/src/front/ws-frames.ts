import { wsFrame } from "./handshake-watch.ts";

const maxHeaderBytes = 14;
const binary = 0x82;
/** Close, ping and pong. */
const controls: readonly number[] = [0x88, 0x89, 0x8a];
const maxControlBytes = 125;
const isMasked = 0x80;

/**
 * Checks the headers of the WebSocket frames of a client. libzmq takes whole messages of bytes and control frames, all
 * masked, and forgets to close the connection that anything else comes by: its file would stay open for ever.
 */
export class WsFrames {
  /** Whether a whole message has come. */
  hasMessage = false;
  readonly #header = new Uint8Array(maxHeaderBytes);
  #headerBytes = 0;
  /** Bytes of the frame that are still to come. */
  #left = 0;

  /** False: these bytes must not be led on. */
  accept(bytes: Uint8Array): boolean {
    let at = 0;
    while (at < bytes.length) {
      const skipped = Math.min(this.#left, bytes.length - at);
      this.#left -= skipped;
      at += skipped;
      if (this.#left > 0) return true;
      this.#ended();
      while (at < bytes.length && this.#left === 0) {
        this.#header[this.#headerBytes++] = bytes[at++]!;
        const header = this.#header.subarray(0, this.#headerBytes);
        if (!isPossible(header)) return false;
        const frame = wsFrame(header);
        if (!frame) continue;
        if (header[0] === binary && frame.length === 0) return false;
        this.#left = frame.length;
        if (frame.length === 0) this.#headerBytes = 0;
      }
    }
    if (this.#left === 0) this.#ended();
    return true;
  }

  /** A frame has come to its end, if there was one. */
  #ended(): void {
    if (this.#headerBytes === 0 || !wsFrame(this.#header.subarray(0, this.#headerBytes))) return;
    if (this.#header[0] === binary) this.hasMessage = true;
    this.#headerBytes = 0;
  }
}

function isPossible(header: Uint8Array): boolean {
  const [kind = 0, length] = header;
  const isControl = controls.includes(kind);
  if (kind !== binary && !isControl) return false;
  if (length === undefined) return true;
  return (length & isMasked) !== 0 && (!isControl || (length & ~isMasked) <= maxControlBytes);
}
