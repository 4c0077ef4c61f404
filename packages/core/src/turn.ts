/**
 * When deferred work runs, relative to the event loop. The two names below are all that core asks of its host beyond
 * the standard library, and both have a fallback for hosts without Node's scheduling.
 */
interface NodeScheduling {
  process?: { nextTick?: (work: () => void) => void };
  setImmediate?: (work: () => void) => unknown;
}

const host = globalThis as NodeScheduling;

/**
 * Runs work when the microtasks that are queued now, and those that they queue, are done: everything that one turn of
 * the event loop has to say is said by then. (Node drains all microtasks before it returns to its tick queue.)
 */
export const atEndOfTurn: (work: () => void) => void = host.process?.nextTick ?? queueMicrotask;

/** Runs work in a later turn of the event loop, after input and output had their chance. */
export const inNextTurn: (work: () => void) => void = host.setImmediate ?? ((work) => setTimeout(work, 0));
