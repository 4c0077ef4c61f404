import { CallHalf } from "./call-half.ts";
import type { CallPort } from "./call-half.ts";
import { ContextItems } from "./context.ts";
import type { OperationContext, Peer, SessionContext } from "./context.ts";
import type { AnyMessageType, Contract, MethodDescriptor } from "./contract.ts";
import { HandlerSignal } from "./handler-signal.ts";
import { Metadata } from "./metadata.ts";
import type { MetadataInit } from "./metadata.ts";
import type { CallHead, Operation } from "./operation.ts";
import { ReplyBlocks } from "./reply-blocks.ts";
import { RpcError } from "./rpc-error.ts";
import { Status } from "./status.ts";
import type { StatusCode } from "./status.ts";
import { now } from "./timer-wheel.ts";

/** What a handler sees of the call that it answers; what it does not ask for is never made. */
export abstract class CallContext extends CallHalf implements OperationContext {
  readonly operation: Operation;
  readonly session: SessionContext | undefined;
  readonly peer: Peer;
  readonly deadlineMs: number;
  readonly oneWay: boolean;
  /** What is sent along with the reply. */
  #blocks: ReplyBlocks | undefined;
  #signal: HandlerSignal | undefined;
  #metadata: Metadata | undefined;
  #items: ContextItems | undefined;

  constructor(port: CallPort, id: number, head: CallHead) {
    super();
    this.operation = head.operation;
    this.session = head.session;
    this.peer = head.peer;
    this.deadlineMs = head.deadlineMs;
    this.oneWay = head.oneWay;
    this.#metadata = head.metadata;
    this.join(port, id);
    if (head.operation.clientStreams) this.openInbound(port.limits);
  }

  get method(): MethodDescriptor {
    return this.operation.descriptor;
  }

  get path(): string {
    return this.operation.path;
  }

  get metadata(): Metadata {
    return (this.#metadata ??= new Metadata());
  }

  get items(): ContextItems {
    return (this.#items ??= new ContextItems());
  }

  get deadline(): number | undefined {
    return this.deadlineMs === Infinity ? undefined : Date.now() + (this.deadlineMs - now());
  }

  get signal(): AbortSignal {
    return (this.#signal ??= new HandlerSignal()).signal;
  }

  get blocks(): ReplyBlocks {
    return (this.#blocks ??= new ReplyBlocks(this.path, this.port.peerLimits.maxMetadataBytes));
  }

  timeRemainingMs(): number {
    return Math.max(this.deadlineMs - now(), 0);
  }

  callback<Client>(contract: Contract<Client>): Client {
    checkCallback(this.operation, contract);
    if (this.session) return this.session.callback(contract);
    throw new RpcError(
      Status.UNIMPLEMENTED,
      `${this.path} was called by the plain profile, which has no session to call back over`,
    );
  }

  setHeader(header: MetadataInit): void {
    this.blocks.setHeader(header);
  }

  abstract sendHeader(): void;

  setTrailer(trailer: MetadataInit): void {
    this.blocks.setTrailer(trailer);
  }

  setCompression(compress: boolean | undefined): void {
    this.wishCompressed(compress);
  }

  protected override get strangeCompression(): StatusCode {
    return Status.UNIMPLEMENTED;
  }

  protected get inboundType(): AnyMessageType {
    return this.method.input;
  }

  protected get outboundType(): AnyMessageType {
    return this.method.output;
  }

  protected override get alongWith(): ReplyBlocks | undefined {
    return this.#blocks;
  }

  /** The handler is to stop. */
  protected stopHandler(reason: RpcError): void {
    this.inbound?.abort(reason);
    (this.#signal ??= new HandlerSignal()).abort(reason);
  }
}

/** The contract of a callback must be the one that the service names, so that both ends know of it. */
function checkCallback({ path, callback }: Operation, { typeName }: Contract): void {
  if (callback === typeName) return;
  const [service] = path.split("/");
  const named = callback === undefined ? "names no contract to call back" : `calls back ${callback}`;
  throw new TypeError(
    `${service} ${named}, not ${typeName}; say option (zerobind.v1.service) = { callback: "${typeName}" } in its proto`,
  );
}
