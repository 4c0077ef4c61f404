/**
 * What one end accepts from its peers. Each limit is told to the peer when they meet, so that the peer refuses at its
 * own call site what would be refused here; whoever does not keep to it is refused here all the same.
 */
export interface Limits {
  /** Largest encoded message. Default 4 MiB. Beyond it the call fails with RESOURCE_EXHAUSTED; the channel lives. */
  readonly maxMessageBytes: number;
  /** Largest block of metadata: sum of the bytes of keys and values. Default 64 KiB. Beyond it: RESOURCE_EXHAUSTED. */
  readonly maxMetadataBytes: number;
  /** Bodies are cut into frames of this size at most. Default 1 MiB. */
  readonly maxFragmentBytes: number;
  /** Messages of one stream that may be under way or unread at once. Default 1,024. */
  readonly streamWindowMessages: number;
  /** Bytes of one stream that may be under way or unread at once; one message may exceed it. Default 256 KiB. */
  readonly streamWindowBytes: number;
  /** Bytes of bodies above 4 KiB, of all calls together, that may be under way at once. Default 4 MiB. */
  readonly sessionWindowBytes: number;
  /** Calls that one session may have open at once. Default 1,000. Callers wait their turn; who does not gets RESOURCE_EXHAUSTED. */
  readonly maxConcurrentCalls: number;
}

export const defaultLimits: Limits = {
  maxMessageBytes: 4 * 1024 * 1024,
  maxMetadataBytes: 64 * 1024,
  maxFragmentBytes: 1024 * 1024,
  streamWindowMessages: 1024,
  streamWindowBytes: 256 * 1024,
  sessionWindowBytes: 4 * 1024 * 1024,
  maxConcurrentCalls: 1000,
};

/** The defaults with the given limits in their place; TypeError for what is no positive whole number below 2^32. */
export function toLimits(given: Partial<Limits> = {}): Limits {
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(defaultLimits, name)) {
      throw new TypeError(
        `there is no limit ${JSON.stringify(name)}; there are ${Object.keys(defaultLimits).join(", ")}`,
      );
    }
    if (value !== undefined && !(Number.isInteger(value) && value > 0 && value <= 0xffffffff)) {
      throw new TypeError(`limit ${name} must be a whole number from 1 to 4294967295, not ${String(value)}`);
    }
  }
  return { ...defaultLimits, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
}
