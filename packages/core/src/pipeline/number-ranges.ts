/**
 * A set of whole numbers that come roughly in their order: kept as ranges, so that its size is the number of gaps, not
 * of numbers.
 */
export class NumberRanges {
  /** Where ranges begin, in their order, and one behind where they end. */
  readonly #from: number[] = [];
  readonly #to: number[] = [];

  /** Ranges that are kept. */
  get ranges(): number {
    return this.#from.length;
  }

  has(number: number): boolean {
    const index = this.#rangeBefore(number);
    return index >= 0 && number < this.#to[index]!;
  }

  add(number: number): void {
    const index = this.#rangeBefore(number);
    if (index >= 0 && number < this.#to[index]!) return;
    const extendsLast = index >= 0 && this.#to[index] === number;
    const extendsNext = this.#from[index + 1] === number + 1;
    if (extendsLast && extendsNext) {
      this.#to[index] = this.#to[index + 1]!;
      this.#from.splice(index + 1, 1);
      this.#to.splice(index + 1, 1);
    } else if (extendsLast) this.#to[index] = number + 1;
    else if (extendsNext) this.#from[index + 1] = number;
    else {
      this.#from.splice(index + 1, 0, number);
      this.#to.splice(index + 1, 0, number + 1);
    }
  }

  clear(): void {
    this.#from.length = this.#to.length = 0;
  }

  /** The last range that begins at or before a number; -1 if none does. */
  #rangeBefore(number: number): number {
    let low = 0;
    let high = this.#from.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#from[middle]! <= number) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
