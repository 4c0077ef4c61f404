import type { Summary } from "../peer/ledger.ts";
import { timerClass } from "../peer/snapshot.ts";
import type { Snapshot } from "../peer/snapshot.ts";

/** What is looked at. A self-test shows for each kind that it can fail. */
export type CheckKind =
  | "endings"
  | "replies"
  | "executions"
  | "objects"
  | "resources"
  | "file descriptors"
  | "listeners"
  | "memory"
  | "faults"
  | "exit"
  | "figures";

/** One thing that was looked at. */
export interface Check {
  readonly kind: CheckKind;
  readonly ok: boolean;
  readonly what: string;
  readonly expected: string;
  readonly found: string;
}

/** How much more memory than before may be in use, as a share, and what is noise in any process. */
const memoryShare = 0.15;

/** Timers that are over are remembered for a while, here and there. A leak is one for each call. */
const looseTimers = 5;

export function check(kind: CheckKind, what: string, ok: boolean, expected: unknown, found: unknown): Check {
  return { kind, what, ok, expected: String(expected), found: String(found) };
}

/** Every call that began has ended, each once, and no reply came to another call. */
export function checkEndings(who: string, { started, ended, open, again, wrong }: Summary): Check[] {
  const stillOpen = open.length > 0 ? `${open.length} or more still open: ${open.slice(0, 5).join(", ")}` : "0 open";
  return [
    check("endings", `${who}: calls that ended`, open.length === 0, "0 open", `${stillOpen} (${ended}/${started})`),
    check("endings", `${who}: calls that ended again`, again.length === 0, "none", list(again)),
    check("replies", `${who}: replies and items of another call`, wrong.length === 0, "none", list(wrong)),
  ];
}

/** The process is as it was, apart from its memory. */
export function checkBack(who: string, before: Snapshot, after: Snapshot): Check[] {
  const same = (kind: CheckKind, what: string, was: unknown, is: unknown): Check => {
    const [expected, found] = [JSON.stringify(was), JSON.stringify(is)];
    return check(kind, `${who}: ${what}`, expected === found, expected, found);
  };
  const { [timerClass]: timersBefore = 0, ...objectsBefore } = before.objects;
  const { [timerClass]: timersAfter = 0, ...objectsAfter } = after.objects;
  const most = timersBefore + looseTimers;
  return [
    same("objects", "calls, sessions, connections", objectsBefore, objectsAfter),
    check("objects", `${who}: timers`, timersAfter <= most, `at most ${most}`, timersAfter),
    same("resources", "timers and handles", sorted(before.resources), sorted(after.resources)),
    same("file descriptors", "open file descriptors", before.fds, after.fds),
    same("listeners", "listeners of the process", before.listeners, after.listeners),
  ];
}

/** Heap and buffers are within 15 % of what they were. */
export function checkMemory(who: string, before: Snapshot, after: Snapshot): Check {
  const limit = before.heapBytes * (1 + memoryShare);
  const [was, is] = [mib(before.heapBytes), mib(after.heapBytes)];
  return check("memory", `${who}: heap after a collection`, after.heapBytes <= limit, `${was} + 15 %`, is);
}

/** The slope of a line through the values, per step. */
export function slope(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let above = 0;
  let below = 0;
  for (const [step, value] of values.entries()) {
    above += (step - middle) * (value - mean);
    below += (step - middle) ** 2;
  }
  return above / below;
}

export function mib(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

function list(items: readonly string[]): string {
  return items.length === 0 ? "none" : `${items.length}: ${items.slice(0, 3).join("; ")}`;
}

function sorted(record: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(record).sort(([left], [right]) => (left < right ? -1 : 1)));
}
