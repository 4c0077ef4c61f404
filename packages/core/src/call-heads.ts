import { CallHeader } from "./gen/zerobind/v1/wire.pb.ts";
import { metadataFromEntries } from "./metadata.ts";
import type { Metadata } from "./metadata.ts";
import type { Operation, OperationTable } from "./operation.ts";
import { WireError } from "./records.ts";
import type { BatchReader } from "./records.ts";
import { quoted, tooMuchMetadata, unimplemented } from "./refusals.ts";
import type { RpcError } from "./rpc-error.ts";

/** Longest name of a method, and highest number that a peer may give to one. */
const maxPathLength = 1024;
const maxMethodNumber = 4096;

/** Reads what the CALL records of one session say before their bodies, with the methods that it has numbered. */
export class CallHeads {
  readonly #table: Pick<OperationTable, "resolve">;
  readonly #maxMetadataBytes: number;
  /** By the caller's number: the method, or the name under which there is none. */
  readonly #methods: (Operation | string | undefined)[] = [];

  constructor(table: Pick<OperationTable, "resolve">, maxMetadataBytes: number) {
    this.#table = table;
    this.#maxMetadataBytes = maxMetadataBytes;
  }

  /** Method and metadata of a CALL; most are two bytes of meta that name a known method. */
  read(batch: BatchReader): { operation: Operation | RpcError; metadata?: Metadata } {
    if (batch.metaLength === 2 && batch.metaByte(0) === 8 && batch.metaByte(1) < 0x80) {
      return { operation: this.#byNumber(batch.metaByte(1)) };
    }
    // An entry has a few bytes around its key and value; anything far beyond the limit is not even decoded.
    const limit = this.#maxMetadataBytes;
    if (batch.metaLength > 8 * limit + 2 * maxPathLength)
      return { operation: tooMuchMetadata(batch.metaLength, limit) };
    const header = batch.meta(CallHeader);
    const operation =
      header.path === "" ? this.#byNumber(header.methodNumber) : this.#byPath(header.path, header.methodNumber);
    if (header.metadata.length === 0) return { operation };
    let metadata: Metadata;
    try {
      metadata = metadataFromEntries(header.metadata);
    } catch (cause) {
      throw new WireError(`the metadata of a call is not valid: ${(cause as Error).message}`, { cause });
    }
    return metadata.byteLength > limit
      ? { operation: tooMuchMetadata(metadata.byteLength, limit) }
      : { operation, metadata };
  }

  #byNumber(number: number): Operation | RpcError {
    const found = this.#methods[number];
    if (found === undefined) throw new WireError(`method number ${number} was not introduced`);
    return typeof found === "string" ? unimplemented(found) : found;
  }

  #byPath(path: string, number: number): Operation | RpcError {
    const operation = path.length > maxPathLength ? undefined : this.#table.resolve(path);
    if (number > maxMethodNumber) throw new WireError(`method number ${number} is above ${maxMethodNumber}`);
    if (number > 0) this.#methods[number] = operation ?? quoted(path).slice(1, -1);
    return operation ?? unimplemented(path);
  }
}
