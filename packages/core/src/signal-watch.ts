/** Something that an AbortSignal ends. */
export interface Cancellable {
  cancel(reason: unknown): void;
}

/**
 * One listener per signal, however many calls it ends: a signal that is shared by many calls would otherwise make the
 * runtime warn of a leak. The listener goes with the last call.
 */
const watched = new WeakMap<AbortSignal, { readonly calls: Set<Cancellable>; readonly listener: () => void }>();

/** Cancels the call when the signal aborts, with the signal's reason. */
export function watchSignal(signal: AbortSignal, call: Cancellable): void {
  const known = watched.get(signal);
  if (known) {
    known.calls.add(call);
    return;
  }
  const calls = new Set([call]);
  const listener = (): void => {
    for (const each of [...calls]) each.cancel(signal.reason);
  };
  watched.set(signal, { calls, listener });
  signal.addEventListener("abort", listener);
}

/** Ends that; does nothing if the call is not watched for. */
export function unwatchSignal(signal: AbortSignal, call: Cancellable): void {
  const known = watched.get(signal);
  if (!known?.calls.delete(call) || known.calls.size > 0) return;
  watched.delete(signal);
  signal.removeEventListener("abort", known.listener);
}
