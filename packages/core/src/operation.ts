import type { MethodDescriptor } from "./contract.ts";
import type { Lane } from "./admission.ts";
import type { ServerCall } from "./request-context.ts";
import type { RpcError } from "./rpc-error.ts";

/** A method as the answering end serves it. */
export interface Operation {
  readonly path: string;
  readonly descriptor: MethodDescriptor;
  readonly clientStreams: boolean;
  readonly serverStreams: boolean;
  readonly oneWay: boolean;
  /** Why the plain profile, which has one request, one reply and no session, cannot carry it; undefined if it can. */
  readonly notPlain: string | undefined;
  /** Full name of the contract that its handlers may call back, if there is one. */
  readonly callback: string | undefined;
  /** Where its calls wait; undefined where nothing limits them. */
  readonly lane: Lane | undefined;
  /** Told of replies that could not be sent. */
  onUnsendable?(error: RpcError): void;
  /** Answers the call; called once per call, when its request is there or, where requests stream, at once. */
  run(call: ServerCall): void;
}

/** Where calls find their operation; shared by all endpoints of a host. */
export interface OperationTable {
  resolve(path: string): Operation | undefined;
  /** Whether one more call may come in, to run or to wait; counts it if so. An error is its answer. */
  admit(operation: Operation): RpcError | undefined;
  /** The request of an admitted call is there: runs it, now or when its turn comes. */
  enter(call: ServerCall): void;
  /** A peer reads again, for which calls may have waited. */
  relieved(): void;
  /** A call that was admitted is over. */
  released(call: ServerCall): void;
  /** A one-way call was refused, which its caller will not hear. */
  dropped(path: string, error: RpcError): void;
  /** Full names, for READY. */
  readonly services: readonly string[];
}
