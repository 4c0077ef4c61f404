// TEMPORARY bridge until the index of core exports these.
export type { AttachOptions, Attachment, AttachmentListener, Link, LinkReceiver, PlainRequest } from "../../core/src/transport.ts";
export type { TransportElement } from "../../core/src/binding.ts";
export { Metadata, metadataFromEntries, metadataToEntries } from "../../core/src/metadata.ts";
export { RpcError } from "../../core/src/rpc-error.ts";
export { Status } from "../../core/src/status.ts";
export { PlainHeader } from "../../core/src/gen/zerobind/v1/wire.pb.ts";
export { Status as RpcStatus } from "../../core/src/gen/google/rpc/status.pb.ts";
