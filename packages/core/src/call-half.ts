import type { BodyCodec } from "./binding.ts";
import { noMessage, notDecoded, notEncoded, tooLarge } from "./call-errors.ts";
import { wishOf } from "./compression.ts";
import type { PackedMessage } from "./compression.ts";
import type { AnyMessageType } from "./contract.ts";
import type { Limits } from "./limits.ts";
import { maxFragmented } from "./backlog.ts";
import { creditType, grantedMessages } from "./credit-record.ts";
import { Joiner } from "./joiner.ts";
import { Metadata, metadataFromEntries } from "./metadata.ts";
import type { MetadataEntry } from "./gen/zerobind/v1/wire.pb.ts";
import type { Outbox } from "./outbox.ts";
import { Flag, FrameReader, RecordType, WireError } from "./records.ts";
import type { BatchReader } from "./records.ts";
import type { ReplyBlocks } from "./reply-blocks.ts";
import { RpcError } from "./rpc-error.ts";
import { Status } from "./status.ts";
import type { StatusCode } from "./status.ts";
import { Inbound, closeSource } from "./stream.ts";
import type { InboundOwner, SourceIterator, StreamSink } from "./stream.ts";
import { Timed } from "./timer-wheel.ts";

/** The session as one of its calls sees it. */
export interface CallPort {
  readonly outbox: Outbox;
  readonly codec: BodyCodec;
  /** What this end accepts. */
  readonly limits: Limits;
  /** What the peer accepts. */
  readonly peerLimits: Limits;
  /** Messages of which some fragments have come, but not all. */
  joining: number;
}

/**
 * What both halves of a call, the caller's and the callee's, have in common: an id, a deadline, messages going out
 * under the peer's credit, and messages coming in, joined from their fragments and decoded as they arrive.
 */
export abstract class CallHalf extends Timed implements InboundOwner, StreamSink {
  /** On its session; 0 while it has none. */
  id = 0;
  ended = false;
  /** The session that the call has joined. */
  protected joined: CallPort | undefined;
  protected inbound: Inbound<unknown> | undefined;
  /** What is said of the compression of messages that go out. */
  #wish = 0;
  #sendMessages = 0;
  #sendBytes = 0;
  #sendWaiter: { promise: Promise<void>; resolve: () => void } | undefined;
  #source: SourceIterator | undefined;
  #joiner: Joiner | undefined;

  /** The session; only for what happens once the call has joined one. */
  protected get port(): CallPort {
    if (!this.joined) throw new Error("the call has joined no session");
    return this.joined;
  }

  /** Type of the messages that come in. */
  protected abstract readonly inboundType: AnyMessageType;
  /** Type of the messages that go out. */
  protected abstract readonly outboundType: AnyMessageType;

  /** How a call ends whose message came in a compression that this end does not know: as in gRPC, by its role. */
  protected get strangeCompression(): StatusCode {
    return Status.INTERNAL;
  }
  /** Whole messages that do not belong to a stream. */
  protected abstract onMessage(value: unknown): void;
  /** The call cannot go on because of something on this end; tells the peer. */
  abstract failHere(error: RpcError): void;
  /** The consumer of the inbound stream wants no more. */
  abstract left(reason: unknown): void;

  /** Joins a session, whose peer grants the first window. */
  protected join(port: CallPort, id: number): void {
    this.joined = port;
    this.id = id;
    this.#sendMessages = port.peerLimits.streamWindowMessages;
    this.#sendBytes = port.peerLimits.streamWindowBytes;
  }

  /** Says whether messages that go out from now on are compressed; undefined leaves it to the binding. */
  protected wishCompressed(compress: boolean | undefined): void {
    this.#wish = wishOf(compress);
  }

  /** Makes ready for a stream of messages coming in. */
  protected openInbound(limits: Limits): Inbound<unknown> {
    return (this.inbound = new Inbound(this, limits.streamWindowMessages, limits.streamWindowBytes));
  }

