import { kindOf } from "@zerobind/core";
import type { Principal } from "@zerobind/core";
import { principalOf } from "./curve/principal.ts";
import type { PrincipalInit } from "./curve/principal.ts";
import { curveSettings } from "./curve/secured.ts";
import type { CurveOption, CurveSettings } from "./curve/secured.ts";

/** Settings of the ZeroMQ transport. Times are in milliseconds. Both ends may have different ones. */
export interface ZeromqOptions {
  /** Pause between the heartbeats that ZeroMQ sends on its own thread, so that a busy event loop sends them too. Default 5,000. */
  readonly heartbeatIntervalMs?: number;
  /**
   * A connection on which nothing came for so long is cut. Default 20,000. Only whole frames count, so it must be
   * longer than the largest frame takes; below 10,000 a slow network passes for a dead one.
   */
  readonly heartbeatTimeoutMs?: number;
  /** Longest time for TCP to connect, and again for the two ends to agree on ZeroMQ's protocol. Default 4,000. */
  readonly handshakeTimeoutMs?: number;
  /** A connection whose greeting nobody answered for so long is made anew. Default 5,000. */
  readonly answerTimeoutMs?: number;
  /** Pause before the first attempt to connect again; it doubles with every attempt, with jitter. Default 100. */
  readonly reconnectMinMs?: number;
  /** Longest pause between two attempts to connect. Default 5,000. */
  readonly reconnectMaxMs?: number;
  /**
   * What the peers speak. `plain`: they are REP sockets of any language, which take unary and one-way calls only, see
   * docs/protocol.md; for channels, which then connect to REP sockets that bind, or are bound for REP sockets that
   * connect. Over tcp and ipc. Default `native`, with which a host serves plain REQ sockets as well.
   */
  readonly profile?: "native" | "plain";
  /**
   * Calls that a REP may be given at once, with the profile `plain`; it works on one after the other. Those beyond
   * wait for another peer, or their turn. Default 1,000, but 1 with `plainWorkers`.
   */
  readonly callsPerPeer?: number;
  /**
   * When a plain request has its third frame, with metadata and time-out, which a REP that knows of two may refuse.
   * Default `metadata`: where the call has some. `always`: also for the time-out alone. `never`: metadata is left out.
   */
  readonly plainHeader?: "metadata" | "always" | "never";
  /** Largest metadata of a plain request: sum of the bytes of keys and values. Default 65,536. */
  readonly maxMetadataBytes?: number;
  /**
   * Encrypts what leaves the process, and says who may come in: `serverCurve({ secretKey, allow })` for addresses that
   * are bound, `curveClient({ serverKey, keyPair })` for those that are connected to, or both in an array. Without it
   * only addresses within this machine can be used. inproc is left as it is.
   */
  readonly curve?: CurveOption | undefined;
  /**
   * Who every peer is taken to be that reaches an address bound with this, unless it proves by a key that it is
   * somebody else: for peers that can prove nothing, such as plain clients, at addresses that only they can reach.
   */
  readonly principal?: PrincipalInit | undefined;
  /**
   * Connections that a tcp or ws address that is bound has at most, and never more than a quarter of the files that the
   * process may have open. With more, those that have not finished their handshake make room, the oldest first; what
   * comes when all have finished is refused. With it, connections of tcp are accepted by this process and led on to
   * ZeroMQ, as those of ws always are, which costs some speed. Default 10,000 for ws, and none for tcp.
   */
  readonly maxConnections?: number | undefined;
  /**
   * Allows addresses beyond this machine without encryption: whoever reaches them can read and change every call and
   * can stop the process. Default false. Each such address is warned of once.
   */
  readonly insecure?: boolean;
  /** Takes warnings. Default: `process.emitWarning`, which prints them to standard error. */
  readonly onWarning?: (warning: string) => void;
  /**
   * False: do without the draft options of libzmq, as with a build that has none. Default true, which means: if the
   * build has them. Without them the end of a connection is noticed later.
   */
  readonly draftOptions?: boolean;
}

