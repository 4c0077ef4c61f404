/** The member by which a handler is made ready before it is called; see `HostedHandler`. */
export const hosting: unique symbol = Symbol.for("zerobind.hosting");

/**
 * A handler that has to be made ready before it is called, and ended afterwards, such as a pool of threads. A host that
 * serves it calls `[hosting]()` when it opens, and is not open before that is done; what it resolves with is disposed of
 * when the host is closed and no handler runs any more. A rejection is one of `open`.
 */
export interface HostedHandler {
  [hosting](): Promise<AsyncDisposable>;
}

/** Whether a handler wants to be told that it is served. */
export function isHosted(handler: object): handler is HostedHandler {
  return typeof (handler as Partial<HostedHandler>)[hosting] === "function";
}

/** Such a handler, for as long as one host serves it. */
export class Hosting {
  readonly #handler: HostedHandler;
  readonly #onError: (error: unknown) => void;
  #open: Promise<AsyncDisposable> | undefined;

  /** `onError` gets what disposing throws. */
  constructor(handler: HostedHandler, onError: (error: unknown) => void) {
    this.#handler = handler;
    this.#onError = onError;
  }

  async open(): Promise<void> {
    await (this.#open = this.#handler[hosting]());
  }

  async close(): Promise<void> {
    // What could not be made ready has told its reason already.
    const hosted = await this.#open?.catch(() => undefined);
    try {
      await hosted?.[Symbol.asyncDispose]();
    } catch (error) {
      this.#onError(error);
    }
  }
}
