import { DataHeader, EndHeader } from "../gen/zerobind/v1/wire.pb.ts";
import type { MetadataEntry } from "../gen/zerobind/v1/wire.pb.ts";
import { metadataFromEntries } from "../metadata.ts";
import type { Metadata } from "../metadata.ts";
import { Flag, RecordType } from "../records.ts";
import { RpcError } from "../rpc-error.ts";
import { Status, toStatusCode } from "../status.ts";
import type { PlainRequest } from "../transport.ts";
import { ForwardedCall } from "./forwarded-call.ts";
import type { CallHub, CallOpening } from "./forwarded-call.ts";
import type { Piece } from "./passing.ts";

/** A call of a plain client: one request frame, one reply frame, and a time limit that is kept here. */
export class PlainCall extends ForwardedCall {
  readonly isHeldBack = false;
  readonly #request: PlainRequest;
  readonly #over: () => void;
  #header: Metadata | undefined;
  #reply: Uint8Array | undefined;

  constructor(hub: CallHub, request: PlainRequest, opening: CallOpening, over: () => void) {
    super(hub, opening);
    this.#request = request;
    this.#over = over;
    request.onGone(() => this.cancel(Status.CANCELLED));
  }

  get sessionKey(): unknown {
    return this.#request.remoteAddress;
  }

  // Its client says nothing when the time is over.
  protected override get graceMs(): number {
    return 0;
  }

  // It has no stream of requests.
  onForwarded(): void {}

  onCredit(): void {}

  reply(piece: Piece): void {
    if (piece.type === RecordType.DATA && piece.meta) this.#header = blockOf(DataHeader.decode(piece.meta).header);
    if ((piece.flags & Flag.MESSAGE) !== 0) {
      if (this.#reply) {
        const text = `${this.method.path} answers with a stream, which the plain profile cannot carry; call it with the native profile`;
        return this.fail(new RpcError(Status.UNIMPLEMENTED, text));
      }
      this.#reply = piece.body;
    }
    if (piece.type === RecordType.END) this.#end(piece);
  }

  answerWith(error: RpcError): void {
    if (this.stage === "over") return;
    this.#request.fail(error);
    this.finish();
  }

  refuse(reason: string): void {
    this.answerWith(new RpcError(Status.UNAVAILABLE, `${this.method.path}: ${reason}`));
  }

  protected onOver(): void {
    this.#over();
  }

  #end({ aux, meta }: Piece): void {
    const { message = "", details = [], header = [], trailer = [] } = meta ? EndHeader.decode(meta) : {};
    const blocks = { header: this.#header ?? blockOf(header), trailer: blockOf(trailer) };
    const code = toStatusCode(aux);
    if (code !== Status.OK) this.answerWith(new RpcError(code, message, { details, ...blocks }));
    else if (this.#reply) {
      this.#request.reply(this.#reply, blocks.header, blocks.trailer);
      this.finish();
    } else {
      const text = `${this.method.path} ended without a reply message, so that the plain profile has nothing to answer with`;
      this.answerWith(new RpcError(Status.UNIMPLEMENTED, text));
    }
  }
}

function blockOf(entries: readonly MetadataEntry[]): Metadata | undefined {
  return entries.length === 0 ? undefined : metadataFromEntries(entries);
}
