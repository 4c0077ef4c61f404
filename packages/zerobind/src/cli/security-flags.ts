import { curveClient, serverCurve } from "@zerobind/zeromq";
import type { ClientCurve, ServerCurve, ZeromqOptions } from "@zerobind/zeromq";
import type { SecurityFlags } from "./security-options.ts";
import { UsageError } from "./usage-error.ts";

/** Options of the transport. Throws UsageError for options that do not go together, or files that cannot be read. */
export function securityOf({ insecure, serverKey, keys, allow }: SecurityFlags): ZeromqOptions {
  if (keys === undefined && allow !== undefined) throw new UsageError("--allow needs --keys with it");
  if (keys !== undefined && allow === undefined && serverKey === undefined)
    throw new UsageError("--keys needs --server-key with it, for what connects, or --allow, for what listens");
  return usable(() => {
    const curve: (ServerCurve | ClientCurve)[] = [];
    if (keys !== undefined && allow !== undefined) curve.push(serverCurve({ secretKey: { file: keys }, allow }));
    if (serverKey !== undefined)
      curve.push(
        curveClient({ serverKey: { file: serverKey }, ...(keys !== undefined && { keyPair: { file: keys } }) }),
      );
    return { insecure: insecure === true, ...(curve.length > 0 && { curve }) };
  });
}

/** What `make` makes; what is wrong is told in words of the command line. */
export function usable<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    const { message } = error as Error;
    const hint = "Encrypt it with --server-key and --keys (what listens: --keys and --allow), or say --insecure";
    throw new UsageError(message.replace(/Encrypt it, .*$/, hint), { cause: error });
  }
}
