/**
 * Error in threads that may end at any moment, such as those of a worker pool: ZeroMQ aborts the whole process when a
 * thread ends that has an open socket. `zerobind` marks such threads with the reason.
 */
export function refuseInMortalThread(): void {
  const reason = (globalThis as Record<symbol, unknown>)[Symbol.for("zerobind.noSockets")];
  if (typeof reason === "string") throw new Error(reason);
}
