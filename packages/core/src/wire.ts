/**
 * The protobuf reader and writer that generated messages use. Generated code imports them from here, so that a
 * process has exactly one copy of each class, whatever else it has installed.
 */
export { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
