import { deserialize, serialize } from "node:v8";
import type { EncoderElement } from "@zerobind/core";

/**
 * Values as structured clones instead of protobuf, for two ends in one process: what goes to a thread arrives there as
 * the handler would get it here, whatever makes its messages, and the thread needs no contract to read it.
 */
export const structured: EncoderElement = {
  kind: "encoder",
  name: "structured",
  encode: (_type, value, writer) => void writer.raw(serialize(value)),
  decode(_type, reader, length) {
    // The reader's own methods know protobuf alone; a test holds the field against the library.
    const { buf } = reader as unknown as { buf: Uint8Array };
    const end = reader.pos + length;
    const value: unknown = deserialize(buf.subarray(reader.pos, end));
    reader.pos = end;
    return value;
  },
};
