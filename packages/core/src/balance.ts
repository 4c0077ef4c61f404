import type { CallingEnd } from "./calling-end.ts";
import type { ClientSession } from "./client-session.ts";

/** How the calls of a channel are spread over its addresses. */
export type Balance = "round-robin" | "least-in-flight" | "first";

/** Finds the session for the next call: one that is there and has room, or none. */
export function sessionPicker(balance: Balance, ends: readonly CallingEnd[]): () => ClientSession | undefined {
  if (balance === "first") return () => ends.find(({ connected }) => connected)?.pick();
  let turn = 0;
  if (balance === "least-in-flight") return () => leastLoaded(ends, (turn = (turn + 1) % ends.length));
  if (ends.length === 1) return () => ends[0]!.pick();
  return () => {
    for (let tried = 0; tried < ends.length; tried++) {
      turn = (turn + 1) % ends.length;
      const session = ends[turn]!.pick();
      if (session) return session;
    }
    return undefined;
  };
}

/** Where several have as few calls open, they take turns. */
function leastLoaded(ends: readonly CallingEnd[], turn: number): ClientSession | undefined {
  let least: ClientSession | undefined;
  for (let tried = 0; tried < ends.length; tried++) {
    const session = ends[(turn + tried) % ends.length]!.leastLoaded();
    if (session && (!least || session.openCalls < least.openCalls)) least = session;
  }
  return least;
}
