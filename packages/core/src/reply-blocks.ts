import type { AnyMessageType } from "./contract.ts";
import { DataHeader, EndHeader } from "./gen/zerobind/v1/wire.pb.ts";
import { Metadata, metadataToEntries } from "./metadata.ts";
import type { MetadataInit } from "./metadata.ts";
import type { RpcError } from "./rpc-error.ts";

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

  /** The meta of the next DATA record: the header block, once. */
  dataMeta(): [AnyMessageType, unknown] | undefined {
    if (this.#headerSent || !this.header) return undefined;
    this.#headerSent = true;
    return [DataHeader, { header: metadataToEntries(this.header) }];
  }

  /** The meta of END; undefined where there is nothing to say. */
  endMeta(error?: RpcError): [AnyMessageType, unknown] | undefined {
    const header = this.#headerSent ? undefined : this.header;
    const trailer = error?.trailer ?? this.trailer;
    if (!error && !header && !trailer) return undefined;
    const meta = {
      message: error?.message ?? "",
      details: error?.details ?? [],
      header: header ? metadataToEntries(header) : [],
      trailer: trailer ? metadataToEntries(trailer) : [],
    };
    return [EndHeader, meta];
  }

  #checked(name: string, init: MetadataInit): Metadata {
    const block = Metadata.from(init);
    if (block.byteLength <= this.#maxBytes) return block;
    throw new RangeError(
      `the ${name} of ${this.#path} has ${block.byteLength} bytes, ` +
        `more than the ${this.#maxBytes} that the caller accepts (its limit maxMetadataBytes)`,
    );
  }
}
