import { Metadata } from "@zerobind/core";
import type { SecurityFlags } from "./security-options.ts";
import { UsageError } from "./usage-error.ts";

/** The options of `zerobind call`, as the command line has them. */
export interface CallFlags extends SecurityFlags {
  readonly proto: readonly string[];
  readonly protoPath?: readonly string[];
  readonly metadata?: readonly string[];
  readonly timeout?: string;
  readonly timeoutMs?: string;
  readonly wait?: boolean;
  readonly showMetadata?: boolean;
  readonly emitDefaults?: boolean;
}

/** The time limit of a call, in milliseconds; undefined if the command line names none. Throws UsageError. */
export function timeoutOf({ timeout, timeoutMs }: CallFlags): number | undefined {
  if (timeout !== undefined && timeoutMs !== undefined)
    throw new UsageError("give --timeout or --timeout-ms, not both");
  if (timeoutMs !== undefined) {
    if (!/^\d+$/.test(timeoutMs))
      throw new UsageError(`--timeout-ms takes a number of milliseconds, not "${timeoutMs}"`);
    return Number(timeoutMs);
  }
  if (timeout === undefined) return undefined;
  if (timeout === "none") return Infinity;
  const [, count, unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(timeout) ?? [];
  if (count === undefined)
    throw new UsageError(`--timeout takes a time such as 500ms, 5s, 2m or 1h, or none; not "${timeout}"`);
  return Number(count) * units[unit as keyof typeof units];
}

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** The metadata of `key=value` pairs; values of keys that end in `-bin` are base64. Throws UsageError. */
export function metadataOf(pairs: readonly string[]): Metadata {
  const metadata = new Metadata();
  for (const pair of pairs) {
    const [, key, value] = /^([^=]+)=([^]*)$/.exec(pair) ?? [];
    if (key === undefined || value === undefined) throw new UsageError(`--metadata takes key=value, not "${pair}"`);
    try {
      metadata.append(key, key.toLowerCase().endsWith("-bin") ? bytesOf(key, value) : value);
    } catch (error) {
      if (error instanceof UsageError) throw error;
      throw new UsageError(`--metadata: ${(error as Error).message}`, { cause: error });
    }
  }
  return metadata;
}

function bytesOf(key: string, value: string): Uint8Array {
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(value))
    throw new UsageError(
      `--metadata ${key}: the values of keys that end in "-bin" are bytes in base64, and "${value}" is none`,
    );
  return Uint8Array.from(Buffer.from(value, "base64"));
}
