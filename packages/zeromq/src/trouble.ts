const defaultIntervalMs = 5_000;

/**
 * Tells of troubles without flooding: the first of each kind at once, repetitions at most every few seconds and with
 * their number. Kinds are names from the code, never from the wire, so there are few.
 */
export class Troubles {
  readonly #tell: (problem: string) => void;
  readonly #intervalMs: number;
  readonly #kinds = new Map<string, { untilMs: number; count: number }>();

  constructor(tell: (problem: string) => void, intervalMs: number = defaultIntervalMs) {
    this.#tell = tell;
    this.#intervalMs = intervalMs;
  }

  /** `describe` is called only if the text is told. */
  report(kind: string, describe: () => string): void {
    const now = performance.now();
    const known = this.#kinds.get(kind);
    const count = (known?.count ?? 0) + 1;
    if (known && now < known.untilMs) {
      known.count = count;
      return;
    }
    this.#kinds.set(kind, { untilMs: now + this.#intervalMs, count });
    this.#tell(count > 1 ? `${describe()} (${count} times so far)` : describe());
  }

  /** The trouble is over: its next occurrence is the first again. */
  over(kind: string): void {
    this.#kinds.delete(kind);
  }
}

/** Bytes from the wire as text for logs: printable ASCII as it is, everything else escaped, long ones cut. */
export function escapeBytes(bytes: Uint8Array, maxBytes = 48): string {
  let text = "";
  for (const byte of bytes.subarray(0, maxBytes)) {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x5c && byte !== 0x22;
    text += plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return bytes.length > maxBytes ? `"${text}…" (${bytes.length} bytes)` : `"${text}"`;
}
