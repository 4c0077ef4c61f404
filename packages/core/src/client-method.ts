import type { AnyMessageType, Contract, MethodDescriptor } from "./contract.ts";
import { methodPath } from "./contract.ts";
import { CallHeader } from "./gen/zerobind/v1/wire.pb.ts";
import type { Limits } from "./limits.ts";
import { metadataToEntries } from "./metadata.ts";
import type { Metadata } from "./metadata.ts";
import { Flag } from "./records.ts";
import { now } from "./timer-wheel.ts";

/** A method as the calling end uses it, worked out once per client. */
export interface ClientMethod {
  readonly descriptor: MethodDescriptor;
  readonly path: string;
  readonly clientStreams: boolean;
  readonly serverStreams: boolean;
  /** Flags of its CALL records that every call has. */
  readonly flags: number;
  readonly oneWay: boolean;
  /** Carrying it out twice does no harm. */
  readonly idempotent: boolean;
  readonly timeoutMs: number | undefined;
}

/** Prepares a method of a contract for calls. */
export function clientMethod(contract: Contract, descriptor: MethodDescriptor): ClientMethod {
  const { kind, options = {} } = descriptor;
  const clientStreams = kind === "client_stream" || kind === "bidi_stream";
  const oneWay = options.pattern?.case === "one_way";
  return {
    descriptor,
    path: methodPath(contract, descriptor),
    clientStreams,
    serverStreams: kind === "server_stream" || kind === "bidi_stream",
    oneWay,
    idempotent: options.idempotency !== undefined,
    flags:
      (clientStreams ? 0 : Flag.END | Flag.MESSAGE) |
      (options.idempotency ? Flag.IDEMPOTENT : 0) |
      (oneWay ? Flag.ONEWAY : 0),
    timeoutMs: options.timeoutMs,
  };
}

/** Meta of a CALL of a method that the peer knows: only its number. */
const numberType = {
  encode: (number: number, writer: { uint32(value: number): { uint32(value: number): unknown } }) =>
    writer.uint32(8).uint32(number),
} as unknown as AnyMessageType;

/** The meta of a CALL: the number if the peer knows it, else the path, which introduces the number if there is one. */
export function callMeta(
  { path }: ClientMethod,
  metadata: Metadata | undefined,
  known: number,
  number: number,
): [AnyMessageType, unknown] {
  if (metadata === undefined && known !== 0) return [numberType, known];
  const entries = metadata === undefined ? [] : metadataToEntries(metadata);
  return [CallHeader, { methodNumber: number, path: known === 0 ? path : "", metadata: entries }];
}

/** What is wrong with the metadata of a call, for a sentence that begins with the call. */
export function metadataProblem(metadata: Metadata | undefined, { maxMetadataBytes }: Limits): string | undefined {
  const bytes = metadata?.byteLength ?? 0;
  if (bytes <= maxMetadataBytes) return undefined;
  return `${bytes} bytes of metadata, more than the ${maxMetadataBytes} that the server accepts (its limit maxMetadataBytes)`;
}

/** The aux field of a CALL: the milliseconds that are left until a time on the monotonic clock; 0 for no limit. */
export function remainingMs(deadlineMs: number): number {
  return deadlineMs === Infinity ? 0 : Math.min(Math.max(Math.ceil(deadlineMs - now()), 1), 0xffffffff);
}
