import type { TransportElement } from "@zerobind/core";
import { schemes } from "./address.ts";
import { connect } from "./connector.ts";
import { AddressGate } from "./gate.ts";
import { listen } from "./listener.ts";
import { toSettings } from "./options.ts";
import type { ZeromqOptions } from "./options.ts";
import { plainTransport } from "./plain-transport.ts";

/**
 * The ZeroMQ transport, last element of a binding, for addresses `tcp://host:port`, `ipc:///path`, `inproc://name` and
 * `ws://host:port/path`. Both ends of a connection may start in any order; the connecting end goes on trying. An open
 * end keeps the process alive until it is closed. inproc stays within the process (its worker threads included), and
 * that the other end is gone shows there only to the end that connects, after `heartbeatIntervalMs` at most.
 *
 * What binds also serves plain REQ sockets of any language; with the option `profile: "plain"` channels call plain REP
 * sockets, see docs/protocol.md.
 * TypeError for options that do not exist or cannot be.
 */
export function zeromq(options?: ZeromqOptions): TransportElement {
  const settings = toSettings(options);
  if (settings.profile === "plain") return plainTransport(settings);
  const gate = new AddressGate(settings);
  return {
    kind: "transport",
    name: "zeromq",
    schemes,
    check: (address, mode) => void gate.check(address, mode),
    // async, so that what `check` throws becomes a rejection.
    async attach(address, attachOptions, listener) {
      const parsed = gate.pass(address, attachOptions.mode);
      if (attachOptions.mode === "connect") return connect(parsed, settings, attachOptions, listener);
      return listen(parsed, settings, attachOptions, listener);
    },
  };
}

/**
 * The ZeroMQ transport for REP sockets of any language that do work: `zeromq` with the profile `plain`, where each has
 * one call at a time. A channel or device that is bound with it deals its calls out to the REP sockets that connect,
 * each to one that is free; one that connects does so to REP sockets that bind. A worker that vanishes takes with it
 * the one call that it held, which ends UNAVAILABLE; one that is cancelled keeps its worker busy until it answers.
 * TypeError for options that do not exist or cannot be.
 */
export function plainWorkers(options: Omit<ZeromqOptions, "profile"> = {}): TransportElement {
  return zeromq({ callsPerPeer: 1, ...options, profile: "plain" });
}
