/**
 * The protobuf reader and writer that generated messages use. Generated code imports them from here, so that a
 * process has exactly one copy of each class, whatever else it has installed.
 */
export { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";

/** The value of each `bytes` field that is not set: to share one costs less than to make one for every message. */
export const noBytes: Uint8Array = new Uint8Array(0);
