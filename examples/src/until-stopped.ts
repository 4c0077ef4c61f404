/**
 * Resolves when the process is asked to stop: by Ctrl-C, by SIGTERM, or because the program that forked it has gone.
 * Asked a second time, the process stops at once.
 */
export function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ["SIGINT", "SIGTERM", "disconnect"]) process.once(event, () => resolve());
    // It may have gone before this was called; in a process that was not forked, `connected` is undefined.
    if ((process.connected as boolean | undefined) === false) resolve();
    // Listening for "disconnect" must not keep the process alive.
    process.channel?.unref();
  });
}
