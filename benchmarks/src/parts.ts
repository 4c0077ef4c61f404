import { cases } from "./cases.ts";
import type { Run } from "./rounds.ts";
import { measureCase } from "./rounds.ts";
import { measureBundles } from "./special/bundle.ts";
import { measureCodecs } from "./special/codecs.ts";
import { measureMemory } from "./special/memory.ts";
import { measureStart } from "./special/start.ts";

/** A part of a run, as `--only` names it. */
export interface Part {
  readonly name: string;
  readonly title: string;
  /** Whether a quick run has it. */
  readonly quick: boolean;
  run(run: Run): Promise<void>;
}

/** Everything that can be measured, in this order. */
export const parts: readonly Part[] = [
  ...cases.map((work) => ({
    name: work.name,
    title: work.title,
    quick: work.quick.length > 0,
    run: (run: Run) => measureCase(work, run),
  })),
  { name: "memory", title: "zerobind: memory on both ends together", quick: true, run: measureMemory },
  { name: "start", title: "time to start, fresh processes", quick: true, run: measureStart },
  { name: "bundle", title: "size of a client in one file, without native modules", quick: false, run: measureBundles },
  { name: "codec", title: "codecs alone", quick: false, run: measureCodecs },
];
