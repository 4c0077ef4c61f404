import type { OperationContext, Peer, SessionContext } from "./context.ts";
import type { MethodDescriptor } from "./contract.ts";
import type { Lane, WaitingCall } from "./lane.ts";
import type { Guard } from "./method-guard.ts";
import type { Metadata } from "./metadata.ts";
import type { RpcError } from "./rpc-error.ts";
import type { Inbound } from "./stream.ts";

/** A call as those see it who decide when it runs, and who run it. */
export interface IncomingCall extends OperationContext, WaitingCall {
  readonly operation: Operation;
  /** When it must be over, on the monotonic clock. */
  readonly deadlineMs: number;
  /** Where it stands with those who decide when it runs; theirs to change. */
  stage: "arriving" | "waiting" | "running" | "over";
  /** Its caller wants no answer, and gets none, whatever the contract says here. */
  readonly oneWay: boolean;
  /** The request message, to be read after `prepare`; undefined where requests stream. */
  readonly request: unknown;
  /** What the request takes once it is prepared, if it came compressed; 0 if not. */
  readonly inflatedBytes: number;
  /** Undoes the compression of the request. False: there is none in it, and the call has ended. */
  prepare(): boolean;
  /** The requests, where they stream. */
  readonly requests: Inbound<unknown>;
  readonly ended: boolean;
  /** How the call stands; `aborted` means that nobody waits for an answer. */
  readonly status: "open" | "replied" | "aborted";
  /** Ends the call with its last or only message; undefined ends a stream of replies that has had its last. */
  reply(value?: unknown): "sent" | "dropped";
  /** Answers with a status. */
  fail(error: RpcError): "sent" | "dropped";
  /** Streams the replies of a source, then ends the call. Rejects with what the source throws. */
  replyAll(source: unknown): Promise<void>;
}

/** What came with a call. */
export interface CallHead {
  readonly operation: Operation;
  readonly session: SessionContext | undefined;
  readonly peer: Peer;
  readonly metadata: Metadata | undefined;
  /** On the monotonic clock. */
  readonly deadlineMs: number;
  readonly oneWay: boolean;
}

/** A method as the answering end serves it. */
export interface Operation {
  readonly path: string;
  readonly descriptor: MethodDescriptor;
  readonly clientStreams: boolean;
  readonly serverStreams: boolean;
  /** Whether its callers need no answer, by the contract of this end. */
  readonly oneWay: boolean;
  /** Why the plain profile, which has one request, one reply and no session, cannot carry it; undefined if it can. */
  readonly notPlain: string | undefined;
  /** Full name of the contract that its handlers may call back, if there is one. */
  readonly callback: string | undefined;
  /** Where its calls wait; undefined where nothing limits them. */
  readonly lane: Lane<IncomingCall> | undefined;
  /** Asked before anything of a request is decoded; undefined where everybody is let in. Set when its end opens. */
  guard: Guard | undefined;
  /** Why a call with these flags of its CALL cannot be taken, where that depends on them. */
  refusal?(flags: number): RpcError | undefined;
  /** Told of replies that could not be sent. */
  onUnsendable?(error: RpcError): void;
  /** Answers the call; called once per call, when its request is there or, where requests stream, at once. */
  run(call: IncomingCall): void;
}

/** Where calls find their operation; shared by all endpoints of a host. */
export interface OperationTable {
  resolve(path: string): Operation | undefined;
  /** Whether one more call may come in, to run or to wait; counts it if so. An error is its answer. */
  admit(operation: Operation): RpcError | undefined;
  /** The request of an admitted call is there: runs it, now or when its turn comes. */
  enter(call: IncomingCall): void;
  /** A peer reads again, for which calls may have waited. */
  relieved(): void;
  /** A call that was admitted is over. */
  released(call: IncomingCall): void;
  /** A one-way call was refused, which its caller will not hear. */
  dropped(path: string, error: RpcError): void;
  /** Full names, for READY. */
  readonly services: readonly string[];
}
