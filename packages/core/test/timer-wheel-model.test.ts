import { afterEach, beforeEach, expect, jest, test } from "@jest/globals";
import fc from "fast-check";
import { Timed, TimerWheel, now } from "../src/timer-wheel.ts";

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

/** A deadline may come so much later than it is due: a tick of the wheel, and one of the timer. */
const lateMs = 5;

/** What a program does with a wheel. */
type Step =
  | { kind: "add"; delayMs: number; whenDue: "nothing" | "add" | "remove" | "clear" }
  | { kind: "remove"; which: number }
  | { kind: "advance"; byMs: number }
  | { kind: "jump"; toMs: number };

/** Entries and what is known of each: the model is a list that is looked through. */
class Model {
  readonly wheel = new TimerWheel(true);
  readonly entries: ModelEntry[] = [];

  add(delayMs: number, whenDue: string): void {
    const entry = new ModelEntry(this, now() + Math.max(delayMs, 0), whenDue);
    this.entries.push(entry);
    this.wheel.add(entry, now() + delayMs);
  }

  remove(which: number): void {
    const entry = this.entries[which % Math.max(this.entries.length, 1)];
    if (!entry) return;
    this.wheel.remove(entry);
    entry.isSet = false;
  }

  clear(): void {
    this.wheel.clear();
    for (const entry of this.entries) entry.isSet = false;
  }

  check(): void {
    const set = this.entries.filter(({ isSet }) => isSet);
    expect(this.wheel.size).toBe(set.length);
    for (const { dueMs } of set) expect(dueMs + lateMs).toBeGreaterThan(now());
  }
}

class ModelEntry extends Timed {
  readonly #model: Model;
  readonly dueMs: number;
  readonly #whenDue: string;
  isSet: boolean;

  constructor(model: Model, dueMs: number, whenDue: string) {
    super();
    this.#model = model;
    this.dueMs = dueMs;
    this.#whenDue = whenDue;
    this.isSet = dueMs !== Infinity;
  }

  onDeadline(): void {
    expect(this.isSet).toBe(true);
    expect(now()).toBeGreaterThanOrEqual(this.dueMs);
    this.isSet = false;
    if (this.#whenDue === "add") this.#model.add(700, "nothing");
    if (this.#whenDue === "remove") this.#model.remove(this.#model.entries.length >> 1);
    if (this.#whenDue === "clear") this.#model.clear();
  }
}

const delayMs = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: -10, max: 6_000 }) },
  { weight: 1, arbitrary: fc.constantFrom(Infinity, 2 ** 31, 2 ** 32 + 1, 1e12, 4_096, 8_192) },
);
const whenDue = fc.constantFrom("nothing", "nothing", "nothing", "add", "add", "remove", "clear");
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("add" as const), delayMs, whenDue }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("remove" as const), which: fc.nat() }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("advance" as const), byMs: fc.integer({ min: 0, max: 5_000 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("jump" as const), toMs: fc.integer({ min: 0, max: 4e12 }) }) },
);

test("whatever is added, removed and waited for, each deadline comes once, never early, at most a tick late", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      jest.clearAllTimers();
      const model = new Model();
      for (const each of steps) {
        if (each.kind === "add") model.add(each.delayMs, each.whenDue);
        else if (each.kind === "remove") model.remove(each.which);
        else if (each.kind === "jump") jest.setSystemTime(each.toMs);
        else jest.advanceTimersByTime(each.byMs);
        model.check();
      }
      model.clear();
      expect(jest.getTimerCount()).toBe(0);
    }),
    { numRuns: 500 },
  );
});

test("ten thousand entries that add and remove others while they expire all come", () => {
  const model = new Model();
  for (let index = 0; index < 10_000; index++) model.add(index % 5_000, index % 3 === 0 ? "add" : "nothing");
  for (let index = 0; index < 10_000; index += 7) model.remove(index);
  jest.advanceTimersByTime(10_000);
  model.check();
  expect(model.wheel.size).toBe(0);
});
