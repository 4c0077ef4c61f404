import type { Joiner } from "../joiner.ts";
import type { Window } from "./flow.ts";
import type { CallLeg, ForwardedCall } from "./forwarded-call.ts";
import type { Piece } from "./passing.ts";

/** The session with a worker, as one of its calls sees it. */
export interface LegOwner {
  pass(leg: Leg, piece: Piece): void;
  grant(leg: Leg, granted: Window): void;
  cancel(leg: Leg, code: number): void;
  forget(leg: Leg): void;
}

/** A call at a worker, under the id that it has there. */
export class Leg implements CallLeg {
  readonly id: number;
  readonly call: ForwardedCall;
  /** The outgoing batch that has its CALL; tells after a loss whether that had left. */
  batchNumber = 0;
  /** Whether the header block has come. */
  headed = false;
  /** The reply that is being joined. */
  joiner: Joiner | undefined = undefined;
  readonly #worker: LegOwner;

  constructor(id: number, worker: LegOwner, call: ForwardedCall) {
    this.id = id;
    this.#worker = worker;
    this.call = call;
  }

  send(piece: Piece): void {
    this.#worker.pass(this, piece);
  }

  grant(granted: Window): void {
    this.#worker.grant(this, granted);
  }

  cancel(code: number): void {
    this.#worker.cancel(this, code);
  }

  forget(): void {
    this.#worker.forget(this);
  }
}
