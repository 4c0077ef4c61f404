/** What is noticed is looked at once more has had time to happen, such as the rest of a file that is being written. */
const soonMs = 100;
/** Where nothing is noticed by itself, or by those who ask. */
const regularMs = 2_000;
const betweenAskersMs = 200;
/** A large directory on a slow disk must not be read all the time. */
const regularShare = 50;
const askersShare = 4;

/**
 * When to look whether something has changed: shortly after a notice, when somebody asks, though not all the time, and
 * regularly. None of it keeps the process alive. `look` never rejects.
 */
export class WatchTimes {
  readonly #look: () => Promise<void>;
  #soon: NodeJS.Timeout | undefined;
  #regular: NodeJS.Timeout | undefined;
  #turn: { readonly over: Promise<void>; begin(): void; readonly timer: NodeJS.Timeout } | undefined;
  #open = false;
  /** When the last look ended, and how long it took. */
  #endedMs = -Infinity;
  #tookMs = 0;

  constructor(look: () => Promise<void>) {
    this.#look = look;
  }

  open(): void {
    this.#open = true;
  }

  /** Does what is a look, and waits for the next regular one from then on. */
  async measure(look: () => Promise<void>): Promise<void> {
    const start = performance.now();
    clearTimeout(this.#regular);
    await look();
    this.#endedMs = performance.now();
    this.#tookMs = this.#endedMs - start;
    if (!this.#open) return;
    clearTimeout(this.#regular);
    this.#regular = setTimeout(() => void this.#look(), Math.max(regularMs, regularShare * this.#tookMs)).unref();
  }

  soon(): void {
    if (!this.#open) return;
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      void this.#look();
    }, soonMs).unref();
  }

  /** Resolves after a look that began after this was called; all who ask until it begins share it. At once when closed. */
  inTurn(): Promise<void> {
    if (!this.#open) return Promise.resolve();
    if (this.#turn) return this.#turn.over;
    const pauseMs = this.#endedMs + Math.max(betweenAskersMs, askersShare * this.#tookMs) - performance.now();
    let begun!: () => void;
    const beginning = new Promise<void>((resolve) => (begun = resolve));
    const begin = (): void => {
      this.#turn = undefined;
      begun();
    };
    const over = beginning.then(() => (this.#open ? this.#look() : undefined));
    this.#turn = { over, begin, timer: setTimeout(begin, Math.max(0, pauseMs)).unref() };
    return over;
  }

  close(): void {
    this.#open = false;
    for (const timer of [this.#soon, this.#regular, this.#turn?.timer]) clearTimeout(timer);
    this.#soon = this.#regular = undefined;
    this.#turn?.begin();
  }
}
