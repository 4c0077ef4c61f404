/** The command cannot be carried out as it was given; the message says why. */
export class UsageError extends Error {
  override readonly name: string = "UsageError";
}

/** Exit statuses besides 0 and those of calls, which are gRPC's codes from 1 to 16. Their numbers are those of sysexits.h. */
export const ExitStatus = {
  OK: 0,
  /** Generated code differs, or could not be made. */
  FAILED: 1,
  /** Wrong command line, input or `.proto`. */
  USAGE: 64,
  /** A bug. */
  INTERNAL: 70,
  /** Ctrl-C. */
  INTERRUPTED: 130,
} as const;
