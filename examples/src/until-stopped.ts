/**
 * Resolves when the process is asked to stop: by Ctrl-C, by SIGTERM, or because the program that forked it has gone.
 * Asked a second time, the process stops at once.
 */
export function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ["SIGINT", "SIGTERM", "disconnect"]) process.once(event, () => resolve());
    // Listening for "disconnect" must not keep the process alive.
    process.channel?.unref();
  });
}
