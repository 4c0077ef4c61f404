import { bodyCodec } from "./binding.ts";
import type { StackParts } from "./binding.ts";
import { CompressingCodec, namesOf } from "./compressing-codec.ts";
import type { Limits } from "./limits.ts";
import type { EndSettings, SessionSettings } from "./session.ts";

/** Room around the largest body: for meta, and so that what is somewhat too large is still answered and not cut off. */
const frameSlackBytes = 1024 * 1024;

/** The parts of the session settings that the binding decides. */
export function sessionParts(stack: StackParts): Omit<SessionSettings, keyof EndSettings> {
  const { compressions, elements, encoder } = stack;
  const compression = { names: namesOf(compressions), codec: () => new CompressingCodec(stack) };
  return {
    codec: bodyCodec(stack),
    encoding: encoder.name,
    elements: elements.map(({ name }) => name),
    compression: compressions.length === 0 ? undefined : compression,
  };
}

/** How large frames may be under given limits; those of the plain profile hold a whole message. */
export function maxFrameBytes({ maxFragmentBytes, maxMessageBytes, maxMetadataBytes }: Limits): number {
  return Math.max(maxFragmentBytes, maxMessageBytes) + 2 * maxMetadataBytes + frameSlackBytes;
}
