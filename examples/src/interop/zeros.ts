/** More than most payloads need: they are views of it, so that a thousand at once cost no memory. */
const shared = new Uint8Array(1024 * 1024);

/** A payload's body: so many zeros, not to be written to. */
export function zeros(size: number): Uint8Array {
  return size <= shared.length ? shared.subarray(0, size) : new Uint8Array(size);
}

/** Whether a body consists of zeros only. */
export function isZeros(body: Uint8Array): boolean {
  return Buffer.compare(body, zeros(body.length)) === 0;
}
