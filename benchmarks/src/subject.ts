/** What one library does for each kind of case, with messages of one size. */
export interface Works {
  /** One message each way. */
  readonly call: () => Promise<unknown>;
  /** One stream of `count` messages from the server, read to its end. */
  readonly download?: (count: number) => Promise<unknown>;
  /** One stream of `count` messages to the server, up to its answer. */
  readonly upload?: (count: number) => Promise<unknown>;
  /** One stream of `count` messages to the server, each of which comes back. */
  readonly chat?: (count: number) => Promise<unknown>;
}

/** Named numbers that a child process answers with. */
export type Answer = Record<string, number>;

/** The calling end of a subject, in a process of its own. */
export interface Client {
  /** The work with the small message (0), or with one that has so many bytes. */
  works(bytes: number): Works;
  /** What only this subject can do, by the name of the command. */
  extras?: Record<string, (...args: string[]) => Promise<Answer>>;
}

/** The serving end of a subject, in a process of its own. */
export interface Serving {
  readonly address: string;
  /** Processes beside this one that serve, such as a broker: their CPU time counts. */
  readonly pids?: readonly number[];
  /** What only this subject can do, by the name of the command. */
  readonly extras?: Record<string, (...args: string[]) => Promise<Answer>>;
}

/** Something that is measured: the same work done by one library. */
export interface Subject {
  /** Serves until the process ends. */
  serve(): Promise<Serving>;
  /** Connects, and resolves when a first call has been answered. */
  connect(address: string): Promise<Client>;
}

/** The message of the cases that have a small one. */
export const small = { number: 4711, text: "Ada Lovelace", data: new Uint8Array(0) };

/** The message of a case: the small one, or one with so many bytes of data. */
export function messageOf(bytes: number): { number: number; text: string; data: Uint8Array } {
  return bytes === 0 ? small : { number: 1, text: "", data: new Uint8Array(bytes).fill(7) };
}

/** The same message, so many times. */
export function* repeat<T>(message: T, count: number): Generator<T> {
  for (let left = count; left > 0; left--) yield message;
}

/** The same for libraries that take async iterables only. */
export async function* repeatAsync<T>(message: T, count: number): AsyncGenerator<T> {
  await Promise.resolve();
  yield* repeat(message, count);
}
