import { describe } from "@jest/globals";
import { unaryTests } from "./behavior-calls.ts";
import { connectionTests } from "./behavior-connections.ts";
import { endingTests } from "./behavior-endings.ts";
import { streamTests } from "./behavior-streams.ts";
import type { TransportUnderTest } from "./pair.ts";

/** What every transport must do: written against the public face, the same for all. */
export function behaviorSuite(name: string, under: TransportUnderTest): void {
  describe(`${name}: calls`, () => unaryTests(under));
  describe(`${name}: streams`, () => streamTests(under));
  describe(`${name}: deadlines and cancellation`, () => endingTests(under));
  // Those are about two ends that meet each other.
  if (!under.device) describe(`${name}: connections`, () => connectionTests(under));
}
