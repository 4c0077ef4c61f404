import { Lane } from "../lane.ts";
import type { ForwardedCall } from "./forwarded-call.ts";

/** What a worker says that it serves; undefined means everything. */
export type Services = ReadonlySet<string> | undefined;

/** The calls for one service, and its place in the order of turns. */
class ServiceLane extends Lane<ForwardedCall> {
  turn = 0;
}

/** The calls that wait for a worker: by service, and within each in fair turns over the clients. */
export class HeldCalls {
  count = 0;
  /** The first is the next to be looked at. */
  readonly #lanes = new Map<string, ServiceLane>();
  #turn = 0;

  add(call: ForwardedCall): void {
    const { service } = call.method;
    let lane = this.#lanes.get(service);
    if (!lane) this.#toEnd(service, (lane = new ServiceLane([])));
    lane.push(call);
    this.count += 1;
  }

  remove(call: ForwardedCall): void {
    const { service } = call.method;
    const lane = this.#lanes.get(service);
    if (!lane) return;
    lane.remove(call);
    this.count -= 1;
    if (lane.isEmpty) this.#lanes.delete(service);
  }

  /** Takes out the next call for a worker; services take turns. */
  take(services: Services): ForwardedCall | undefined {
    // Whatever clients make up as names of services must not cost much.
    const names = services && services.size < this.#lanes.size ? this.#inTurn(services) : this.#lanes.keys();
    for (const name of names) {
      const lane = services && !services.has(name) ? undefined : this.#lanes.get(name);
      const call = lane?.shift();
      if (!lane || !call) continue;
      this.count -= 1;
      this.#lanes.delete(name);
      if (!lane.isEmpty) this.#toEnd(name, lane);
      return call;
    }
    return undefined;
  }

  /** All calls that wait now. */
  all(): ForwardedCall[] {
    return [...this.#lanes.values()].flatMap((lane) => lane.all());
  }

  #toEnd(service: string, lane: ServiceLane): void {
    lane.turn = this.#turn++;
    this.#lanes.set(service, lane);
  }

  /** Those of which calls wait, the next one first. */
  #inTurn(services: ReadonlySet<string>): string[] {
    const turnOf = (name: string): number => this.#lanes.get(name)?.turn ?? 0;
    return [...services].filter((name) => this.#lanes.has(name)).sort((left, right) => turnOf(left) - turnOf(right));
  }
}
