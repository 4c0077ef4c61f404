import type { AnyMessageType } from "./contract.ts";
import { DataHeader, EndHeader } from "./gen/zerobind/v1/wire.pb.ts";
import { Metadata, metadataToEntries } from "./metadata.ts";
import type { MetadataInit } from "./metadata.ts";
import type { RpcError } from "./rpc-error.ts";

/** The meta of an END or REFUSE that has a text and nothing else. */
export function statusMeta(message: string): [AnyMessageType, unknown] {
  return [EndHeader, { message, details: [], header: [], trailer: [] }];
}

/** Longer texts of errors are cut. */
const maxMessageLength = 8 * 1024;

/** The header block and the trailer block of one reply, and the meta of the records that carry them. */
export class ReplyBlocks {
  header: Metadata | undefined;
  trailer: Metadata | undefined;
  readonly #path: string;
  readonly #maxBytes: number;
  #headerSent = false;

  /** `maxBytes` is what the caller accepts of each block. */
  constructor(path: string, maxBytes: number) {
    this.#path = path;
    this.#maxBytes = maxBytes;
  }

  get headerSent(): boolean {
    return this.#headerSent;
  }

  setHeader(header: MetadataInit): void {
    if (this.#headerSent) throw new Error(`the header of ${this.#path} was already sent`);
    this.header = this.#checked("header", header);
  }

  setTrailer(trailer: MetadataInit): void {
    this.trailer = this.#checked("trailer", trailer);
  }

  /** The meta of the next DATA record: the header block, until `sent`. */
  dataMeta(): [AnyMessageType, unknown] | undefined {
    if (this.#headerSent || !this.header) return undefined;
    return [DataHeader, { header: metadataToEntries(this.header) }];
  }

  /** A record with `dataMeta` is written. */
  sent(): void {
    this.#headerSent = true;
  }

  /** The meta of END; undefined where there is nothing to say. */
  endMeta(error?: RpcError): [AnyMessageType, unknown] | undefined {
    const header = this.#headerSent ? undefined : this.header;
    const trailer = error?.trailer ?? this.trailer;
    if (!error && !header && !trailer) return undefined;
    if (error) return [EndHeader, this.#errorMeta(error, header, trailer)];
    const meta = {
      message: "",
      details: [],
      header: header ? metadataToEntries(header) : [],
      trailer: trailer ? metadataToEntries(trailer) : [],
    };
    return [EndHeader, meta];
  }

  /** What a handler throws was checked nowhere: what the caller would not accept is left out, and the message says so. */
  #errorMeta(error: RpcError, header: Metadata | undefined, trailer: Metadata | undefined): EndHeader {
    const left: string[] = [];
    let { message } = error;
    if (message.length > maxMessageLength) {
      message = message.slice(0, maxMessageLength);
      left.push("the rest of the message");
    }
    let details = [...error.details];
    if (details.reduce((bytes, { value }) => bytes + value.byteLength, 0) > this.#maxBytes) {
      details = [];
      left.push("the details");
    }
    let trailerEntries = trailer ? metadataToEntries(trailer) : [];
    if ((trailer?.byteLength ?? 0) > this.#maxBytes) {
      trailerEntries = [];
      left.push("the trailer");
    }
    if (left.length > 0) message += ` (left out, as they were too large: ${left.join(", ")})`;
    return { message, details, header: header ? metadataToEntries(header) : [], trailer: trailerEntries };
  }

  #checked(name: string, init: MetadataInit): Metadata {
    // A copy, so that what was checked is what is sent.
    const block = new Metadata(init);
    if (block.byteLength <= this.#maxBytes) return block;
    throw new RangeError(
      `the ${name} of ${this.#path} has ${block.byteLength} bytes, ` +
        `more than the ${this.#maxBytes} that the caller accepts (its limit maxMetadataBytes)`,
    );
  }
}
