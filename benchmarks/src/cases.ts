import { subjects as known } from "./subjects.ts";

/** One of those that take turns in a case. */
export interface Contender {
  /** As tables and JSON call it. */
  readonly name: string;
  /** The subject whose processes do it. */
  readonly subject: string;
  /** What the client is told, without the time. */
  readonly command: string;
}

/** Work that several contenders do in turns, a slice of time each. */
export interface Case {
  readonly name: string;
  readonly title: string;
  /** What is counted. */
  readonly unit: "calls/s" | "messages/s";
  /** Who takes part in a quick run: those that the ratios need. */
  readonly quick: readonly string[];
  /** What the client of each subject is told, or who else takes turns. */
  readonly work: string | readonly Contender[];
  /** Subjects that take part, when not all do. */
  readonly of?: readonly string[];
  /** Whether what is measured are times at a given rate, and the rate is no result. */
  readonly timesOnly?: boolean;
}

const grpc = ["zerobind", "grpc-js", "nice-grpc"];
const streaming = ["zerobind", "grpc-js", "nice-grpc", "connect-grpc", "connect", "grpc-c++"];
/** All but some references that no ratio needs. */
const everybody = Object.keys(known).filter((name) => !known[name]?.special);
const inQuick = everybody.filter((name) => name !== "zerobind-plain" && name !== "net");

/** What subjects do for a while when their processes have been started, before any case. */
export const firstCommand = "unary 100 0";

/** All cases whose work the client is told by one command. */
export const cases: readonly Case[] = [
  // First, as it warms up the processes that the cases of a quick run share.
  unary("unary100", "100 calls at once", 100, 0, inQuick),
  unary("latency", "one call at a time", 1, 0, ["zerobind", "zeromq"]),
  unary("unary10", "10 calls at once", 10, 0, []),
  unary("unary1000", "1,000 calls at once", 1000, 0, ["zerobind", "coalescing"]),
  unary("unary-1k", "1 KiB, 100 calls at once", 100, 1 << 10, []),
  unary("unary-64k", "64 KiB, 10 calls at once", 10, 1 << 16, []),
  unary("unary-1m", "1 MiB, one call at a time", 1, 1 << 20, ["zerobind", "zeromq"]),
  stream("download", "server stream", 0),
  stream("upload", "client stream", 0),
  stream("chat", "bidi stream", 0),
  stream("download", "server stream", 1 << 16),
  stream("upload", "client stream", 1 << 16),
  stream("chat", "bidi stream", 1 << 16),
  {
    ...ours("features", "what features cost, 100 calls at once", {
      "bare call": "feature none",
      deadline: "feature deadline",
      "metadata, 4 entries": "feature metadata",
      "interceptor on each end": "feature interceptors",
      "full call": "feature all",
    }),
    quick: ["bare call", "full call"],
  },
  {
    name: "load",
    title: "calls that come evenly, at a part of what 100 at once reached",
    unit: "calls/s",
    work: [
      { name: "50 % load", subject: "zerobind", command: "loaded 50" },
      { name: "80 % load", subject: "zerobind", command: "loaded 80" },
      // What the pace of the harness and the pauses of the machine cost without us.
      { name: "zeromq, 50 % load", subject: "zeromq", command: "loaded 50" },
      { name: "coalescing, 50 % load", subject: "coalescing", command: "loaded 50" },
    ],
    quick: ["50 % load"],
    timesOnly: true,
  },
  beside("device", "through a queue device, 100 calls at once", "zerobind-device", "unary 100 0"),
  beside("device-latency", "through a queue device, one call at a time", "zerobind-device", "unary 1 0"),
  beside("curve", "encrypted by CURVE, 100 calls at once", "zerobind-curve", "unary 100 0"),
  beside("curve-latency", "encrypted by CURVE, one call at a time", "zerobind-curve", "unary 1 0"),
  {
    ...beside("curve-1m", "encrypted by CURVE, 1 MiB, one call at a time", "zerobind-curve", `unary 1 ${1 << 20}`),
    quick: [],
  },
  ours("connections", "connections of one process, 1,000 calls at once", {
    "1 connection": "connections 1",
    "10 connections": "connections 10",
    "100 connections": "connections 100",
    "1,000 connections": "connections 1000",
  }),
  ours("contract", "methods of a contract, all in use, 100 calls at once", {
    "1 method": "methods 1",
    "1,000 methods": "methods 1000",
  }),
];

/** The same calls by zerobind as it is, and by a variant of it. */
function beside(name: string, title: string, variant: string, command: string): Case {
  const work = ["zerobind", variant].map((subject) => ({ name: subject, subject, command }));
  const quick = work.map((contender) => contender.name);
  return { name, title: `zerobind: ${title}`, unit: "calls/s", work, quick };
}

/** A case that only zerobind's client knows, with its variants by their names. */
function ours(name: string, title: string, commands: Readonly<Record<string, string>>): Case {
  const work = Object.entries(commands).map(([variant, command]) => ({ name: variant, subject: "zerobind", command }));
  return { name, title: `zerobind: ${title}`, unit: "calls/s", work, quick: [] };
}

function unary(name: string, title: string, concurrency: number, bytes: number, quick: readonly string[]): Case {
  return { name, title, unit: "calls/s", work: `unary ${concurrency} ${bytes}`, quick };
}

function stream(kind: string, title: string, bytes: number): Case {
  const large = bytes > 0;
  return {
    name: large ? `${kind}-64k` : kind,
    title: `${title}, ${large ? "64 KiB" : "small"} messages`,
    unit: "messages/s",
    work: `${kind} ${bytes}`,
    quick: large ? [] : grpc,
    of: streaming,
  };
}

/** Those who take part in a case. */
export function contenders(
  { work, quick, of }: Case,
  subjects: readonly string[],
  { quick: onlyQuick }: { readonly quick: boolean },
): Contender[] {
  const all =
    typeof work === "string" ? (of ?? everybody).map((subject) => ({ name: subject, subject, command: work })) : work;
  const takesPart = ({ name, subject }: Contender): boolean =>
    subjects.includes(subject) && (!onlyQuick || quick.includes(name));
  return all.filter(takesPart);
}
