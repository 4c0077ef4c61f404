import { grpcCpp, natsServer } from "./needs.ts";
import type { Need } from "./needs.ts";
import type { Subject } from "./subject.ts";

/** A subject as the command line, the tables and the ratios know it. */
export interface SubjectEntry {
  readonly title: string;
  /** An RPC framework that ratios compare with; the others are references. */
  readonly peer?: boolean;
  /** Takes part only in cases that name it. */
  readonly special?: boolean;
  /** What has to be installed for it. */
  readonly need?: Need;
  /** Loads it. Only the processes that run it do, so that none pays for the libraries of the others; one without is no program of Node. */
  readonly load?: () => Promise<{ subject: Subject }>;
}

/** The subject that has to be compiled first, which is only done when asked for. */
export const native = "grpc-c++";

/** Everything that can be measured, by the name on the command line. */
export const subjects: Readonly<Record<string, SubjectEntry>> = {
  zerobind: { title: "zerobind", load: () => import("./subjects/zerobind.ts") },
  "zerobind-plain": { title: "zerobind, plain profile", load: () => import("./subjects/zerobind-plain.ts") },
  "zerobind-device": {
    title: "zerobind, through a queue device",
    special: true,
    load: () => import("./subjects/zerobind-device.ts"),
  },
  "zerobind-curve": {
    title: "zerobind, encrypted by CURVE",
    special: true,
    load: () => import("./subjects/zerobind-curve.ts"),
  },
  net: { title: "sockets of node:net", load: () => import("./subjects/net.ts") },
  zeromq: { title: "bare zeromq.js", load: () => import("./subjects/zeromq.ts") },
  coalescing: { title: "bare coalescing loop", load: () => import("./subjects/coalescing.ts") },
  "grpc-js": { title: "@grpc/grpc-js", peer: true, load: () => import("./subjects/grpc-js.ts") },
  "nice-grpc": { title: "nice-grpc", peer: true, load: () => import("./subjects/nice-grpc.ts") },
  "connect-grpc": {
    title: "@connectrpc/connect-node, gRPC protocol",
    peer: true,
    load: async () => ({ subject: (await import("./subjects/connect.ts")).overGrpc }),
  },
  connect: {
    title: "@connectrpc/connect-node, Connect protocol",
    peer: true,
    load: async () => ({ subject: (await import("./subjects/connect.ts")).overConnect }),
  },
  moleculer: { title: "moleculer, TCP transporter", peer: true, load: () => import("./subjects/moleculer.ts") },
  nats: { title: "NATS, request and reply", peer: true, need: natsServer, load: () => import("./subjects/nats.ts") },
  [native]: { title: "gRPC for C++", peer: true, need: grpcCpp },
};