/** Settings that are a number, a text or a function. */
type PlainSettings = Required<Omit<ZeromqOptions, "curve" | "principal" | "maxConnections">>;

/** All settings, checked, defaults in place. */
export interface ZeromqSettings extends PlainSettings {
  readonly curve: CurveSettings;
  readonly principal: Principal | undefined;
  readonly maxConnections: number | undefined;
}

const defaults: PlainSettings = {
  heartbeatIntervalMs: 5_000,
  heartbeatTimeoutMs: 20_000,
  handshakeTimeoutMs: 4_000,
  answerTimeoutMs: 5_000,
  reconnectMinMs: 100,
  reconnectMaxMs: 5_000,
  profile: "native",
  callsPerPeer: 1_000,
  plainHeader: "metadata",
  maxMetadataBytes: 65_536,
  insecure: false,
  onWarning: (warning) => process.emitWarning(warning, { code: "ZEROBIND_INSECURE" }),
  draftOptions: true,
};

/** The names of all options. */
export const zeromqOptions: readonly string[] = [...Object.keys(defaults), "curve", "principal", "maxConnections"];

/** Options that are one of a few words. */
const words: Readonly<Partial<Record<keyof PlainSettings, readonly string[]>>> = {
  profile: ["native", "plain"],
  plainHeader: ["metadata", "always", "never"],
};

/** ZMTP carries the heartbeat's time to live in 16 bits of tenths of a second. */
const maxHeartbeatMs = 6_553_500;

/** The options with the defaults in the place of what is not given; TypeError for what cannot be. */
export function toSettings(options: ZeromqOptions = {}): ZeromqSettings {
  for (const name of Object.keys(options))
    if (!zeromqOptions.includes(name))
      throw new TypeError(`zeromq() has no option "${name}"; it has ${zeromqOptions.join(", ")}`);
  const { curve, principal, maxConnections, ...rest } = options;
  const given = Object.entries(rest).filter(([, value]) => value !== undefined);
  const settings: PlainSettings = { ...defaults, ...(Object.fromEntries(given) as Partial<PlainSettings>) };
  checkKinds(settings);
  checkMaxConnections(maxConnections);
  checkOrder(settings, "heartbeatIntervalMs", "heartbeatTimeoutMs");
  checkOrder(settings, "reconnectMinMs", "reconnectMaxMs");
  return {
    ...settings,
    curve: curveSettings(curve),
    principal: principal === undefined ? undefined : principalOf(principal, "option principal of zeromq()"),
    maxConnections,
  };
}

function checkKinds(settings: PlainSettings): void {
  for (const [name, value] of Object.entries(settings) as [keyof PlainSettings, unknown][]) {
    const kind = typeof defaults[name];
    if (typeof value !== kind) throw new TypeError(`option ${name} of zeromq() must be a ${kind}, not ${typeof value}`);
    const known = words[name];
    if (known && !known.includes(value as string))
      throw new TypeError(
        `option ${name} of zeromq() must be ${known.map((word) => `"${word}"`).join(" or ")}, not ${JSON.stringify(value)}`,
      );
    if (typeof value !== "number") continue;
    const max = name.startsWith("heartbeat") ? maxHeartbeatMs : 0x7fffffff;
    if (!Number.isInteger(value) || value < 1 || value > max) {
      throw new TypeError(`option ${name} of zeromq() must be a whole number from 1 to ${max}, not ${value}`);
    }
  }
}

function checkMaxConnections(value: unknown): void {
  if (value === undefined || (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 0x7fffffff))
    return;
  throw new TypeError(
    `option maxConnections of zeromq() must be a whole number from 1 to 2147483647, not ${kindOf(value)}`,
  );
}

function checkOrder(settings: PlainSettings, low: keyof PlainSettings, high: keyof PlainSettings): void {
  if (settings[low] > settings[high]) {
    throw new TypeError(
      `option ${low} of zeromq() (${String(settings[low])}) must not exceed ${high} (${String(settings[high])})`,
    );
  }
}
