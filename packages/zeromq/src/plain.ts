import {
  Metadata,
  metadataFromEntries,
  metadataToEntries,
  PlainHeader,
  RpcError,
  StatusMessage,
  Status,
} from "@zerobind/core";
import type { PlainRequest, Principal } from "@zerobind/core";

/*
 * The plain profile: what any ZeroMQ peer can send with a REQ socket and a protobuf library.
 * Request: [method][message] or [method][message][PlainHeader].
 * Reply: [status][message] or [status][message][PlainHeader]; an empty status is OK, else it is a google.rpc.Status.
 */

const maxMethodBytes = 1024;
const methodPattern = /^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\/[A-Za-z_]\w*$/;
const empty = new Uint8Array(0);
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Body frames of a request, read. */
export interface PlainCall {
  readonly path: string;
  readonly body: Uint8Array;
  readonly timeoutMs: number;
  readonly metadata: Metadata | undefined;
}

/** Reads the body frames of a request; RpcError, which is the answer, for anything that is none. */
export function readPlainCall(frames: readonly Uint8Array[], maxMetadataBytes: number): PlainCall {
  const [method, body, header] = frames;
  if (!method || !body || frames.length > 3) {
    throw malformed(
      `a plain request has 2 or 3 frames, [method][message] or [method][message][header], not ${frames.length}`,
    );
  }
  const path = readMethod(method);
  if (!header) return { path, body, timeoutMs: 0, metadata: undefined };
  return { path, body, ...readHeader(header, maxMetadataBytes) };
}

/** Body frames of a reply with a message. */
function encodePlainReply(body: Uint8Array, header?: Metadata, trailer?: Metadata): Uint8Array[] {
  return withHeader([empty, body], header, trailer);
}

/** Body frames of a reply with an error. */
export function encodePlainError(error: RpcError): Uint8Array[] {
  const details = error.details.map(({ typeUrl, value }) => ({ typeUrl, value }));
  const status = StatusMessage.encode({ code: error.code, message: error.message, details }).finish();
  return withHeader([status, empty], error.header, error.trailer);
}

/** The connection that a request came by. */
export interface PlainOrigin {
  /** Notes who is told if the connection is lost. False: too many wait already. */
  admit(tell: (reason: string) => void): boolean;
  answered(tell: (reason: string) => void): void;
}

/** A request that waits for its answer. */
export class PlainExchange implements PlainRequest {
  readonly path: string;
  readonly body: Uint8Array;
  readonly timeoutMs: number;
  readonly metadata: Metadata | undefined;
  readonly remoteAddress: string;
  readonly principal: Principal | undefined;
  readonly #send: (frames: Uint8Array[]) => boolean;
  #answered = false;
  #origin: PlainOrigin | undefined;
  #tellGone: ((reason: string) => void) | undefined;
  #goneReason: string | undefined;
  readonly #gone = (reason: string): void => {
    this.#goneReason = reason;
    this.#tellGone?.(reason);
  };

  constructor(call: PlainCall, remoteAddress: string, send: (frames: Uint8Array[]) => boolean, principal?: Principal) {
    this.principal = principal;
    this.path = call.path;
    this.body = call.body;
    this.timeoutMs = call.timeoutMs;
    this.metadata = call.metadata;
    this.remoteAddress = remoteAddress;
    this.#send = send;
  }

  /** Waits as one request of a connection. False: it may not. */
  await(origin: PlainOrigin): boolean {
    if (!origin.admit(this.#gone)) return false;
    this.#origin = origin;
    return true;
  }

  onGone(listener: (reason: string) => void): void {
    this.#tellGone = listener;
    if (this.#goneReason !== undefined) listener(this.#goneReason);
  }

  reply(body: Uint8Array, header: Metadata | undefined, trailer: Metadata | undefined): boolean {
    return this.#answer(() => encodePlainReply(body, header, trailer));
  }

  fail(error: RpcError): boolean {
    return this.#answer(() => encodePlainError(error));
  }

  /** A second answer would be taken for the answer to the peer's next request. */
  #answer(encode: () => Uint8Array[]): boolean {
    if (this.#answered) return false;
    this.#answered = true;
    const isSent = this.#send(encode());
    this.#origin?.answered(this.#gone);
    return isSent;
  }
}

function readMethod(frame: Uint8Array): string {
  if (frame.length > maxMethodBytes)
    throw malformed(`the method name has ${frame.length} bytes, and may have ${maxMethodBytes}`);
  let path: string;
  try {
    path = utf8.decode(frame);
  } catch {
    throw malformed("the first frame, the method name, is no UTF-8");
  }
  if (methodPattern.test(path)) return path;
  throw malformed(
    `the first frame must be a method name such as package.Service/Method, not ${JSON.stringify(path.slice(0, 80))}`,
  );
}

function readHeader(frame: Uint8Array, maxMetadataBytes: number): Pick<PlainCall, "timeoutMs" | "metadata"> {
  // Encoded metadata is larger than its keys and values, but not by much; this bounds the work of decoding.
  if (frame.length > 2 * maxMetadataBytes + maxMethodBytes) throw tooMuchMetadata(frame.length, maxMetadataBytes);
  let header: PlainHeader;
  let metadata: Metadata;
  try {
    header = PlainHeader.decode(frame);
    metadata = metadataFromEntries(header.metadata);
  } catch (cause) {
    const why = (cause as { message?: unknown } | undefined)?.message;
    throw malformed(`the third frame must be a zerobind.v1.PlainHeader: ${String(why)}`);
  }
  if (metadata.byteLength > maxMetadataBytes) throw tooMuchMetadata(metadata.byteLength, maxMetadataBytes);
  return { timeoutMs: header.timeoutMs, metadata: metadata.size > 0 ? metadata : undefined };
}

function withHeader(frames: Uint8Array[], header: Metadata | undefined, trailer: Metadata | undefined): Uint8Array[] {
  if (!header?.size && !trailer?.size) return frames;
  const metadata = header ? metadataToEntries(header) : [];
  frames.push(
    PlainHeader.encode({ timeoutMs: 0, metadata, trailer: trailer ? metadataToEntries(trailer) : [] }).finish(),
  );
  return frames;
}

function malformed(message: string): RpcError {
  return new RpcError(Status.INTERNAL, message);
}

function tooMuchMetadata(bytes: number, limit: number): RpcError {
  return new RpcError(
    Status.RESOURCE_EXHAUSTED,
    `the request has ${bytes} bytes of metadata, and the server takes ${limit} (maxMetadataBytes)`,
  );
}
