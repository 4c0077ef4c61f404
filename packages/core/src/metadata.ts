import type { MetadataEntry } from "./gen/zerobind/v1/wire.pb.ts";

/** Text, or bytes for keys that end in `-bin`. */
export type MetadataValue = string | Uint8Array;

/** What may be given where metadata is wanted. */
export type MetadataInit =
  | Metadata
  | Readonly<Record<string, MetadataValue | readonly MetadataValue[]>>
  | Iterable<readonly [string, MetadataValue]>;

const validKey = /^[0-9a-z_.-]+$/;

const nothing: Map<string, MetadataValue[]> = new Map();

/** What only this module sees of metadata. */
let valuesOf: (metadata: Metadata) => ReadonlyMap<string, readonly MetadataValue[]>;

/**
 * Keys and values that travel with a call: the request's metadata, the reply's header and its trailer.
 *
 * Keys are case-insensitive and kept in lower case; they consist of `0-9 a-z _ . -`, and those that begin with `zb-`
 * are reserved. A key may have several values, which keep their order. Values of keys that end in `-bin` are bytes,
 * all others are text: any Unicode but control characters (U+0000 to U+001F, U+007F to U+009F). Everything is checked when it is put in (TypeError).
 * Byte values are kept by reference: do not change them afterwards.
 */
export class Metadata implements Iterable<[string, MetadataValue]> {
  /** Those of `nothing` and of copies are shared until one of them is changed. */
  #values = nothing;
  #isShared = true;
  #byteLength = 0;

  static {
    valuesOf = (metadata) => metadata.#values;
  }

  constructor(init?: MetadataInit) {
    if (init === undefined) return;
    const entries = isIterable(init) ? init : Object.entries(init);
    for (const [key, value] of entries) {
      if (Array.isArray(value)) for (const item of value as readonly MetadataValue[]) this.append(key, item);
      else this.append(key, value as MetadataValue);
    }
  }

  /** The given metadata itself, or new metadata made of it. */
  static from(init: MetadataInit): Metadata {
    return init instanceof Metadata ? init : new Metadata(init);
  }

  /** Sum of the bytes of all keys and values, each value counted with its key; what limits apply to. */
  get byteLength(): number {
    return this.#byteLength;
  }

  /** Number of keys. */
  get size(): number {
    return this.#values.size;
  }

  has(key: string): boolean {
    return this.#values.has(key.toLowerCase());
  }

  /** The first value of a key. */
  get(key: string): MetadataValue | undefined {
    return this.#values.get(key.toLowerCase())?.[0];
  }

  /** All values of a key, in order; empty if there is none. */
  getAll(key: string): readonly MetadataValue[] {
    return this.#values.get(key.toLowerCase()) ?? [];
  }

  /** Puts one value in the place of all values of a key. */
  set(key: string, value: MetadataValue): this {
    const name = checkKey(key);
    const bytes = checkedBytes(name, value);
    this.delete(name);
    return this.#add(name, value, bytes);
  }

  /** Adds a value behind those that a key has. */
  append(key: string, value: MetadataValue): this {
    const name = checkKey(key);
    return this.#add(name, value, checkedBytes(name, value));
  }

  delete(key: string): boolean {
    const name = key.toLowerCase();
    const values = this.#values.get(name);
    if (!values) return false;
    for (const value of values) this.#byteLength -= checkedBytes(name, value);
    return this.#own().delete(name);
  }

