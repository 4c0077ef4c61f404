const reason = Symbol.for("zerobind.noSockets");

/**
 * Makes the ZeroMQ transport refuse to open sockets in this thread. A thread can be ended at any moment, by what its
 * handler does or because it hangs; ZeroMQ aborts the whole process when a thread ends that has an open socket.
 */
export function noSockets(): void {
  (globalThis as Record<symbol, unknown>)[reason] =
    "no ZeroMQ socket is opened in the thread of a worker pool, since the end of the thread would be the end of the " +
    "process; make calls where the pool is served, before or after those that the threads carry out";
}
