/** Numbers that are the same for the same seed (mulberry32), from 0 to below the bound. */
export function seeded(seed: number): (bound: number) => number {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

type Random = ReturnType<typeof seeded>;
type Mutation = (frame: Uint8Array, random: Random, other: Uint8Array) => Uint8Array;

const lengths = [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff];

const mutations: readonly Mutation[] = [
  function flipsABit(frame, random) {
    const at = random(frame.length);
    frame[at] = frame[at]! ^ (1 << random(8));
    return frame;
  },
  function setsAByte(frame, random) {
    frame[random(frame.length)] = random(256);
    return frame;
  },
  function insertsBytes(frame, random) {
    const at = random(frame.length + 1);
    const more = Uint8Array.from({ length: 1 + random(20) }, () => random(256));
    return new Uint8Array([...frame.subarray(0, at), ...more, ...frame.subarray(at)]);
  },
  function deletesBytes(frame, random) {
    const at = random(frame.length);
    return new Uint8Array([...frame.subarray(0, at), ...frame.subarray(at + 1 + random(20))]);
  },
  function swapsBytes(frame, random) {
    const [one, two] = [random(frame.length), random(frame.length)];
    [frame[one], frame[two]] = [frame[two]!, frame[one]!];
    return frame;
  },
  function truncates(frame, random) {
    return frame.slice(0, random(frame.length));
  },
  function splices(frame, random, other) {
    return new Uint8Array([...frame.subarray(0, random(frame.length)), ...other.subarray(random(other.length))]);
  },
  function editsALength(frame, random) {
    // The fields of a header are two or four bytes, on even places.
    const at = random(Math.max(frame.length - 4, 1)) & ~1;
    if (at + 4 > frame.length) return frame;
    const view = new DataView(frame.buffer);
    const length = lengths[random(lengths.length)]!;
    if (random(2) === 0) view.setUint32(at, length, true);
    else view.setUint16(at, length & 0xffff, true);
    return frame;
  },
  function changesATypeOrFlags(frame, random) {
    // Behind the header of the batch stands the first record, whose type and flags are its bytes 4 and 5.
    if (frame.length > 13) frame[12 + random(2)] = random(random(2) === 0 ? 16 : 256);
    return frame;
  },
];

/** A changed copy of a frame that is not empty; `other` is another frame of the same conversation. */
export function mutated(frame: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  let changed: Uint8Array = frame.slice();
  for (let count = 1 + random(3); count > 0 && changed.length > 0; count--)
    changed = mutations[random(mutations.length)]!(changed, random, other);
  return changed;
}
