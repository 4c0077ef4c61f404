import type { TopicState } from "./topics.ts";

/** A message leaves as soon as it has so many bodies, or bytes in them. */
const maxBodies = 256;
const maxBodyBytes = 65_536;

/**
 * Gathers what one turn of the event loop publishes: the events of a topic leave as one message, at the end of the turn
 * at the latest. Topics leave in the order of their first events. Nothing waits for more to come.
 */
export class OutgoingEvents {
  readonly #send: (frames: Uint8Array[], bodies: number) => void;
  #topics: TopicState[] = [];
  #scheduled: NodeJS.Immediate | undefined;

  constructor(send: (frames: Uint8Array[], bodies: number) => void) {
    this.#send = send;
  }

  add(state: TopicState, body: Uint8Array): void {
    if (state.pending.length === 0) {
      this.#topics.push(state);
      this.#scheduled ??= setImmediate(() => this.flush());
    }
    state.next++;
    state.pendingBytes += body.length;
    if (state.pending.push(body) >= maxBodies || state.pendingBytes >= maxBodyBytes) this.#sendTopic(state);
  }

  /** Sends what is there. */
  flush(): void {
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    const topics = this.#topics;
    this.#topics = [];
    for (const state of topics) if (state.pending.length > 0) this.#sendTopic(state);
  }

  #sendTopic(state: TopicState): void {
    const { pending } = state;
    state.pending = [];
    state.pendingBytes = 0;
    const header = state.header(state.next - pending.length);
    this.#send([state.frame, header, ...pending], pending.length);
  }
}
