/**
 * What one end accepts from its peers. Each limit is told to the peer when they meet, so that the peer refuses at its
 * own call site what would be refused here; whoever does not keep to it is refused here all the same.
 */
export interface Limits {
  /** Largest encoded message. Default 4 MiB. Beyond it the call fails with RESOURCE_EXHAUSTED; the channel lives. */
  readonly maxMessageBytes: number;
  /** Largest block of metadata: sum of the bytes of keys and values. Default 64 KiB. Beyond it: RESOURCE_EXHAUSTED. */
  readonly maxMetadataBytes: number;
  /** Bodies are cut into frames of this size at most. Default 1,088 KiB: 1 MiB of data and what stands around it. */
  readonly maxFragmentBytes: number;
  /** Messages of one stream that may be under way or unread at once. Default 1,024, at most 65,536. */
  readonly streamWindowMessages: number;
  /** Bytes of one stream that may be under way or unread at once; one message may exceed it. Default 1 MiB, at most 16 MiB. */
  readonly streamWindowBytes: number;
  /** Bytes, of everything that one peer sends, that may be under way at once. Default 4 MiB, from 64 KiB to 64 MiB. */
  readonly sessionWindowBytes: number;
  /**
   * Bytes that may wait for one peer that does not read fast enough, beside those under way. Default 64 MiB. Beyond it
   * no further call of the peer begins, and streams wait. Replies of calls that run already may take 8 times as much;
   * those beyond are replaced by RESOURCE_EXHAUSTED, and in the end the session is closed.
   */
  readonly maxHeldBytes: number;
  /** Calls that one session may have open at once. Default 1,000. Callers wait their turn; who does not gets RESOURCE_EXHAUSTED. */
  readonly maxConcurrentCalls: number;
}

export const defaultLimits: Limits = {
  maxMessageBytes: 4 * 1024 * 1024,
  maxMetadataBytes: 64 * 1024,
  maxFragmentBytes: 1088 * 1024,
  streamWindowMessages: 1024,
  streamWindowBytes: 1024 * 1024,
  sessionWindowBytes: 4 * 1024 * 1024,
  maxHeldBytes: 64 * 1024 * 1024,
  maxConcurrentCalls: 1000,
};

type Range = readonly [from: number, to: number];

/**
 * What windows may be. Less would be used up by the grants of credit themselves; more would be a peer's way to fill
 * the memory of this end, which would not know better than to send. What a peer says beyond is taken for the end of
 * the range, by both: whoever grants credit has to know when the other waits for it.
 */
const ranges: Partial<Record<keyof Limits, Range>> = {
  streamWindowMessages: [1, 65_536],
  streamWindowBytes: [1, 16 * 1024 * 1024],
  sessionWindowBytes: [64 * 1024, 64 * 1024 * 1024],
};
const anyRange: Range = [1, 0xffffffff];

/** What a limit that a peer has told is taken for. */
export function inRange(name: string, value: number): number {
  const [from, to] = ranges[name as keyof Limits] ?? anyRange;
  return Math.min(Math.max(value, from), to);
}

/** The defaults with the given limits in their place; TypeError for what is no whole number in its range. */
export function toLimits(given: Partial<Limits> = {}): Limits {
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(defaultLimits, name)) {
      throw new TypeError(
        `there is no limit ${JSON.stringify(name)}; there are ${Object.keys(defaultLimits).join(", ")}`,
      );
    }
    const [from, to] = ranges[name as keyof Limits] ?? anyRange;
    if (value !== undefined && !(Number.isInteger(value) && value >= from && value <= to)) {
      throw new TypeError(`limit ${name} must be a whole number from ${from} to ${to}, not ${String(value)}`);
    }
  }
  return { ...defaultLimits, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
}