  /**
   * Writes one record of this call, with a message that goes out as its body, if there is one; returns the size of that
   * message, not compressed, or fails the call and returns -1.
   */
  protected record(type: number, flags: number, aux: number, meta?: [AnyMessageType, unknown], body?: unknown): number {
    try {
      return this.port.outbox.write({
        type,
        flags: flags | this.#wish,
        callId: this.id,
        aux,
        metaType: meta?.[0],
        meta: meta?.[1],
        bodyType: body === undefined ? undefined : this.outboundType,
        body,
      });
    } catch (error) {
      this.failHere(this.encodeError(error));
      return -1;
    }
  }

  opened(packed: PackedMessage): { value: unknown } | RpcError {
    try {
      return { value: this.port.codec.unpack(this.inboundType, packed) };
    } catch (thrown) {
      return this.#failUnread(thrown);
    }
  }

  /** A whole message that does not belong to a stream, and came compressed. False: the call has failed over it. */
  protected onPacked(packed: PackedMessage): boolean {
    const opened = this.opened(packed);
    if (opened instanceof RpcError) return false;
    this.onMessage(opened.value);
    return true;
  }

  /** What goes along with the messages; the caller's half has nothing. */
  protected get alongWith(): ReplyBlocks | undefined {
    return undefined;
  }

  /** One message of a stream goes out. */
  write(item: unknown): void {
    if (typeof item !== "object" || item === null) return this.failHere(this.encodeError(noMessage(item)));
    const blocks = this.alongWith;
    const meta = blocks?.dataMeta();
    const bytes = this.record(RecordType.DATA, Flag.MESSAGE, 0, meta, item);
    if (bytes < 0) return;
    // A message that could not be encoded has not taken the header block with it.
    if (meta) blocks?.sent();
    this.#sendMessages -= 1;
    this.#sendBytes -= bytes;
  }

