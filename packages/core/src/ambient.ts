import type { OperationContext } from "./context.ts";

/** What calls inherit from the call whose handler makes them. */
export interface ParentCall extends OperationContext {
  /** When it must be over, on the monotonic clock; Infinity for never. */
  readonly deadlineMs: number;
}

/** The part of Node's AsyncLocalStorage that is used. */
interface Storage {
  run<Call extends ParentCall | undefined, R>(store: Call, work: (call: Call) => R, call: Call): R;
  getStore(): ParentCall | undefined;
}

interface NodeModules {
  process?: { getBuiltinModule?: (name: string) => { AsyncLocalStorage?: new () => Storage } | undefined };
}

/** Hosts without AsyncLocalStorage have no ambient call: there, deadline and signal are passed on by hand. */
const AsyncLocalStorage = (globalThis as NodeModules).process?.getBuiltinModule?.(
  "node:async_hooks",
)?.AsyncLocalStorage;

/** Only ever set by `run`, so that it can never leak from one call into another. */
const storage: Storage | undefined = AsyncLocalStorage && new AsyncLocalStorage();

/** Runs a handler, so that whatever it starts, now or later, knows the call that it belongs to. */
export function runAs<Call extends ParentCall | undefined, R>(call: Call, work: (call: Call) => R): R {
  // Storage that was never run costs nothing; one that was slows every promise of the process down.
  return storage && (call !== undefined || storage.getStore() !== undefined)
    ? storage.run(call, work, call)
    : work(call);
}

/** The call that the running code belongs to, if it belongs to one. */
export function parentCall(): ParentCall | undefined {
  return storage?.getStore();
}

/**
 * The context of the call whose handler is running, however deep in it; undefined outside of handlers. Calls that are
 * made there inherit its deadline and its cancellation (see `CallOptions.detached`).
 */
export function currentContext(): OperationContext | undefined {
  return parentCall();
}

/** Runs work that belongs to no call: what it starts may outlive the handler that it was started from. */
export function detached<R>(work: () => R): R {
  return runAs(undefined, work);
}