  /** Key and value of each value, keys in the order of their first value. */
  *[Symbol.iterator](): Iterator<[string, MetadataValue]> {
    for (const [key, values] of this.#values) for (const value of values) yield [key, value];
  }

  /** A copy that can be changed without changing this one; byte values are shared. */
  clone(): Metadata {
    const copy = new Metadata();
    copy.#values = this.#values;
    copy.#byteLength = this.#byteLength;
    this.#isShared = true;
    return copy;
  }

  toJSON(): Record<string, MetadataValue[]> {
    return Object.fromEntries(this.#values);
  }

  #add(name: string, value: MetadataValue, bytes: number): this {
    const all = this.#own();
    const values = all.get(name);
    if (values) values.push(value);
    else all.set(name, [value]);
    this.#byteLength += bytes;
    return this;
  }

  /** The values, to change them. */
  #own(): Map<string, MetadataValue[]> {
    if (!this.#isShared) return this.#values;
    this.#isShared = false;
    const own = new Map<string, MetadataValue[]>();
    for (const [key, values] of this.#values) own.set(key, [...values]);
    return (this.#values = own);
  }
}

/** For the wire: the entries of a block of metadata, in order. */
export function metadataToEntries(metadata: Metadata): MetadataEntry[] {
  const entries: MetadataEntry[] = [];
  for (const [key, values] of valuesOf(metadata)) {
    for (const value of values) {
      entries.push({ key, value: typeof value === "string" ? { $case: "text", value } : { $case: "binary", value } });
    }
  }
  return entries;
}

/** From the wire: throws TypeError for entries that no `Metadata` could have made. */
export function metadataFromEntries(entries: readonly MetadataEntry[]): Metadata {
  const metadata = new Metadata();
  for (const { key, value } of entries) metadata.append(key, value === undefined ? "" : value.value);
  return metadata;
}

function isIterable(init: MetadataInit): init is Metadata | Iterable<readonly [string, MetadataValue]> {
  return Symbol.iterator in init;
}

function checkKey(key: string): string {
  if (typeof key !== "string") throw new TypeError(`a metadata key must be a string, not ${typeof key}`);
  if (isPlainKey(key)) return key;
  const name = key.toLowerCase();
  if (!validKey.test(name)) {
    throw new TypeError(`metadata key ${JSON.stringify(key.slice(0, 80))} may only have the characters 0-9 a-z _ . -`);
  }
  if (name.startsWith("zb-")) {
    throw new TypeError(
      `metadata key "${name.slice(0, 80)}" is reserved: keys that begin with "zb-" belong to the framework`,
    );
  }
  return name;
}

/** Whether a key needs no further look: most have none but small letters and hyphens. */
function isPlainKey(key: string): boolean {
  for (let index = 0; index < key.length; index++) {
    const unit = key.charCodeAt(index);
    if ((unit < 0x61 || unit > 0x7a) && unit !== 0x2d) return false;
  }
  return key.length > 0 && !key.startsWith("zb-");
}

/** The bytes of a value and its key. TypeError for values that cannot travel. */
function checkedBytes(name: string, value: unknown): number {
  if (name.endsWith("-bin")) {
    if (value instanceof Uint8Array) return name.length + value.byteLength;
    throw new TypeError(`metadata "${name}" must be a Uint8Array since its key ends in "-bin", not ${typeof value}`);
  }
  if (typeof value === "string") return name.length + textBytes(name, value);
  throw new TypeError(`metadata "${name}" must be a string, not ${typeof value}; bytes need a key that ends in "-bin"`);
}

/** The bytes of a text as UTF-8, counted while it is checked: one pass, without an encoder or regular expressions. */
function textBytes(name: string, text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit >= 0x20 && unit < 0x7f) continue;
    if (unit < 0xa0) {
      throw new TypeError(
        `metadata "${name}" has a control character; encode the text (encodeURIComponent), or send it as bytes under "${name}-bin"`,
      );
    }
    if (unit < 0x800) bytes += 1;
    else {
      bytes += 2;
      if (unit >= 0xd800 && unit <= 0xdfff) checkPair(name, unit, text.charCodeAt(++index));
    }
  }
  return bytes;
}

/** Lone surrogates cannot be encoded as UTF-8 and would arrive as another text. */
function checkPair(name: string, first: number, second: number): void {
  if (first <= 0xdbff && second >= 0xdc00 && second <= 0xdfff) return;
  throw new TypeError(`metadata "${name}" is no well-formed Unicode text: it has half of a surrogate pair`);
}
