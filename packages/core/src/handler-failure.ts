/** An error that a handler threw and that its caller did not get to see, with the id that the caller was told. */
export interface HandlerFailure {
  readonly path: string;
  /** Named in the status that the caller got; undefined for a one-way call. */
  readonly id: string | undefined;
  /** What has thrown, if it was a function of the host before the handler: an option by that name. Else undefined. */
  readonly step?: "authenticate" | "authorize" | "onAuthorization" | undefined;
}

/** Where failures go that nobody else takes. */
export function logFailure(error: unknown, { path, id, step }: HandlerFailure): void {
  const whose = step === undefined ? `the handler of ${path} failed` : `${step} failed for ${path}`;
  const what = path === "" ? "an internal error" : whose;
  // eslint-disable-next-line no-console -- what callers do not get to see must be seen somewhere
  console.error(`zerobind: ${what}${id === undefined ? "" : ` (error id ${id})`}:`, error);
}

/** Names a failure to whoever may not see it. */
export function errorId(): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(6));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