  writable(): Promise<void> | undefined {
    if (this.ended || this.joined === undefined) return undefined;
    const { outbox } = this.port;
    if (this.#sendMessages > 0 && this.#sendBytes > 0 && !outbox.backlog.has(this.id) && !outbox.isFull)
      return undefined;
    if (!this.#sendWaiter) {
      let resolve!: () => void;
      const promise = new Promise<void>((settle) => (resolve = settle));
      this.#sendWaiter = { promise, resolve };
    }
    return this.#sendWaiter.promise;
  }

  draws(source: SourceIterator | undefined): void {
    if (this.ended && source) closeSource(source);
    else this.#source = source;
  }

  /** The peer grants credit. */
  onCredit(batch: BatchReader): void {
    this.grant(grantedMessages(batch), batch.aux);
  }

  /** The peer has granted so much more. */
  grant(messages: number, bytes: number): void {
    // Grants beyond what can be counted would only come from a peer that does not count.
    this.#sendMessages = Math.min(this.#sendMessages + messages, 0xffffffff);
    this.#sendBytes = Math.min(this.#sendBytes + bytes, 0xffffffff);
    this.wakeSender();
  }

  /** What had to wait of this call has left, or there is room again; the sender may look. */
  wakeSender(): void {
    const waiter = this.#sendWaiter;
    this.#sendWaiter = undefined;
    waiter?.resolve();
  }

  taken(messages: number, bytes: number): void {
    if (!this.ended && this.joined) this.record(RecordType.CREDIT, 0, bytes, [creditType, messages]);
  }

  /** Takes the payload of a record, whole or a fragment. False: the call has failed over it. */
  protected receivePayload(batch: BatchReader): boolean {
    if ((batch.flags & Flag.MESSAGE) === 0) return !this.#isCutOff(batch);
    if ((batch.flags & Flag.MORE) !== 0 || this.#joiner !== undefined) return this.#receivePart(batch);
    if (!this.#checkSize(batch.bodyLength)) return false;
    return this.#receiveBody(batch.bodyReader(), batch.bodyLength, (batch.flags & Flag.COMPRESSED) !== 0);
  }

  /** A block of metadata from the peer; one that breaks the rules is malformed, one over the limit fails the call. */
  protected blockFrom(entries: readonly MetadataEntry[]): Metadata {
    let block: Metadata;
    try {
      block = metadataFromEntries(entries);
    } catch (cause) {
      throw new WireError(`the peer sent metadata that is not valid: ${(cause as Error).message}`, { cause });
    }
    const limit = this.port.limits.maxMetadataBytes;
    if (block.byteLength > limit) {
      const text = `the peer sent ${block.byteLength} bytes of metadata, more than the ${limit} that are accepted (limit maxMetadataBytes of the receiver)`;
      this.failHere(new RpcError(Status.RESOURCE_EXHAUSTED, text));
    }
    return block;
  }

  /** Lets go of everything, also of a source that was left unread; nothing is sent or received afterwards. */
  protected finish(): void {
    this.ended = true;
    this.dropParts();
    if (this.#source) closeSource(this.#source);
    this.#source = undefined;
    this.wakeSender();
  }

  /** What the encoder threw, as the status of the call. */
  protected encodeError(error: unknown): RpcError {
    return notEncoded(this.outboundType.$type, error, this.joined?.peerLimits.maxMessageBytes);
  }

  #receivePart(batch: BatchReader): boolean {
    if (!this.#joiner) {
      if (this.port.joining >= maxFragmented) {
        const text = `the peer sent fragments of more than ${maxFragmented} messages at once`;
        this.failHere(new RpcError(Status.RESOURCE_EXHAUSTED, text));
        return false;
      }
      this.port.joining += 1;
      this.#joiner = new Joiner();
    }
    const joiner = this.#joiner;
    if (!this.#checkSize(joiner.bytes + batch.bodyLength)) return false;
    joiner.add(batch);
    if ((batch.flags & Flag.MORE) !== 0) return true;
    this.#joined();
    return this.#receiveBody(new FrameReader(joiner.joined()), joiner.bytes, joiner.isCompressed);
  }

  /** Forgets what has come of a message; the call is to begin anew. */
  protected dropParts(): void {
    if (this.#joiner) this.#joined();
  }

  #joined(): void {
    this.#joiner = undefined;
    this.port.joining -= 1;
  }

  /** Whether the peer says that it has said all, in the middle of a message; that must not look like an end. */
  #isCutOff({ type, flags, aux }: BatchReader): boolean {
    const isWell = type !== RecordType.END || aux === Status.OK;
    if (this.#joiner === undefined || (flags & Flag.END) === 0 || !isWell) return false;
    const text = `the ${this.inboundType.$type} that came is cut off: its last fragment is missing`;
    this.failHere(new RpcError(Status.INTERNAL, text));
    return true;
  }

  #receiveBody(reader: FrameReader, length: number, isCompressed: boolean): boolean {
    const { codec, limits } = this.port;
    let value: unknown;
    let bytes = length;
    try {
      if (isCompressed) {
        value = codec.packed(reader, length, limits.maxMessageBytes);
        // Windows count what messages have when they are not compressed, on both ends: that is what is made of them.
        ({ bytes } = value as PackedMessage);
      } else value = codec.read(this.inboundType, reader, length);
    } catch (thrown) {
      this.#failUnread(thrown);
      return false;
    }
    if (!this.inbound) return isCompressed ? this.onPacked(value as PackedMessage) : (this.onMessage(value), true);
    if (this.inbound.push(value, bytes)) return true;
    this.failHere(new RpcError(Status.INTERNAL, "the peer sent more messages than it was granted"));
    return false;
  }

  #failUnread(thrown: unknown): RpcError {
    const { maxMessageBytes } = this.port.limits;
    const error = notDecoded(this.inboundType.$type, thrown, maxMessageBytes, this.strangeCompression);
    this.failHere(error);
    return error;
  }

  #checkSize(bytes: number): boolean {
    const limit = this.port.limits.maxMessageBytes;
    if (bytes <= limit) return true;
    this.failHere(tooLarge(this.inboundType.$type, bytes, limit));
    return false;
  }
}
