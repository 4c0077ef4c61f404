import { describe, expect, jest, test } from "@jest/globals";
import { Timed, TimerWheel, now } from "../src/timer-wheel.ts";

/** Remembers when it was told. */
class Entry extends Timed {
  readonly dueMs: number;
  firedMs = 0;
  times = 0;
  readonly done: Promise<void>;
  #resolve!: () => void;

  constructor(delayMs: number) {
    super();
    this.dueMs = now() + delayMs;
    this.done = new Promise((resolve) => (this.#resolve = resolve));
  }

  onDeadline(): void {
    this.times += 1;
    this.firedMs = now();
    this.#resolve();
  }
}

function armed(wheel: TimerWheel, delayMs: number): Entry {
  const entry = new Entry(delayMs);
  wheel.add(entry, entry.dueMs);
  return entry;
}

describe("the timer wheel", () => {
  test("tells each entry once, never early, whatever their order", async () => {
    const wheel = new TimerWheel(true);
    const entries = [40, 5, 0, 80, 17, 5, 120, 1].map((delayMs) => armed(wheel, delayMs));
    await Promise.all(entries.map(({ done }) => done));
    for (const { dueMs, firedMs, times } of entries) {
      expect(times).toBe(1);
      expect(firedMs).toBeGreaterThanOrEqual(dueMs);
    }
    expect(wheel.size).toBe(0);
  });

  test("reaches deadlines beyond one revolution, and not at an earlier one", () => {
    jest.useFakeTimers();
    try {
      const wheel = new TimerWheel(true);
      const far = armed(wheel, 4_200);
      const near = armed(wheel, 104);
      jest.advanceTimersByTime(110);
      expect([near.times, far.times]).toEqual([1, 0]);
      jest.advanceTimersByTime(4_089);
      expect(far.times).toBe(0);
      jest.advanceTimersByTime(10);
      expect(far.times).toBe(1);
      expect(far.firedMs).toBeGreaterThanOrEqual(far.dueMs);
      expect(wheel.size).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  test("does not tell what was removed, and infinity never comes", async () => {
    const wheel = new TimerWheel(true);
    const [first, second, third] = [armed(wheel, 10), armed(wheel, 10), armed(wheel, 10)];
    wheel.add(new Entry(0), Infinity);
    wheel.remove(second);
    wheel.remove(second);
    expect(wheel.size).toBe(2);
    await Promise.all([first.done, third.done]);
    expect(second.times).toBe(0);
  });

  test("lets a callback remove and add entries", async () => {
    const wheel = new TimerWheel(true);
    const victim = new Entry(20);
    const killer = new (class extends Entry {
      override onDeadline(): void {
        wheel.remove(victim);
        wheel.add(later, later.dueMs);
        super.onDeadline();
      }
    })(20);
    const later = new Entry(30);
    wheel.add(victim, killer.dueMs);
    wheel.add(killer, killer.dueMs);
    await later.done;
    expect(victim.times + killer.times).toBeGreaterThanOrEqual(1);
    expect(wheel.size).toBe(0);
  });

  test("forgets everything when cleared, and can be used again", async () => {
    const wheel = new TimerWheel(true);
    const forgotten = armed(wheel, 5);
    wheel.clear();
    await armed(wheel, 20).done;
    expect(forgotten.times).toBe(0);
  });

  test("an entry added while a later one is armed is still on time", async () => {
    const wheel = new TimerWheel(true);
    armed(wheel, 3_000);
    const soon = armed(wheel, 10);
    await soon.done;
    expect(soon.firedMs - soon.dueMs).toBeLessThan(1_000);
    wheel.clear();
  });
});
