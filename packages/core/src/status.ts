/**
 * gRPC's seventeen status codes, by name.
 * @see https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
 */
export const Status = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** The number of a status code. */
export type StatusCode = (typeof Status)[keyof typeof Status];

/** The name of a status code. */
export type StatusName = keyof typeof Status;

const names = Object.keys(Status) as StatusName[];

/** The name of a code, for example `NOT_FOUND`; `UNKNOWN` for a number that is none of the seventeen. */
export function statusName(code: number): StatusName {
  return names[code] ?? "UNKNOWN";
}

/** A number from the wire as a status code; what is none of the seventeen becomes UNKNOWN, as in gRPC. */
export function toStatusCode(code: number): StatusCode {
  return code in names ? (code as StatusCode) : Status.UNKNOWN;
}
