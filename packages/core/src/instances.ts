import type { SessionContext } from "./context.ts";
import type { IncomingCall } from "./operation.ts";
import type { Instancing } from "./serve-options.ts";

/** One instance of a handler's class, and who uses it. */
export interface Held {
  readonly instance: object;
  users: number;
  /** Its session or call is over; it is disposed of when nobody uses it. */
  over: boolean;
  disposed: boolean;
}

/** The instances of one service's class: makes them when they are needed and disposes of them when they are not. */
export class Instances {
  readonly #instancing: Instancing;
  readonly #create: (call: IncomingCall | undefined) => object | Promise<object>;
  readonly #onError: (error: unknown) => void;
  readonly #bySession = new WeakMap<SessionContext, Promise<Held>>();
  readonly #disposals = new Set<Promise<void>>();
  #single: Held | undefined;
  #closed = false;

  /** `onError` gets what disposing throws. */
  constructor(
    instancing: Instancing,
    create: (call: IncomingCall | undefined) => object | Promise<object>,
    onError: (error: unknown) => void,
  ) {
    this.#instancing = instancing;
    this.#create = create;
    this.#onError = onError;
  }

  /** Makes the single instance, if there is to be one. Rejects with what making it throws. */
  async open(): Promise<void> {
    if (this.#instancing !== "single") return;
    const held = await this.#make(undefined);
    held.over = this.#closed;
    if (this.#closed) this.#disposeUnused(held);
    else this.#single = held;
  }

  /** The instance for a call; `leave` must be called with it when the handler is done. */
  async enter(call: IncomingCall): Promise<Held> {
    let held = await this.#find(call);
    if (held.disposed && !call.ended) {
      // A one-way call that outlives its session, whose instance is gone, gets one for itself.
      held = await this.#make(call);
      held.over = true;
    }
    held.users += 1;
    return held;
  }

  leave(held: Held): void {
    held.users -= 1;
    if (this.#instancing === "call") held.over = true;
    this.#disposeUnused(held);
  }

  /** Disposes of the single instance and waits for all that are being disposed of. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#single) {
      this.#single.over = true;
      this.#disposeUnused(this.#single);
      this.#single = undefined;
    }
    await Promise.all(this.#disposals);
  }

  #find(call: IncomingCall): Held | Promise<Held> {
    const { session } = call;
    if (this.#single) return this.#single;
    if (this.#instancing !== "session" || !session) return this.#make(call);
    let made = this.#bySession.get(session);
    if (!made) {
      made = this.#makeForSession(call, session);
      this.#bySession.set(session, made);
    }
    return made;
  }

  async #makeForSession(call: IncomingCall, session: SessionContext): Promise<Held> {
    try {
      const held = await this.#make(call);
      const over = (): void => {
        held.over = true;
        this.#disposeUnused(held);
      };
      if (session.signal.aborted) over();
      else session.signal.addEventListener("abort", over, { once: true });
      return held;
    } catch (error) {
      // The next call of the session tries again.
      this.#bySession.delete(session);
      throw error;
    }
  }

  async #make(call: IncomingCall | undefined): Promise<Held> {
    const instance: unknown = await this.#create(call);
    if (typeof instance !== "object" || instance === null)
      throw new TypeError(`create must give an instance, not ${instance === null ? "null" : typeof instance}`);
    return { instance, users: 0, over: false, disposed: false };
  }

  #disposeUnused(held: Held): void {
    // A call that came with the end of its session may enter and leave when the instance is gone already.
    if (!held.over || held.users > 0 || held.disposed) return;
    held.disposed = true;
    const disposal = this.#end(held.instance).then(() => void this.#disposals.delete(disposal));
    this.#disposals.add(disposal);
  }

  async #end(instance: Partial<AsyncDisposable & Disposable>): Promise<void> {
    try {
      const { [Symbol.asyncDispose]: asyncDispose } = instance;
      if (asyncDispose) await asyncDispose.call(instance);
      else instance[Symbol.dispose]?.();
    } catch (error) {
      this.#onError(error);
    }
  }
}

/** Lets the calls of one session or instance through one at a time, in their order. */
export class Turnstile {
  #line: { readonly call: IncomingCall; readonly pass: () => void; readonly skip: (error: Error) => void }[] = [];
  #busy = false;
  #purgeAt = 64;

  /** Resolves when it is the call's turn, and `leave` must follow; rejects if the call ended long before that. */
  async enter(call: IncomingCall): Promise<void> {
    if (this.#busy) {
      this.#purge();
      await new Promise<void>((pass, skip) => this.#line.push({ call, pass, skip }));
    }
    this.#busy = true;
  }

  leave(): void {
    const next = this.#line.shift();
    if (next) next.pass();
    else this.#busy = false;
  }

  /** Calls that ended while they waited must not pile up behind one that takes long. */
  #purge(): void {
    if (this.#line.length < this.#purgeAt) return;
    for (const { call, skip } of this.#line) if (call.ended) skip(new Error("the call has ended"));
    this.#line = this.#line.filter(({ call }) => !call.ended);
    this.#purgeAt = 2 * this.#line.length + 64;
  }
}
