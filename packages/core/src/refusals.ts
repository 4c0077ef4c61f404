import { RpcError } from "./rpc-error.ts";
import { Status } from "./status.ts";

/** What a name from the wire looks like in a message: escaped, and not longer than a line. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 120)}…` : name);
}

/** The answer to a call of a method that is not there. */
export function unimplemented(path: string): RpcError {
  return new RpcError(
    Status.UNIMPLEMENTED,
    `this server has no method ${quoted(path)}; is its service served here, under this package name?`,
  );
}

/** The answer to a call with more metadata than the server accepts. */
export function tooMuchMetadata(bytes: number, limit: number): RpcError {
  return new RpcError(
    Status.RESOURCE_EXHAUSTED,
    `the call has ${bytes} bytes of metadata, more than the ${limit} that the server accepts (its limit maxMetadataBytes)`,
  );
}

/** The answer to a call beyond what a session may have open. */
export function tooManyOpen(what: string, knob: string): RpcError {
  return new RpcError(
    Status.RESOURCE_EXHAUSTED,
    `the session has ${what} open, as many as the server allows (its ${knob})`,
  );
}

/** The answer to a call of a peer that does not read the replies it has got. */
export function tooMuchHeld(limit: number): RpcError {
  return new RpcError(
    Status.RESOURCE_EXHAUSTED,
    `replies of more than ${limit} bytes wait for the caller to read others (the server's limit maxHeldBytes)`,
  );
}
