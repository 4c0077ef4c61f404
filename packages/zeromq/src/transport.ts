import type { TransportElement } from "@zerobind/core";
import { parseAddress, schemes } from "./address.ts";
import type { AddressMode, ParsedAddress } from "./address.ts";
import { connect } from "./connector.ts";
import { checkExposure, exposureWarning } from "./guard.ts";
import { listen } from "./listener.ts";
import { toSettings } from "./options.ts";
import type { ZeromqOptions } from "./options.ts";

/**
 * The ZeroMQ transport, last element of a binding, for addresses `tcp://host:port`, `ipc:///path`, `inproc://name` and
 * `ws://host:port/path`. Both ends of a connection may start in any order; the connecting end goes on trying. An open
 * end keeps the process alive until it is closed. inproc stays within the process (its worker threads included), and
 * that the other end is gone shows there only to the end that connects, after `heartbeatIntervalMs` at most.
 *
 * What binds also serves plain REQ sockets of any language, see docs/protocol.md.
 * TypeError for options that do not exist or cannot be.
 */
export function zeromq(options?: ZeromqOptions): TransportElement {
  const settings = toSettings(options);
  const warned = new Set<string>();

  const check = (address: string, mode: AddressMode): ParsedAddress => {
    const parsed = parseAddress(address, mode);
    checkExposure(address, parsed, settings);
    return parsed;
  };
  const warnOnce = (address: string): void => {
    if (warned.has(address)) return;
    warned.add(address);
    settings.onWarning(exposureWarning(address));
  };

  return {
    kind: "transport",
    name: "zeromq",
    schemes,
    check: (address, mode) => void check(address, mode),
    // async, so that what `check` throws becomes a rejection.
    async attach(address, attachOptions, listener) {
      const parsed = check(address, attachOptions.mode);
      if (parsed.remote) warnOnce(address);
      if (attachOptions.mode === "connect") return connect(parsed, settings, attachOptions, listener);
      return listen(parsed, settings, attachOptions, listener);
    },
  };
}
