/** Where something that opens and closes is in its life; it never goes backwards. */
export type LifecycleState = "created" | "opening" | "open" | "closing" | "closed";

/** Why something is closed. */
export interface CloseReason {
  /** `closed`: by `close()`; `aborted`: by `abort()`; `failed`: it could not be opened or broke. */
  readonly kind: "closed" | "aborted" | "failed";
  /** For people. */
  readonly message: string;
  /** What it failed with, or what was given to `abort`. */
  readonly error?: unknown;
}

/**
 * The life of everything that opens: `created → opening → open → closing → closed`.
 *
 * `close()` ends gracefully, `abort()` at once; both may be called at any time and any number of times, by several
 * callers at once, and all of them see the same end. `closed` never rejects. `await using` closes and never throws.
 */
export abstract class Lifecycle implements AsyncDisposable {
  #state: LifecycleState = "created";
  #opening: Promise<void> | undefined;
  #closing: Promise<CloseReason> | undefined;
  #reason: CloseReason | undefined;
  #settleClosed!: (reason: CloseReason) => void;

  /** Resolves with the reason when it is closed, whoever closed it. Never rejects. */
  readonly closed: Promise<CloseReason> = new Promise((resolve) => (this.#settleClosed = resolve));

  get state(): LifecycleState {
    return this.#state;
  }

  /** Why it was closed; undefined until `closing`. */
  get closeReason(): CloseReason | undefined {
    return this.#reason;
  }

  /** Ends gracefully: what is under way may finish within the object's drain time. Resolves when it is closed. */
  close(): Promise<CloseReason> {
    return this.#end({ kind: "closed", message: "closed by its owner" });
  }

  /** Ends at once: what is under way fails. Resources are freed asynchronously; `closed` tells when. */
  abort(reason?: unknown): void {
    if (this.#state === "opening" || this.#state === "closing") this.onAbort();
    void this.#end({
      kind: "aborted",
      message: "aborted by its owner",
      ...(reason === undefined ? {} : { error: reason }),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Opens it: once, and all callers share the outcome. A failure closes it and rejects. */
  protected opened(): Promise<void> {
    if (this.#state === "closing" || this.#state === "closed") {
      return Promise.reject(new Error(`it is ${this.#state} and cannot be opened`));
    }
    this.#opening ??= this.#open();
    return this.#opening;
  }

  /** Closes it because it broke. */
  protected fail(message: string, error?: unknown): void {
    void this.#end({ kind: "failed", message, error });
  }

  /** Acquires what is needed; a rejection closes the object. */
  protected abstract onOpen(): Promise<void>;

  /** Closing begins, whatever the state was: nothing new may begin. */
  protected abstract onClosing(): void;

  /** Ends what is under way and frees everything. `graceful` is false for an abort or a failure. Must not reject. */
  protected abstract onClose(graceful: boolean): Promise<void>;

  /** Cuts an opening or a graceful close short. */
  protected abstract onAbort(): void;

  async #open(): Promise<void> {
    this.#state = "opening";
    try {
      await this.onOpen();
    } catch (error) {
      // Whoever closes it in the meantime waits for this very promise.
      if (this.state === "opening") {
        await this.#end({ kind: "failed", message: error instanceof Error ? error.message : String(error), error });
      }
      throw error;
    }
    if (this.state === "opening") this.#state = "open";
  }

  #end(reason: CloseReason): Promise<CloseReason> {
    this.#closing ??= this.#close(reason);
    return this.#closing;
  }

  async #close(reason: CloseReason): Promise<CloseReason> {
    const opening = this.#state === "opening" && reason.kind !== "failed";
    const untouched = this.#state === "created";
    this.#state = "closing";
    this.#reason = reason;
    this.onClosing();
    if (opening) await this.#opening?.catch(() => undefined);
    if (!untouched) await this.onClose(reason.kind === "closed");
    this.#state = "closed";
    this.#settleClosed(reason);
    return reason;
  }
}
