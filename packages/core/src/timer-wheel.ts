const tickMs = 4;
const slotCount = 1024;

/** The monotonic clock that all deadlines in memory are read on: milliseconds, immune to jumps of the wall clock. */
export const now: () => number = () => performance.now();

/** Something with a deadline. It is its own list node, so that setting a deadline allocates nothing. */
export abstract class Timed {
  /** @internal */ tick = 0;
  /** @internal */ previous: Timed | undefined = undefined;
  /** @internal */ following: Timed | undefined = undefined;

  /** Called once when the deadline is reached; never early. Must not throw. */
  abstract onDeadline(): void;
}

/** A function with a deadline. */
export class TimedTask extends Timed {
  readonly #task: () => void;

  constructor(task: () => void) {
    super();
    this.#task = task;
  }

  onDeadline(): void {
    this.#task();
  }
}

/**
 * One timer for any number of deadlines: adding and removing are O(1), expiry comes up to one tick (4 ms) late, never
 * early. Deadlines further away than a revolution stay in their slot until their turn comes.
 *
 * With `keepsAlive` the process does not exit while deadlines are pending; otherwise it may.
 */
export class TimerWheel {
  readonly #slots = new Array<Timed | undefined>(slotCount).fill(undefined);
  readonly #keepsAlive: boolean;
  readonly #fire = (): void => this.#expire();
  #size = 0;
  #doneTick = 0;
  #wakeTick = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(keepsAlive: boolean) {
    this.#keepsAlive = keepsAlive;
  }

  /** Number of pending deadlines. */
  get size(): number {
    return this.#size;
  }

  /** Sets the deadline of an entry that has none, as a time of `now()`. Infinity means never and sets nothing. */
  add(entry: Timed, atMs: number): void {
    if (atMs === Infinity) return;
    if (this.#size === 0) this.#doneTick = Math.floor(now() / tickMs);
    const tick = Math.max(Math.ceil(atMs / tickMs), this.#doneTick + 1);
    const slot = tick % slotCount;
    const head = this.#slots[slot];
    entry.tick = tick;
    entry.following = head;
    if (head) head.previous = entry;
    this.#slots[slot] = entry;
    this.#size += 1;
    if (tick < this.#wakeTick) this.#arm(tick);
    else if (this.#size === 1 && this.#keepsAlive) refTimer(this.#timer, true);
  }

  /** Takes the deadline off an entry; does nothing if it has none. */
  remove(entry: Timed): void {
    if (entry.tick === 0) return;
    const { previous, following } = entry;
    if (previous) previous.following = following;
    else this.#slots[entry.tick % slotCount] = following;
    if (following) following.previous = previous;
    entry.previous = entry.following = undefined;
    entry.tick = 0;
    this.#size -= 1;
    // The timer stays armed: the next entry would most likely need it again.
    if (this.#size === 0) refTimer(this.#timer, false);
  }

  /** Forgets all deadlines and frees the timer. The wheel can be used again. */
  clear(): void {
    for (const [slot, head] of this.#slots.entries()) {
      if (!head) continue;
      for (let entry: Timed | undefined = head; entry;) {
        const { following }: Timed = entry;
        entry.previous = entry.following = undefined;
        entry.tick = 0;
        entry = following;
      }
      this.#slots[slot] = undefined;
    }
    this.#size = 0;
    this.#disarm();
  }

  #arm(tick: number): void {
    clearTimeout(this.#timer);
    this.#wakeTick = tick;
    const delayMs = Math.min(Math.max(tick * tickMs - now(), 0), slotCount * tickMs);
    this.#timer = setTimeout(this.#fire, Math.ceil(delayMs));
    if (!this.#keepsAlive) refTimer(this.#timer, false);
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#wakeTick = Infinity;
  }

  #expire(): void {
    // What is added meanwhile arms nothing: the one to wake for is looked for among all when everything due is told.
    this.#wakeTick = -Infinity;
    this.#timer = undefined;
    const nowTick = Math.floor(now() / tickMs);
    const from = Math.max(this.#doneTick + 1, nowTick - slotCount + 1);
    this.#doneTick = nowTick;
    for (let tick = from; tick <= nowTick && this.#size > 0; tick++) this.#expireSlot(tick % slotCount, nowTick);
    this.#wakeTick = Infinity;
    if (this.#size > 0) this.#armNext();
  }

  #expireSlot(slot: number, nowTick: number): void {
    // Callbacks may add and remove entries, so due ones are unlinked first, and each is checked again when its turn comes.
    let due: Timed[] | undefined;
    for (let entry = this.#slots[slot]; entry; entry = entry.following)
      if (entry.tick <= nowTick) (due ??= []).push(entry);
    if (!due) return;
    for (const entry of due) {
      if (entry.tick === 0 || entry.tick > nowTick) continue;
      this.remove(entry);
      entry.onDeadline();
    }
  }

  /** Wakes for the next slot that holds anything; where that is of a later revolution, one wake-up is wasted. */
  #armNext(): void {
    for (let step = 1; step <= slotCount; step++) {
      const tick = this.#doneTick + step;
      if (this.#slots[tick % slotCount]) return this.#arm(tick);
    }
  }
}

/** Timers of a browser are plain numbers and keep nothing alive. */
function refTimer(timer: unknown, keepsAlive: boolean): void {
  if (typeof timer !== "object" || timer === null) return;
  const handle = timer as { ref(): void; unref(): void };
  if (keepsAlive) handle.ref();
  else handle.unref();
}
