import { guarded } from "@zerobind/core";
import type { ZeromqSettings } from "../options.ts";
import { Troubles } from "../trouble.ts";
import { Counts } from "./waiting.ts";

/** Counts troubles by kind, and tells of them; of one that keeps everything from working also if nobody listens. */
export class EventTroubles {
  readonly counts: Counts = new Counts();
  readonly #told: Troubles;
  readonly #warned: Troubles | undefined;

  constructor(onTrouble: ((problem: string) => void) | undefined, { onWarning }: ZeromqSettings) {
    this.#told = new Troubles(guarded(onTrouble));
    this.#warned = onTrouble ? undefined : new Troubles(guarded(onWarning));
  }

  report(kind: string, describe: () => string): void {
    this.counts.add(kind);
    this.tell(kind, describe);
  }

  /** Without counting. */
  tell(kind: string, describe: () => string): void {
    (kind === "refused" && this.#warned ? this.#warned : this.#told).report(kind, describe);
  }
}
