import { PlainHeader } from "./gen/zerobind/v1/wire.pb.ts";
import { Status as StatusMessage } from "./gen/google/rpc/status.pb.ts";
import type { MetadataEntry } from "./gen/zerobind/v1/wire.pb.ts";
import { metadataFromEntries, metadataToEntries } from "./metadata.ts";
import type { Metadata } from "./metadata.ts";
import { RpcError } from "./rpc-error.ts";
import { Status, toStatusCode } from "./status.ts";

/** When a request of the plain profile has its third frame, which peers that do not know it may refuse. */
export type PlainHeaderUse = "metadata" | "always" | "never";

/** What a plain request is made of. */
export interface PlainParts {
  readonly path: string;
  readonly body: Uint8Array;
  readonly metadata: Metadata;
  /** Infinity if the caller waits for ever. */
  readonly timeoutMs: number;
}

/** What a plain reply says. */
export interface PlainAnswer {
  /** Undefined if the call went well. */
  readonly error: RpcError | undefined;
  readonly body: Uint8Array;
  readonly header: Metadata | undefined;
  readonly trailer: Metadata | undefined;
}

const pathPattern = /^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\/[A-Za-z_]\w*$/;
const encoder = new TextEncoder();

/** Whether a path can be the first frame of a plain request. */
export function isPlainPath(path: string): boolean {
  return path.length <= 1024 && pathPattern.test(path);
}

/** Body frames of a request: `[path][message]`, and `[PlainHeader]` if it is to be there. */
export function encodePlainRequest({ path, body, metadata, timeoutMs }: PlainParts, use: PlainHeaderUse): Uint8Array[] {
  const frames = [encoder.encode(path), body];
  if (use === "never" || (use === "metadata" && metadata.size === 0)) return frames;
  const rounded = timeoutMs === Infinity ? 0 : Math.min(Math.max(Math.ceil(timeoutMs), 1), 0xffffffff);
  const header = { timeoutMs: rounded, metadata: metadataToEntries(metadata), trailer: [] };
  return [...frames, PlainHeader.encode(header).finish()];
}

/** Reads the body frames of a reply, `[status][message][PlainHeader]?`; an INTERNAL error for anything that is none. */
export function readPlainReply(frames: readonly Uint8Array[]): PlainAnswer {
  const [status, body, header] = frames;
  if (!status || !body || frames.length > 3) {
    const text = `a plain reply has 2 or 3 frames, [status][message] or [status][message][header], not ${frames.length}`;
    return malformed(text);
  }
  try {
    const blocks = header ? PlainHeader.decode(header) : undefined;
    const answer = { body, header: blockOf(blocks?.metadata), trailer: blockOf(blocks?.trailer) };
    return { ...answer, error: status.byteLength === 0 ? undefined : errorOf(status) };
  } catch (cause) {
    return malformed((cause as Error).message);
  }
}

function errorOf(frame: Uint8Array): RpcError {
  const { code, message, details } = StatusMessage.decode(frame);
  if (code === Status.OK) throw new TypeError("its status is OK, which is said by an empty frame");
  return new RpcError(toStatusCode(code), message, { details });
}

function blockOf(entries: readonly MetadataEntry[] | undefined): Metadata | undefined {
  return entries === undefined || entries.length === 0 ? undefined : metadataFromEntries(entries);
}

function malformed(why: string): PlainAnswer {
  const error = new RpcError(Status.INTERNAL, `the reply of the plain peer is malformed: ${why}`);
  return { error, body: new Uint8Array(), header: undefined, trailer: undefined };
}
