/*
 * What ZeroMQ tells of a peer is where its connection comes from, which for those that are led on to it would be this
 * machine. Where the whole of 127.0.0.0/8 is this machine, each of them comes from an address of its own, by which the
 * real one is found again. That also keeps a flood from using up the ports of 127.0.0.1.
 */

/** Of 127.16.0.1 and those after it. */
const first = 0x7f_10_00_01;
const count = 0x60_00_00;

const origins = new Map<string, string>();
let last = Math.floor(Math.random() * count);
let isPossible = process.platform === "linux";

/** An address of this machine that stands for a remote one until `forgetOrigin`; undefined where there is none. */
export function originFor(remote: string | undefined): string | undefined {
  if (!isPossible || remote === undefined) return undefined;
  do last = (last + 1) % count;
  while (origins.has(dotted(first + last)));
  const local = dotted(first + last);
  origins.set(local, remote);
  return local;
}

export function forgetOrigin(local: string): void {
  origins.delete(local);
}

/** This machine has no such addresses after all. */
export function haveNoOrigins(): void {
  isPossible = false;
}

/** The address that one which ZeroMQ tells stands for. */
export function originOf(told: string): string {
  return origins.get(told) ?? told;
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join(".");
}
