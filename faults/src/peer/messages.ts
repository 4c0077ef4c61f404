import type { Commands } from "./commands.ts";

/** The names of what a process can be asked. */
export type CommandName = {
  [Name in keyof Commands]: Commands[Name] extends (...args: never[]) => unknown ? Name : never;
}[keyof Commands];

export type ArgsOf<Name extends CommandName> = Parameters<Commands[Name]>;
export type ResultOf<Name extends CommandName> = Awaited<ReturnType<Commands[Name]>>;

/** From the suite to a process. */
export interface Ask {
  readonly ask: number;
  readonly command: CommandName;
  readonly args: unknown[];
}

/** From a process to the suite: an answer, or something that must not happen. */
export type Told =
  | { readonly ask: number; readonly result: unknown }
  | { readonly ask: number; readonly error: string }
  | { readonly ready: true }
  | { readonly fault: string };
