/** Slots at the beginning, and at most; a power of two. */
const fewestSlots = 16;
const mostSlots = 16_384;

/**
 * The open calls of one direction by their ids, which mostly follow each other two by two: each has the slot that the
 * low bits of its id name. A Map would do, but what V8 leaves of its former tables keeps ended calls from being freed,
 * which costs more time than all lookups.
 */
export class CallTable<Call extends { readonly id: number }> {
  #slots = new Array<Call | undefined>(fewestSlots).fill(undefined);
  /** Calls whose slot has another one. */
  readonly #others = new Map<number, Call>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Call | undefined {
    const call = this.#slots[this.#slot(id)];
    if (call?.id === id) return call;
    return this.#others.size === 0 ? undefined : this.#others.get(id);
  }

  /** Adds a call under an id that no call in the table has. */
  add(id: number, call: Call): void {
    this.#size += 1;
    if (this.#size * 2 > this.#slots.length && this.#slots.length < mostSlots) this.#grow();
    this.#place(id, call);
  }

  /** Whether there was one. */
  delete(id: number): boolean {
    const slot = this.#slot(id);
    if (this.#slots[slot]?.id === id) this.#slots[slot] = undefined;
    else if (this.#others.size === 0 || !this.#others.delete(id)) return false;
    this.#size -= 1;
    return true;
  }

  /** All calls that are in it now. */
  all(): Call[] {
    return [...this.#slots.filter((call) => call !== undefined), ...this.#others.values()];
  }

  clear(): void {
    this.#slots = new Array<Call | undefined>(fewestSlots).fill(undefined);
    this.#others.clear();
    this.#size = 0;
  }

  #slot(id: number): number {
    return (id >>> 1) & (this.#slots.length - 1);
  }

  #place(id: number, call: Call): void {
    const slot = this.#slot(id);
    if (this.#slots[slot] === undefined) this.#slots[slot] = call;
    else this.#others.set(id, call);
  }

  #grow(): void {
    const calls = this.all();
    this.#slots = new Array<Call | undefined>(this.#slots.length * 2).fill(undefined);
    this.#others.clear();
    for (const call of calls) this.#place(call.id, call);
  }
}
